// vegas_low_samples_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/low_samples.hpp" // first: the header is self-contained

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::low_samples;
using flowguard::detail::vegas::measurement;

measurement of(double rtt, double count, double variation, double in_flight = 3) {
    return {.rtt = rtt, .count = count, .variation = variation, .in_flight = in_flight};
}

// Nine calls of ten take 4, and the others 64: the mean is 10, and the standard deviation 18.
baseline of_mixed_calls(double count = 200) {
    baseline base;
    base.learn(of(10, count, 1.8));
    return base;
}

TEST_CASE("Low samples that agree with the baseline are learnt at once") {
    low_samples lows;
    const measurement m = lows.complete(of(9, 10, 1.8), of_mixed_calls());
    CHECK(m.rtt == 9.0);
    CHECK(m.count == 10.0);
}

TEST_CASE("A few low samples that are clearly shorter wait until there are forty") {
    low_samples lows;
    const baseline base = of_mixed_calls();
    CHECK_FALSE(lows.complete(of(4, 10, 0), base).has_rtt());
    CHECK_FALSE(lows.complete(of(4, 20, 0), base).has_rtt());
    const measurement all = lows.complete(of(4, 10, 0, 5), base);
    CHECK(all.rtt == Approx(4));
    CHECK(all.count == 40.0);
    CHECK(all.variation == Approx(0).margin(1e-6));
    CHECK(all.in_flight == 5.0);
    CHECK(base.is_undercut_by(all));
}

TEST_CASE("Low samples that wait count together with longer ones, and with the spread of all") {
    low_samples lows;
    const baseline base = of_mixed_calls();
    CHECK_FALSE(lows.complete(of(4, 10, 0), base).has_rtt());
    const measurement all = lows.complete(of(12, 30, 1.5), base);
    CHECK(all.rtt == Approx(10));
    CHECK(all.count == 40.0);
    // The mean of the squares is (10 · 16 + 30 · 144 · 3.25) / 40 = 355.
    CHECK(all.variation == Approx(1.5969).epsilon(1e-3));
    CHECK_FALSE(base.is_undercut_by(all));
}

TEST_CASE("Low samples are few again after those that waited were learnt") {
    low_samples lows;
    const baseline base = of_mixed_calls();
    CHECK_FALSE(lows.complete(of(4, 39, 0), base).has_rtt());
    CHECK(lows.complete(of(4, 10, 0), base).count == 49.0);
    CHECK_FALSE(lows.complete(of(4, 10, 0), base).has_rtt());
}

TEST_CASE("Forty low samples prove a shorter RTT alone") {
    low_samples lows;
    CHECK(lows.complete(of(4, 40, 0.1), of_mixed_calls()).count == 40.0);
    CHECK_FALSE(lows.complete(of(4, 39, 0.1), of_mixed_calls()).has_rtt());
}

TEST_CASE("A baseline of fewer than forty samples follows few low samples at once") {
    low_samples lows;
    CHECK(lows.complete(of(4, 10, 0), of_mixed_calls(39)).count == 10.0);
    CHECK_FALSE(lows.complete(of(4, 10, 0), of_mixed_calls(40)).has_rtt());
}

} // namespace
