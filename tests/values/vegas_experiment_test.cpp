// vegas_experiment_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/experiment.hpp" // first: the header is self-contained

#include <cmath>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::nothing_queued;
using flowguard::detail::vegas::only_queued;
using flowguard::detail::vegas::rtt_exponent;

measurement of(double in_flight, double rtt) {
    return {.rtt = rtt, .in_flight = in_flight};
}

// A fall of the concurrency from 90 to 30, in which the RTT falls from 3 to this power, to 1.
measurement before(double exponent) {
    return of(90, std::pow(3.0, exponent));
}

const measurement after = of(30, 1);

TEST_CASE("The exponent of the RTT is 1 where everything queues, and 0 where nothing does") {
    CHECK(rtt_exponent(of(90, 30), of(30, 10)) == Approx(1));
    CHECK(rtt_exponent(of(90, 10), of(30, 10)) == 0.0);
    CHECK(rtt_exponent(of(100, 20), of(25, 10)) == Approx(0.5)); // ln 2 / ln 4
    CHECK(rtt_exponent(of(40, 80), of(20, 10)) == Approx(3)); // ln 8 / ln 2
    CHECK(rtt_exponent(of(40, 10), of(20, 20)) == Approx(-1)); // the RTT rose instead
}

TEST_CASE("There is no exponent if the concurrencies are too close, or something is not known") {
    CHECK(rtt_exponent(of(45, 20), of(30, 10)) > 0); // 1.5 times is enough
    for (const auto& [high, low] : std::vector<std::pair<measurement, measurement>>{{of(44.9, 20), of(30, 10)},
                                                                                    {of(30, 20), of(90, 10)},
                                                                                    {of(90, 0), of(30, 10)},
                                                                                    {of(90, 20), of(30, 0)},
                                                                                    {of(90, 20), of(0, 10)},
                                                                                    {{}, {}}}) {
        CHECK(std::isnan(rtt_exponent(high, low)));
        CHECK_FALSE(only_queued(high, low));
        CHECK_FALSE(nothing_queued(high, low));
    }
}

TEST_CASE("Only a queue was taken away if the exponent is above 0.65") {
    CHECK(only_queued(before(1), after));
    CHECK(only_queued(before(0.651), after));
    CHECK_FALSE(only_queued(before(0.649), after));
    CHECK_FALSE(only_queued(before(0), after));
    CHECK_FALSE(only_queued(before(-1), after));
}

TEST_CASE("Nothing had queued if the exponent is between -0.15 and 0.15") {
    CHECK(nothing_queued(before(0), after));
    CHECK(nothing_queued(before(0.149), after));
    CHECK(nothing_queued(before(-0.149), after));
    CHECK_FALSE(nothing_queued(before(0.151), after));
    CHECK_FALSE(nothing_queued(before(-0.151), after));
    CHECK_FALSE(nothing_queued(before(1), after));
}

} // namespace
