// vegas_strategy_limit_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/window.hpp"
#include "support/vegas_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::bound_window;
using support::even;
using support::halves;
using support::idle_window;
using support::settled;
using support::wide;

TEST_CASE("The limit shrinks by half of what queues beyond the slack") {
    vegas_strategy strategy = settled();
    // Queue 100 × (1 − 10 / 12.5) = 20, slack 3 + 0.6 · √80 + 80 / 10 = 16.37: 100 − 3.63 / 2 = 98.18.
    CHECK(strategy.update(bound_window(100, 12'500us)) == plan{98, 147});
    CHECK(strategy.queue_estimate() == Approx(20));
    CHECK(strategy.current_limit() == 98);
}

TEST_CASE("The limit shrinks by at most 30 % a window") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 100ms)) == plan{70, 105}); // queue 90, slack 5.9
}

TEST_CASE("The limit stays while the queue is between the thresholds") {
    vegas_strategy strategy = settled();
    // Queue 13.79, slack 3 + 0.6 · √86.21 + 86.21 / 10 = 17.19, alpha · slack = 12.03.
    CHECK(strategy.update(bound_window(100, 11'600us)) == plan{100, 150});
}

TEST_CASE("The limit grows by half of what the queue is short of the slack") {
    vegas_strategy strategy = settled();
    // Queue 6.0, slack 3 + 0.6 · √94 + 94 / 10 = 18.22: 100 + 12.22 / 2 = 106.11. Three such steps show the fraction
    // that was kept: from whole limits they would lead to 118.
    CHECK(strategy.update(bound_window(100, 10'638'298ns)) == plan{106, 159});
    // Queue 106 × 0.06 = 6.36, slack 3 + 0.6 · √99.75 + 99.75 / 10 = 18.97: 106.11 + 6.30 = 112.41.
    CHECK(strategy.update(bound_window(106, 10'638'298ns)) == plan{112, 168});
    // Queue 112 × 0.06 = 6.72, slack 3 + 0.6 · √105.69 + 105.69 / 10 = 19.74: 112.41 + 6.51 = 118.92.
    CHECK(strategy.update(bound_window(112, 10'638'298ns)) == plan{119, 178});
}

TEST_CASE("The slack is more the more the service times vary") {
    // Queue 100 · (1 − 10 / 14) = 28.57; 3 + 0.6 · √71.43 + 71.43 / 10 = 15.21.
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{86, 129}); // slack 1: 100 − 27.57 / 2 = 86.21
    strategy = settled({}, halves);
    // Slack 0.493 + 0.507 · 15.21 = 8.21: 100 − 20.36 / 2 = 89.82.
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{90, 135});
    strategy = settled({}, wide); // a variation of 1.6 counts as 1
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{93, 139}); // 100 − 13.36 / 2 = 93.32
}

TEST_CASE("The slack follows the variation of the baseline, not of the latest RTTs") {
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(wide(bound_window(100, 14ms))) == plan{86, 129});
}

TEST_CASE("The slack is at most half of what is in flight") {
    const auto limit_after = [](double in_flight) {
        vegas_strategy strategy = settled();
        return strategy.update(idle_window(100, in_flight, 40ms)).limit; // three quarters of them queue
    };
    CHECK(limit_after(40) == 93); // 100 − (30 − 15.02) / 2, for 3 + 0.6 · √70 + 7 = 15.02 < 20
    CHECK(limit_after(24) == 97); // 100 − (18 − 12) / 2
    CHECK(limit_after(10) == 99); // 100 − (7.5 − 5) / 2
}

TEST_CASE("The limit grows by a quarter in the third window running in which nothing queues") {
    vegas_strategy strategy = settled();
    // Half of the slack: 3 + 0.6 · √100 + 10 = 19, then 3 + 0.6 · √109.5 + 10.95 = 20.23.
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{110, 165}); // 109.5
    CHECK(strategy.update(bound_window(110, 10ms)) == plan{120, 180}); // 119.61
    CHECK(strategy.update(bound_window(120, 10ms)) == plan{150, 225}); // 119.61 × 1.25 = 149.52
    CHECK(strategy.update(bound_window(150, 10ms)) == plan{187, 280}); // 186.90: and so on
    // Queue 187 · (1 − 10 / 10.2) = 3.67, less than a third of 3 + 0.6 · √183.2 + 18.32 = 29.4: still hardly anything.
    CHECK(strategy.update(bound_window(187, 10'200us)) == plan{234, 351}); // 233.62
}

TEST_CASE("The limit never grows in an app-limited window") {
    vegas_strategy strategy = settled();
    window reached_rarely = bound_window(100, 10ms);
    reached_rarely.mean_in_flight = 49;
    CHECK(strategy.update(reached_rarely) == plan{100, 150});
    window never_reached = bound_window(100, 10ms);
    never_reached.max_in_flight = 99;
    CHECK(strategy.update(never_reached) == plan{100, 150});
    window half = bound_window(100, 10ms);
    half.mean_in_flight = 50;
    CHECK(strategy.update(half) == plan{110, 165}); // half of 3 + 0.6 · √100 + 10 = 19: 109.5
}

TEST_CASE("The limit stays within its bounds") {
    vegas_strategy high{vegas_options{.initial_limit = 60, .max_limit = 100}};
    CHECK(high.update(bound_window(20, 10ms)) == plan{60, 100});
    CHECK(high.update(bound_window(60, 10ms)) == plan{100, 150});
    CHECK(high.update(bound_window(100, 10ms)) == plan{100, 150});
    vegas_strategy low = settled({.min_limit = 20});
    CHECK(low.update(bound_window(100, 100ms)) == plan{70, 105});
    CHECK(low.update(bound_window(70, 100ms)) == plan{49, 100});
    CHECK(low.update(bound_window(49, 100ms)) == plan{34, 100});
    CHECK(low.update(bound_window(34, 100ms)) == plan{24, 100});
    CHECK(low.update(bound_window(24, 100ms)) == plan{20, 100});
    CHECK(low.update(bound_window(20, 100ms)) == plan{20, 100});
}

TEST_CASE("A window that says nothing changes nothing") {
    vegas_strategy strategy = settled();
    window nothing;
    nothing.admitted = nothing.ignored = 100;
    nothing.limit = 100;
    nothing.length = 1h;
    CHECK(strategy.update(nothing) == plan{100, 150});
    CHECK(strategy.update(bound_window(100, 11'600us)) == plan{100, 150}); // nor is a probe due
}

} // namespace
