// vegas_strategy_probe_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/vegas_windows.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::a_probe;
using support::bound_window;
using support::idle_window;
using support::settled;
using support::wide;
using support::with_drops;
using support::with_low;
using support::with_wide_low;

TEST_CASE("A probe comes before a big cut") {
    vegas_strategy strategy = settled();
    // Queue 50 > 2 × 12.24 + 10; slack 3 + 0.6 · √50 + 50 / 10 = 12.24.
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.current_limit() == 100);
    // It confirms the baseline: 100 − (50 − 12.24) / 2 = 81.12.
    CHECK(strategy.update(wide(bound_window(33, 10ms))) == plan{81, 121});
}

TEST_CASE("A probe does not come before eight lengths of a probe have passed") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 239ms)) == plan{81, 121});
    strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 241ms)) == a_probe{33, 99, 100}); // 8 × 99 / 33 × 10 ms = 240 ms
}

TEST_CASE("A probe is not for a small excess") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 12'500us, 250ms)) == plan{98, 147}); // queue 20 < 2 × 16.37 + 10
}

TEST_CASE("A probe is a third of what is in flight, when that is less than the limit") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(idle_window(100, 60, 40ms, 250ms)) == a_probe{20, 60, 100}); // queue 45 > 2 × 12.9 + 10
}

TEST_CASE("A probe in which the RTT falls with the concurrency only queued, and is looked below") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 30ms, 250ms)) == a_probe{33, 99, 100});
    // ln(30 / 11) = 1.00 > 0.65 · ln(100 / 33) = 0.72: 1.3 × 33 = 42.9.
    CHECK(strategy.update(bound_window(33, 11ms)) == a_probe{11, 60, 43});
    CHECK(strategy.current_limit() == 43);
    CHECK(strategy.update(bound_window(11, 10ms)) == plan{43, 100});
}

TEST_CASE("A probe with a higher throughput than the window before it shows that the service had paused") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 10ms))) == plan{110, 165}); // calm
    CHECK(strategy.update(wide(bound_window(110, 60ms, 250ms))) == a_probe{36, 108, 110});
    CHECK(strategy.update(wide(bound_window(36, 10ms))) == plan{110, 165}); // ln(60 / 10) / ln(110 / 36) = 1.60
    CHECK(strategy.reason() == std::string("probe ended: the service had paused"));
}

TEST_CASE("A second such window in a row is no pause") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 60ms, 10ms))) == plan{70, 105}); // no probe so soon
    CHECK(strategy.update(wide(bound_window(70, 60ms, 400ms))) == a_probe{23, 69, 70});
    CHECK(strategy.update(wide(bound_window(23, 10ms))) == a_probe{7, 60, 30}); // 1.3 × 23
}

TEST_CASE("A probe in which the RTT stays shows that the service became slower, and costs no concurrency") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 40ms, 250ms))) == a_probe{33, 99, 100});
    // Then nothing queued: half of the slack more, 3 + 0.6 · √100 + 10 = 19.
    CHECK(strategy.update(wide(bound_window(33, 40ms))) == plan{110, 165});
    CHECK(strategy.baseline() == 40ms);
    CHECK(strategy.queue_estimate() == Approx(0).margin(1e-9));
    // A baseline that rose is soon looked at again.
    CHECK(strategy.update(bound_window(110, 40ms)) == a_probe{36, 108, 110});
}

TEST_CASE("A probe raises the baseline only where that makes much of a difference") {
    vegas_strategy strategy = settled();
    // Queue 100 · (1 − 10 / 13) = 23.08, less than three slacks (the RTTs do not spread, so this looks like a wait):
    // 3 + 0.6 · √76.92 + 76.92 / 10 = 15.95.
    CHECK(strategy.update(bound_window(100, 13ms, 1h)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 13ms)) == plan{96, 144}); // 100 − 7.12 / 2 = 96.44
    CHECK(strategy.baseline() == 10ms);
    // Nor does it look again soon. Queue 96 · 0.231 = 22.15, slack 3 + 0.6 · √74.3 + 74.3 / 10 = 15.60: 96.44 − 3.28.
    CHECK(strategy.update(bound_window(96, 13ms)) == plan{93, 139});

    strategy = settled();
    // Queue 100 · (1 − 10 / 18) = 44.44, more than three slacks: 3 + 0.6 · √55.56 + 55.56 / 10 = 13.03.
    CHECK(strategy.update(bound_window(100, 18ms, 1h)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 18ms));
    CHECK(strategy.baseline() == 18ms);
}

