// vegas_wait_spread_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/wait_spread.hpp" // first: the header is self-contained

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::wait_spread;

// A baseline of 10, of RTTs with this variation.
baseline ten(double variation) {
    baseline base;
    base.learn({.rtt = 10, .count = 100, .variation = variation, .in_flight = 1});
    return base;
}

// A window in which the limit was used.
measurement bound(double rtt, double variation) {
    return {.rtt = rtt, .count = 100, .variation = variation, .bound = true};
}

// The share after windows that are all alike.
double share_of(double rtt, double variation, const baseline& base) {
    wait_spread spread;
    for (int i = 0; i < 3; ++i)
        spread.learn(bound(rtt, variation));
    return spread.share(base);
}

TEST_CASE("The spread of the waits is all of the RTT while it is not known") {
    wait_spread spread;
    CHECK(spread.share(ten(1)) == 1.0);
    CHECK(spread.share({}) == 1.0);
    spread.learn({.rtt = 20, .count = 100, .variation = 1}); // demand set the concurrency
    spread.learn({.rtt = 20, .variation = 1, .bound = true}); // no RTT
    CHECK(spread.share(ten(1)) == 1.0);
    spread.learn(bound(0, 0)); // nor do RTTs of 0 tell anything
    CHECK(spread.share(ten(1)) == 1.0);
}

TEST_CASE("The variance of the RTT is that of the service time and that of the wait") {
    struct row {
        double rtt;
        double variation;
        double of_service;
        double share;
    };
    for (const row& r : std::vector<row>{{20, 0.5, 0, 0.5}, // all of the spread is that of the wait
                                         {10, 1, 1, 0}, // nothing waits
                                         {20, 0.5, 1, 0}, // the wait of 10 is always the same
                                         {50, 0.26, 0.5, 0.24}, // √(13² − 5²) / 50
                                         {20, std::sqrt(0.5), 1, 0.5}, // the wait varies by 10: by as much as its mean
                                         {20, 0.1, 1, 0}, // less than the service alone
                                         {40, 2, 1, std::sqrt(6300) / 40}}) { // 80² − 10²; it may be more than one
        CAPTURE(r.rtt, r.variation, r.of_service);
        CHECK(share_of(r.rtt, r.variation, ten(r.of_service)) == Approx(r.share).margin(1e-6));
    }
    CHECK(share_of(20, 0.5, {}) == Approx(0.5)); // of an unknown service
}

TEST_CASE("The latest window weighs a tenth") {
    wait_spread spread;
    spread.learn(bound(10, 0)); // the first one is all that there is
    spread.learn(bound(20, 0.5));
    // Mean 0.9 · 10 + 0.1 · 20 = 11, mean square 0.9 · 100 + 0.1 · 400 · 1.25 = 140.
    CHECK(spread.share(ten(0)) == Approx(std::sqrt(140.0 - 121) / 11));
    spread.learn({.rtt = 100, .count = 100, .variation = 1}); // demand set the concurrency
    CHECK(spread.share(ten(0)) == Approx(std::sqrt(140.0 - 121) / 11));
    // 0.9 · 11 + 0.1 · 11, and 0.9 · 140 + 0.1 · 121.
    spread.learn(bound(11, 0));
    CHECK(spread.share(ten(0)) == Approx(std::sqrt(0.9 * 19) / 11));
}

} // namespace
