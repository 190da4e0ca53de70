// vegas_strategy_limit_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <string>

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
using support::a_probe;
using support::a_window;
using support::bound_window;
using support::even;
using support::halves;
using support::idle_window;
using support::paced_window;
using support::settled;
using support::settled_with_waits;
using support::wide;
using support::with_drops;

TEST_CASE("The limit shrinks by half of what queues beyond the slack") {
    vegas_strategy strategy = settled_with_waits();
    // Queue 100 × (1 − 10 / 12.5) = 20, slack 3 + 0.6 · √80 + 80 / 10 = 16.37: 100 − 3.63 / 2 = 98.18.
    CHECK(strategy.update(bound_window(100, 12'500us)) == a_window{98, 147});
    CHECK(strategy.queue_estimate() == Approx(20));
    CHECK(strategy.current_limit() == 98);
}

TEST_CASE("The limit shrinks by at most 30 % a window") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 100ms)) == a_window{70, 105}); // queue 90, slack 5.9
}

TEST_CASE("The limit stays while the queue is between the thresholds") {
    vegas_strategy strategy = settled_with_waits();
    // Queue 13.79, slack 3 + 0.6 · √86.21 + 86.21 / 10 = 17.19, alpha · slack = 12.03.
    CHECK(strategy.update(bound_window(100, 11'600us)) == a_window{100, 150});
}

TEST_CASE("The limit grows by half of what the queue is short of the slack") {
    vegas_strategy strategy = settled_with_waits();
    // Queue 6.0, slack 3 + 0.6 · √94 + 94 / 10 = 18.22: 100 + 12.22 / 2 = 106.11. Three such steps show the fraction
    // that was kept: from whole limits they would lead to 118.
    CHECK(strategy.update(bound_window(100, 10'638'298ns)) == a_window{106, 159});
    // Queue 106 × 0.06 = 6.36, slack 3 + 0.6 · √99.75 + 99.75 / 10 = 18.97: 106.11 + 6.30 = 112.41.
    CHECK(strategy.update(bound_window(106, 10'638'298ns)) == a_window{112, 168});
    // Queue 112 × 0.06 = 6.72, slack 3 + 0.6 · √105.69 + 105.69 / 10 = 19.74: 112.41 + 6.51 = 118.92.
    CHECK(strategy.update(bound_window(112, 10'638'298ns)) == a_window{119, 178});
}

TEST_CASE("The slack is more the more the service times vary") {
    // Queue 100 · (1 − 10 / 14) = 28.57; 3 + 0.6 · √71.43 + 71.43 / 10 = 15.21.
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(bound_window(100, 14ms)) == a_window{86, 129}); // slack 1: 100 − 27.57 / 2 = 86.21
    strategy = settled({}, halves);
    // Slack 0.493 + 0.507 · 15.21 = 8.21: 100 − 20.36 / 2 = 89.82.
    CHECK(strategy.update(bound_window(100, 14ms)) == a_window{90, 135});
    strategy = settled({}, wide); // a variation of 1.6 counts as 1
    CHECK(strategy.update(bound_window(100, 14ms)) == a_window{93, 139}); // 100 − 13.36 / 2 = 93.32
}

TEST_CASE("The slack follows the variation of the baseline, not of the latest RTTs") {
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(wide(bound_window(100, 14ms))) == a_window{86, 129});
}

TEST_CASE("The slack is at most half of what is in flight") {
    const auto limit_after = [](double in_flight) {
        vegas_strategy strategy = settled_with_waits();
        return strategy.update(idle_window(100, in_flight, 40ms)).limit; // three quarters of them queue
    };
    CHECK(limit_after(40) == 93); // 100 − (30 − 15.02) / 2, for 3 + 0.6 · √70 + 7 = 15.02 < 20
    CHECK(limit_after(24) == 97); // 100 − (18 − 12) / 2
    CHECK(limit_after(10) == 99); // 100 − (7.5 − 5) / 2
}

TEST_CASE("The slack is at most 15 % of what is in flight and a fifth of a request where waits do not vary") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 10ms)) == a_window{108, 162}); // 100 + 15.2 / 2
    const auto limit_after = [](double in_flight) {
        vegas_strategy other = settled();
        return other.update(idle_window(100, in_flight, 40ms)).limit; // three quarters of them queue
    };
    CHECK(limit_after(40) == 88); // 100 − (30 − 6.2) / 2
    CHECK(limit_after(24) == 93); // 100 − (18 − 3.8) / 2
    CHECK(limit_after(10) == 97); // 100 − (7.5 − 1.7) / 2
}

TEST_CASE("The limit falls below one where one request at a time still queues") {
    // Each call waits for 8 ms behind those of other clients. The baseline is known from a time without them.
    vegas_strategy strategy = settled();
    plan next{100};
    for (int i = 0; i < 60 && next.spacing == 0ns; ++i)
        next = strategy.update(bound_window(next.limit, 18ms, 1us)); // too short for probes
    CHECK(next.limit == 1);
    CHECK(next.admissions == 10);
    CHECK(next.spacing > 18ms);
    CHECK(strategy.current_limit() == 1);
    // It settles at a limit x where as much queues as is wanted: 4/9 x = 0.15 x + 0.2, so x = 0.679.
    for (int i = 0; i < 35; ++i)
        next = strategy.update(paced_window(next.spacing, 18ms));
    CHECK(static_cast<double>(next.spacing.count()) == Approx(18e6 / 0.679).epsilon(0.02));
    // The limit grows above one again when nothing queues, and then there is no spacing.
    for (int i = 0; i < 20 && next.spacing > 0ns; ++i)
        next = strategy.update(paced_window(next.spacing, 10ms));
    CHECK(next.spacing == 0ns);
    CHECK(next.limit == 1);
}