TEST_CASE("A probe in which the RTT hardly fell is one measurement with the window before it") {
    // Queue 50, slack 12.24 as above. ln(20 / 18) = 0.105 < 0.15 · ln(100 / 33) = 0.166.
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    window low = bound_window(33, 18ms);
    low.admitted = low.all.samples = 50;
    strategy.update(low);
    CHECK(strategy.baseline() == 19'333'333ns); // (100 × 20 + 50 × 18) / 150

    strategy = settled(); // it may also have risen by chance: ln(22 / 20) = 0.095
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 22ms));
    CHECK(strategy.baseline() == 21ms);

    strategy = settled(); // ln(20 / 16) = 0.223: then it counts alone
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 16ms));
    CHECK(strategy.baseline() == 16ms);
}

TEST_CASE("A probe in which the RTT fell, but not to the baseline, is followed by a deeper one") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 40ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 20ms)) == a_probe{11, 60, 100}); // ln 2 = 0.69 < 0.72
    CHECK(strategy.update(bound_window(11, 20ms)) == plan{100, 150});
    CHECK(strategy.baseline() == 20ms);
}

TEST_CASE("A probe that reads the baseline is not followed by a deeper one, even where it took away a queue") {
    // 10 ms are known from at most a third of the limit; then there is demand.
    vegas_strategy strategy{20};
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 30, 10ms)) == plan{20, 60});
    // Queue 20 · (1 − 10 / 30) = 13.33 > 2 × 5.22 + 2; slack 3 + 0.6 · √6.67 + 6.67 / 10 = 5.22.
    CHECK(strategy.update(bound_window(20, 30ms)) == a_probe{6, 60, 20});

    // ln(30 / 11.1) = 0.99 > 0.65 · ln(20 / 6) = 0.78, and more than 10 % from the baseline: 1.3 × 6 = 7.8.
    vegas_strategy queueing = strategy;
    CHECK(queueing.update(bound_window(6, 11'100us)) == a_probe{2, 40, 8});

    // As short as it gets: 20 − (13.33 − 5.22) / 2 = 15.94.
    CHECK(strategy.update(wide(bound_window(6, 10ms))) == plan{16, 100});
}

// The window of a probe from 100 to 33, which was for 99 admissions, and ended with fewer.
window cut_short(std::size_t admitted, duration length) {
    window w = bound_window(33, 10ms, length);
    w.admitted = w.all.samples = admitted;
    w.all.histogram = {};
    w.all.histogram.add(10ms, static_cast<std::uint32_t>(admitted));
    return w;
}

TEST_CASE("A probe has a bound of three times what it should take, and ten RTTs") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)).within == 3 * 20ms * 99 / 33 + 10 * 20ms);
    CHECK(settled().update(bound_window(100, 20ms)).within == 0ns); // no probe

    // Some calls hung for an hour, or the machine stood still: that is no measure of how long a probe takes.
    CHECK(settled().update(bound_window(100, 1h, 250ms)).within == 3 * 100ms * 99 / 33 + 10 * 100ms);
    vegas_strategy instant{vegas_options{.initial_limit = 20}}; // all in no time, and then in 1 µs
    instant.update(bound_window(20, 0ns, 0ns));
    CHECK(instant.update(bound_window(40, 1us)).within == 1ms);
}

TEST_CASE("A probe's bound is from the RTTs of the successes, not from the time-outs of an outage") {
    // A fifth of the requests is dropped after 10 s, and the others take 20 ms. The limit is cut to 80, and the probe
    // has 78 admissions at a limit of 26.
    vegas_strategy strategy = settled();
    const plan probe = strategy.update(with_drops(bound_window(100, 20ms, 250ms), 20, 10s));
    REQUIRE(probe == a_probe{26, 78, 80});
    CHECK(probe.within == 3 * 20ms * 78 / 26 + 10 * 20ms);
}

TEST_CASE("A probe that less than half of its admissions were for says nothing, and changes nothing") {
    for (const std::size_t admitted : {std::size_t{0}, std::size_t{1}, std::size_t{49}}) {
        vegas_strategy strategy = settled();
        REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
        CHECK(strategy.update(cut_short(admitted, 380ms)) == plan{100, 150});
        CHECK(strategy.reason() == std::string("probe failed: too few requests ended"));
        CHECK(strategy.baseline() == 10ms);
        CHECK(strategy.current_limit() == 100);
    }
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(cut_short(50, 380ms)); // half is enough
    CHECK(strategy.reason() == std::string("more requests queue than wanted"));
}

TEST_CASE("A probe that failed is not tried again before a hundred times as long") {
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    plan next = strategy.update(cut_short(0, 400ms));
    duration waited{};
    for (; next.then == 0 && waited < 1h; waited += 1s)
        next = strategy.update(bound_window(next.limit, 20ms, 1s)); // calls for a probe as loudly as any
    CHECK(waited == 40s);
}

TEST_CASE("The quick start ends where its probe fails") {
    vegas_strategy strategy{vegas_options{.initial_limit = 20}};
    strategy.update(bound_window(20, 10ms));
    const plan probe = strategy.update(bound_window(40, 40ms));
    REQUIRE(probe.then == 40);
    window nothing = cut_short(0, 1s);
    nothing.limit = probe.limit;
    CHECK(strategy.update(nothing).limit == 40);
    const plan next = strategy.update(bound_window(40, 40ms));
    CHECK(next.then == 0);
    CHECK(next.limit == 28);
    CHECK(strategy.reason() == std::string("more requests queue than wanted"));
}

TEST_CASE("A probe that the next window does not show is forgotten") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{110, 165}); // 100 + 19 / 2
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("A probe whose window says nothing is forgotten") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    window nothing;
    nothing.admitted = nothing.ignored = 99;
    nothing.limit = 33;
    CHECK(strategy.update(nothing) == plan{100, 150});
    CHECK(strategy.current_limit() == 100);
    // A window like that of the probe is an ordinary one now. Queue 33 · (1 − 10 / 30) = 22, slack
    // 3 + 0.6 · √78 + 78 / 10 = 16.10: 100 − 5.90 / 2 = 97.05.
    CHECK(strategy.update(bound_window(33, 30ms)) == plan{97, 145});
    CHECK(strategy.queue_estimate() == Approx(22));
    CHECK(strategy.baseline() == 10ms);
}

// The limit stays whatever queues, so that scheduled probes are all that happens.
const vegas_options unmoved{.alpha = 0, .beta = 1e6};

// An RTT that shows a queue, or nothing to probe for; with a third in flight it is 10 ms.
constexpr duration steady = 12ms;

// Feeds windows of 10 ms in which nothing is to be done, until a probe; the time that took.
duration until_probe(vegas_strategy& strategy) {
    duration time{};
    for (;;) {
        time += 10ms;
        if (const plan p = strategy.update(bound_window(100, steady, 10ms)); p.then != 0) {
            strategy.update(wide(bound_window(33, 10ms)));
            return time;
        }
    }
}

TEST_CASE("Scheduled probes take 1 % of the time, with jitter") {
    vegas_strategy strategy = settled(unmoved);
    duration total{};
    duration shortest = 1h;
    duration longest{};
    for (int i = 0; i < 400; ++i) {
        const duration time = until_probe(strategy);
        total += time;
        shortest = std::min(shortest, time);
        longest = std::max(longest, time);
    }
    const duration probe = 30ms; // 99 / 33 × 10 ms
    CHECK(shortest >= 50 * probe);
    CHECK(shortest < 60 * probe);
    CHECK(longest > 140 * probe);
    CHECK(longest <= 150 * probe + 10ms);
    CHECK(static_cast<double>(total.count()) / (400.0 * static_cast<double>(probe.count())) ==
          Approx(100).epsilon(0.05));
}

TEST_CASE("Scheduled probes are spared where demand is low or shows the baseline itself") {
    vegas_strategy strategy = settled(unmoved);
    CHECK(strategy.update(idle_window(100, 40, 10ms, 1h)) == plan{100, 150});
    strategy = settled(unmoved);
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 60, 10ms)) == plan{100, 150});
    strategy = settled(unmoved);
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 59, 10ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 10ms)) == plan{100, 150}); // and the count starts again
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 59, 10ms)) == a_probe{33, 99, 100});
}

} // namespace