TEST_CASE("The limit does not fall below a min_limit of two or more, nor by a spacing") {
    CHECK(vegas_strategy{vegas_options{.min_limit = 2}}.current_limit() == 2);
    vegas_strategy strategy = settled({.min_limit = 2});
    plan next{100};
    for (int i = 0; i < 30; ++i)
        next = strategy.update(bound_window(next.limit, 100ms, 1us));
    CHECK(next == a_window{2, 20});
}

TEST_CASE("The limit grows by a quarter in the third window running in which nothing queues") {
    vegas_strategy strategy = settled_with_waits();
    // Half of the slack: 3 + 0.6 · √100 + 10 = 19, then 3 + 0.6 · √109.5 + 10.95 = 20.23.
    CHECK(strategy.update(bound_window(100, 10ms)) == a_window{110, 165}); // 109.5
    CHECK(strategy.update(bound_window(110, 10ms)) == a_window{120, 180}); // 119.61
    CHECK(strategy.update(bound_window(120, 10ms)) == a_window{150, 225}); // 119.61 × 1.25 = 149.52
    CHECK(strategy.update(bound_window(150, 10ms)) == a_window{187, 280}); // 186.90: and so on
    // Queue 187 · (1 − 10 / 10.2) = 3.67, less than a third of 3 + 0.6 · √183.2 + 18.32 = 29.4: still hardly anything.
    CHECK(strategy.update(bound_window(187, 10'200us)) == a_window{234, 351}); // 233.62
}

TEST_CASE("The limit never grows in an app-limited window") {
    vegas_strategy strategy = settled_with_waits();
    window reached_rarely = bound_window(100, 10ms);
    reached_rarely.mean_in_flight = 49;
    CHECK(strategy.update(reached_rarely) == a_window{100, 150});
    window never_reached = bound_window(100, 10ms);
    never_reached.max_in_flight = 99;
    CHECK(strategy.update(never_reached) == a_window{100, 150});
    window half = bound_window(100, 10ms);
    half.mean_in_flight = 50;
    CHECK(strategy.update(half) == a_window{110, 165}); // half of 3 + 0.6 · √100 + 10 = 19: 109.5
}

TEST_CASE("The first calls with a limit do not end the quick start if they are slow") {
    // Twelve connections are opened, then sixteen more, and so on. That is no queue.
    vegas_strategy strategy{4};
    CHECK(strategy.update(bound_window(4, 10ms)) == a_window{16, 16});
    CHECK(strategy.update(bound_window(16, 300ms)) == a_window{16, 48});
    CHECK(strategy.reason() == std::string("quick start: the first calls with this limit were slow"));
    CHECK(strategy.baseline() == 10ms);

    // The next calls count. Here they still queue.
    vegas_strategy queueing = strategy;
    CHECK(queueing.update(bound_window(16, 40ms)) == a_probe{5, 60, 16});

    // First calls that are quick count at once, and so do drops.
    CHECK(strategy.update(bound_window(16, 10ms)) == a_window{32, 32});
    CHECK(strategy.update(bound_window(32, 12ms)) == a_window{64, 64});
    CHECK(strategy.update(with_drops(bound_window(64, 300ms), 20, 300ms)).limit < 64);
}

TEST_CASE("Where nothing is known yet, the first successes after an outage are no baseline") {
    vegas_strategy strategy{4};
    CHECK(strategy.update(with_drops(bound_window(4, 1s), 100, 1s)) == a_window{1, 2});
    CHECK(strategy.update(bound_window(1, 300ms)) == a_window{2, 2});
    CHECK(strategy.reason() == std::string("an outage ended: half of the limit before it"));
    CHECK(strategy.baseline() == 0ns);
    CHECK(strategy.update(bound_window(2, 300ms)) == a_window{2, 20}); // the first calls
    CHECK(strategy.baseline() == 0ns);
    CHECK(strategy.update(bound_window(2, 10ms)) == a_window{4, 4});
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The limit stays within its bounds") {
    vegas_strategy high{vegas_options{.initial_limit = 60, .max_limit = 100}};
    CHECK(high.update(bound_window(20, 10ms)) == a_window{60, 60});
    CHECK(high.update(bound_window(60, 10ms)) == a_window{100, 100});
    CHECK(high.update(bound_window(100, 10ms)) == a_window{100, 150}); // the end of the quick start
    vegas_strategy low = settled({.min_limit = 20});
    CHECK(low.update(bound_window(100, 100ms)) == a_window{70, 105});
    CHECK(low.update(bound_window(70, 100ms)) == a_window{49, 100});
    CHECK(low.update(bound_window(49, 100ms)) == a_window{34, 100});
    CHECK(low.update(bound_window(34, 100ms)) == a_window{24, 100});
    CHECK(low.update(bound_window(24, 100ms)) == a_window{20, 100});
    CHECK(low.update(bound_window(20, 100ms)) == a_window{20, 100});
}

TEST_CASE("A window that says nothing changes nothing") {
    vegas_strategy strategy = settled_with_waits();
    window nothing;
    nothing.admitted = nothing.ignored = 100;
    nothing.limit = 100;
    nothing.length = 1h;
    CHECK(strategy.update(nothing) == a_window{100, 150});
    CHECK(strategy.update(bound_window(100, 11'600us)) == a_window{100, 150}); // nor is a probe due
}

} // namespace
