// vegas_strategy_probe_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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
using support::a_window;
using support::bound_window;
using support::closed_at;
using support::idle_window;
using support::settled;
using support::settled_with_waits;
using support::usual_time;
using support::wide;
using support::window_of_scheduled;
using support::with_drops;
using support::with_low;
using support::with_wide_low;

TEST_CASE("A probe comes before a big cut") {
    vegas_strategy strategy = settled_with_waits();
    // Queue 50 > 2 × 12.24 + 10; slack 3 + 0.6 · √50 + 50 / 10 = 12.24.
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.current_limit() == 100);
    // It confirms the baseline: 100 − (50 − 12.24) / 2 = 81.12.
    CHECK(strategy.update(wide(bound_window(33, 10ms))) == a_window{81, 121});
}

TEST_CASE("A probe does not come before eight lengths of a probe have passed") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 239ms)) == a_window{81, 121});
    strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 241ms)) == a_probe{33, 99, 100}); // 8 × 99 / 33 × 10 ms = 240 ms
}

TEST_CASE("A probe is not for a small excess") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 12'500us, 250ms)) == a_window{98, 147}); // queue 20 < 2 × 16.37 + 10
}

TEST_CASE("A probe is a third of what is in flight, when that is less than the limit") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(idle_window(100, 60, 40ms, 250ms)) == a_probe{20, 60, 100}); // queue 45 > 2 × 12.9 + 10
}

TEST_CASE("A probe in which the RTT falls with the concurrency only queued, and is looked below") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 30ms, 250ms)) == a_probe{33, 99, 100});
    // ln(30 / 11) = 1.00 > 0.65 · ln(100 / 33) = 0.72: 1.3 × 33 = 42.9.
    CHECK(strategy.update(bound_window(33, 11ms)) == a_probe{11, 60, 43});
    CHECK(strategy.current_limit() == 43);
    CHECK(strategy.update(bound_window(11, 10ms)) == a_window{43, 100});
}

TEST_CASE("After a window with a queue, the first one with as high a limit, a probe cuts nothing") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(wide(bound_window(100, 10ms))) == a_window{110, 165}); // calm
    CHECK(strategy.update(wide(bound_window(110, 60ms, 250ms))) == a_probe{36, 108, 110});
    CHECK(strategy.update(wide(bound_window(36, 10ms))) == a_window{110, 165}); // the service may have paused
    CHECK(strategy.reason() == std::string("probe ended: little had queued until then"));
}

TEST_CASE("A second window with a queue is no pause") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(wide(bound_window(100, 60ms, 10ms))) == a_window{70, 105}); // no probe so soon
    CHECK(strategy.update(wide(bound_window(70, 60ms, 400ms))) == a_probe{23, 69, 70});
    CHECK(strategy.update(wide(bound_window(23, 10ms))) == a_probe{7, 60, 30}); // 1.3 × 23
}

TEST_CASE("A probe in which the RTT stays shows that the service became slower, and costs no concurrency") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 40ms, 250ms))) == a_probe{33, 99, 100});
    // Or that others keep the queue up. So the limit is held,
    CHECK(strategy.update(wide(bound_window(33, 40ms))) == a_window{100, 150});
    CHECK(strategy.reason() == std::string("probe ended: little had queued until then"));
    CHECK(strategy.baseline() == 10ms);
    // until a probe at a common instant shows the same. It comes soon, though a probe has just been: eight probes take
    // 8 · 99 / 33 · 10 ms = 240 ms, so the period is 2²⁸ ns, the power of two that is closest.
    constexpr duration next_instant = 321'000 * duration{std::int64_t{1} << 28};
    const plan p = strategy.update(closed_at(next_instant - 200ms, wide(bound_window(100, 40ms))));
    CHECK(p == a_window{100, 150});
    REQUIRE(p.scheduled.begins_in == 200ms);
    const plan after = strategy.update(wide(window_of_scheduled(p, next_instant - 200ms, 40ms)));
    CHECK(strategy.baseline() == 40ms);
    CHECK(after == a_window{108, 162}); // nothing queued: half of the slack more, 0.15 · 100 + 0.2 = 15.2
    CHECK(strategy.queue_estimate() == Approx(0).margin(1e-9));
}

TEST_CASE("One probe at a common instant is not enough to believe in a slower service") {
    vegas_strategy strategy = settled();
    const plan first = strategy.update(wide(bound_window(100, 12ms, 1h)));
    REQUIRE(first.scheduled.begins_in > 0ns);
    strategy.update(wide(window_of_scheduled(first, support::usual_time, 40ms)));
    CHECK(strategy.baseline() == 10ms);
    const duration later = support::usual_time + first.scheduled.begins_in + 1s;
    const plan second = strategy.update(closed_at(later, wide(bound_window(100, 40ms, 1s))));
    REQUIRE(second.scheduled.begins_in > 0ns);
    strategy.update(wide(window_of_scheduled(second, later, 40ms)));
    CHECK(strategy.baseline() == 40ms);
}

TEST_CASE("A deeper probe that follows one at a common instant counts as such, too") {
    // With fewer requests in flight, the RTT falls to 20 ms, and no further.
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 40ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 25ms)) == a_probe{11, 60, 100});
    CHECK(strategy.update(bound_window(11, 20ms)) == a_window{100, 150});
    CHECK(strategy.baseline() == 10ms);
    const plan p = strategy.update(bound_window(100, 40ms));
    REQUIRE(p.scheduled.begins_in > 0ns);
    CHECK(strategy.update(window_of_scheduled(p, support::usual_time, 25ms)) == a_probe{11, 60, 100});
    strategy.update(bound_window(11, 20ms));
    CHECK(strategy.baseline() == 20ms);
}

TEST_CASE("A suspicion is over as soon as the RTT is back, or a probe shows the baseline") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 40ms, 250ms))) == a_probe{33, 99, 100});
    const plan held = strategy.update(wide(bound_window(33, 40ms)));
    REQUIRE(held == a_window{100, 150});
    vegas_strategy back = strategy;
    CHECK(back.update(bound_window(100, 10ms, 250ms)).limit > 100);
    const plan next = strategy.update(wide(bound_window(100, 40ms)));
    REQUIRE(next == a_window{100, 150});
    strategy.update(wide(window_of_scheduled(next, support::usual_time, 10ms))); // the queue was that of others
    CHECK(strategy.baseline() == 10ms);
    CHECK(strategy.current_limit() == 43); // 1.3 · 33: in the probe, only queue was taken away
}

TEST_CASE("A suspicion does not outlast the service that it was about") {
    // In an outage that follows, and after it, the limit is not held.
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 40ms, 250ms))) == a_probe{33, 99, 100});
    REQUIRE(strategy.update(wide(bound_window(33, 40ms))) == a_window{100, 150});
    for (int i = 0; i < 10; ++i)
        strategy.update(with_drops(bound_window(strategy.current_limit(), 10ms), 100, 1s));
    CHECK(strategy.current_limit() == 1);
    for (int i = 0; i < 10; ++i)
        strategy.update(wide(bound_window(strategy.current_limit(), 40ms, 1s)));
    CHECK(strategy.current_limit() >= 50);
}

TEST_CASE("Where a deeper probe shows a longer RTT than the one before, the shorter one counts") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(wide(bound_window(100, 30ms, 250ms))) == a_probe{33, 99, 100});
    CHECK(strategy.update(wide(bound_window(33, 11ms))) == a_probe{11, 60, 43});
    // Other clients have more in flight again.
    CHECK(strategy.update(wide(bound_window(11, 35ms))) == a_window{43, 100});
    CHECK(strategy.baseline() > 10ms);
    CHECK(strategy.baseline() <= 11ms);
    CHECK(strategy.reason() == std::string("probe ended"));
}

TEST_CASE("A probe raises the baseline only where that makes much of a difference") {
    vegas_strategy strategy = settled_with_waits();
    // Queue 100 · (1 − 10 / 16.26) = 38.50, less than three slacks (the RTTs do not spread, so this looks like a wait):
    // 3 + 0.6 · √61.50 + 61.50 / 10 = 13.86.
    CHECK(strategy.update(bound_window(100, 16'260us, 250ms)) == a_probe{33, 99, 100});
    const plan p = strategy.update(bound_window(33, 16'260us));
    CHECK(p == a_window{88, 132}); // 100 − 24.64 / 2 = 87.68
    CHECK(strategy.baseline() == 10ms);

    strategy = settled_with_waits();
    // Queue 100 · (1 − 10 / 18) = 44.44, more than three slacks: 3 + 0.6 · √55.56 + 55.56 / 10 = 13.03.
    CHECK(strategy.update(bound_window(100, 18ms, 1h)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 18ms));
    CHECK(strategy.reason() == std::string("probe ended: a slower service, or the queue of others"));
}

TEST_CASE("A probe in which the RTT hardly fell is one measurement with the window before it") {
    // The RTTs vary so much that no mean here is clearly above the baseline of 500 samples.
    const auto baseline_after = [](duration before, duration in_probe, std::uint32_t samples) {
        vegas_strategy strategy = settled();
        REQUIRE(strategy.update(wide(bound_window(100, before, 250ms))) == a_probe{33, 99, 100});
        window low = bound_window(33, in_probe);
        low.admitted = low.all.samples = samples;
        strategy.update(wide(low));
        return strategy.baseline();
    };
    // ln(19 / 17.5) = 0.082 < 0.15 · ln(100 / 33) = 0.166: (500 · 10 + 100 · 19 + 50 · 17.5) / 650.
    CHECK(baseline_after(19ms, 17'500us, 50) == 11'961'538ns);
    // The RTT may also have risen by chance: ln(19.5 / 18) = 0.080, (500 · 10 + 100 · 18 + 60 · 19.5) / 660.
    CHECK(baseline_after(18ms, 19'500us, 60) == 12'075'757ns);
    // ln(20 / 16) = 0.223: then the probe counts alone.
    CHECK(baseline_after(20ms, 16ms, 100) == 11ms);
}

TEST_CASE("A probe in which the RTT fell, but not to the baseline, is followed by a deeper one") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 40ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 20ms)) == a_probe{11, 60, 100}); // ln 2 = 0.69 < 0.72
    CHECK(strategy.update(bound_window(11, 20ms)) == a_window{100, 150});
    CHECK(strategy.update(bound_window(100, 20ms)) == a_window{100, 150});
    CHECK(strategy.reason() == std::string("a slower service, or the queue of others: a probe will tell"));
}

TEST_CASE("A probe that reads the baseline is not followed by a deeper one, even where it took away a queue") {
    // 10 ms are known from at most a third of a limit that was lower; then there is demand.
    vegas_strategy strategy{20};
    CHECK(strategy.update(with_wide_low(idle_window(15, 4, 10ms), 30, 10ms)) == a_window{20, 60});
    // Queue 20 · (1 − 10 / 30) = 13.33 > 2 × 3.2 + 2; slack 0.15 · 20 + 0.2 = 3.2, for the waits do not vary.
    CHECK(strategy.update(bound_window(20, 30ms)) == a_probe{6, 60, 20});

    // ln(30 / 11.1) = 0.99 > 0.65 · ln(20 / 6) = 0.78, and more than 10 % from the baseline: 1.3 × 6 = 7.8.
    vegas_strategy queueing = strategy;
    CHECK(queueing.update(bound_window(6, 11'100us)) == a_probe{2, 40, 8});

    // As short as it gets. The quick start ends, and all that is too much goes at once, but no more than half of the
    // limit: 20 − (13.33 − 3.2) = 9.87.
    CHECK(strategy.update(wide(bound_window(6, 10ms))) == a_window{10, 100});
}

TEST_CASE("A probe that demand did not fill takes away no queue, and neither cuts the limit nor is looked below") {
    struct row {
        double in_flight; // in the probe, at a limit of 20
        duration rtt;
        std::size_t limit; // after it
    };
    // A twentieth of the calls timed out after 610 ms: 10 + 0.05 · 600 = 40 ms with 60 in flight, and the baseline is
    // 10 ms. Queue 60 · (1 − 10 / 40) = 45, slack 3 + 0.6 · √55 + 55 / 10 = 12.95: 100 − 32.05 / 2 = 83.98.
    for (const row& r : std::vector<row>{{8, 10ms, 84}, // ln(40 / 10) = 1.39 > 0.65 · ln(60 / 8) = 1.31
                                         {9, 11'500us, 84},
                                         {2, 10ms, 84}, // ln(40 / 10) < 0.65 · ln(60 / 2) = 2.21
                                         {12, 14ms, 85},
                                         {20, 11'500us, 26}}) { // it did: 1.3 × 20
        CAPTURE(r.in_flight, r.rtt.count());
        vegas_strategy strategy = settled_with_waits();
        REQUIRE(strategy.update(with_drops(idle_window(100, 60, 10ms, 250ms), 5, 610ms)) == a_probe{20, 60, 100});
        const window probe = r.in_flight < 20 ? idle_window(20, r.in_flight, r.rtt) : bound_window(20, r.rtt);
        const plan next = strategy.update(wide(probe));
        CHECK((next.then > 0) == (r.in_flight == 20));
        CHECK(strategy.current_limit() == r.limit);
    }
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
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)).within == 3 * 20ms * 99 / 33 + 10 * 20ms);
    CHECK(settled().update(bound_window(100, 20ms)).within == 0ns); // no probe

    // Some calls hung for an hour, or the machine stood still: that is no measure of how long a probe takes.
    CHECK(settled().update(bound_window(100, 1h, 250ms)).within == 3 * 100ms * 99 / 33 + 10 * 100ms);
    vegas_strategy instant{20}; // all in no time, and then in 1 µs
    instant.update(bound_window(20, 0ns, 0ns));
    instant.update(bound_window(40, 1us));
    CHECK(instant.update(bound_window(40, 1us)).within == 1ms);
}

TEST_CASE("A probe's bound is from the RTTs of the successes, not from the time-outs of an outage") {
    // A fifth of the requests is dropped after 10 s, and the others take 20 ms. The limit is cut to 80, and the probe
    // has 78 admissions at a limit of 26.
    vegas_strategy strategy = settled_with_waits();
    const plan probe = strategy.update(with_drops(bound_window(100, 20ms, 250ms), 20, 10s));
    REQUIRE(probe == a_probe{26, 78, 80});
    CHECK(probe.within == 3 * 20ms * 78 / 26 + 10 * 20ms);
}

TEST_CASE("A probe that less than half of its admissions were for says nothing, and changes nothing") {
    for (const std::size_t admitted : {std::size_t{0}, std::size_t{1}, std::size_t{49}}) {
        vegas_strategy strategy = settled_with_waits();
        REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
        CHECK(strategy.update(cut_short(admitted, 380ms)) == a_window{100, 150});
        CHECK(strategy.reason() == std::string("probe failed: too few requests ended"));
        CHECK(strategy.baseline() == 10ms);
        CHECK(strategy.current_limit() == 100);
    }
    vegas_strategy strategy = settled_with_waits();
    REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(cut_short(50, 380ms)); // half is enough
    CHECK(strategy.reason() == std::string("more requests queue than wanted"));
}

TEST_CASE("A probe that failed is not tried again before a hundred times as long") {
    const auto waited_after = [](duration length) {
        vegas_strategy strategy = settled_with_waits();
        plan next = strategy.update(bound_window(100, 20ms, 250ms));
        REQUIRE(next == a_probe{33, 99, 100});
        REQUIRE(next.within == 380ms);
        next = strategy.update(cut_short(0, length));
        duration waited{};
        for (; next.then == 0 && waited < 1h; waited += 1s)
            next = strategy.update(bound_window(next.limit, 20ms, 1s)); // calls for a probe as loudly as any
        return waited;
    };
    CHECK(waited_after(380ms) == 38s);
    CHECK(waited_after(1h) == 38s); // the machine stood still: that is no part of the probe
}

TEST_CASE("The quick start ends where its probe fails") {
    vegas_strategy strategy{20};
    strategy.update(bound_window(20, 10ms));
    strategy.update(bound_window(40, 40ms)); // the first calls
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

TEST_CASE("The quick start ends where its probe finds a longer RTT than there was before") {
    // The guards of others are starting as well, and their queue grows.
    vegas_strategy strategy{20};
    strategy.update(bound_window(20, 10ms));
    strategy.update(bound_window(40, 40ms)); // the first calls
    REQUIRE(strategy.update(bound_window(40, 40ms)) == a_probe{13, 60, 40});
    strategy.update(bound_window(13, 40ms));
    CHECK(strategy.baseline() == 10ms);
    for (int i = 0; i < 3; ++i) {
        strategy.update(bound_window(strategy.current_limit(), 40ms));
        CHECK(strategy.reason() != std::string("quick start: no queue yet"));
    }
    CHECK(strategy.current_limit() < 80);
}

TEST_CASE(
    "The quick start goes on where throughput grew much with the limit, though few RTTs that vary seem to queue") {
    struct row {
        duration queued; // the RTT with 40 calls at once, after 10 ms with 20
        duration probed; // in a probe with 13
        bool is_wide;
        std::size_t limit; // after it
        bool goes_on;
    };
    for (const row& r :
         std::vector<row>{{25ms, 18ms, true, 80, true}, // ln(25 / 18) < 0.3 · ln(40 / 13) = 0.337
                          {25ms, 17'800us, true, 40, false}, // 0.340
                          {25ms, 18ms, false, 40, false}, // such RTTs are no luck
                          {26ms, 19ms, true, 40, false}, // so long an RTT is no luck, either
                          {25ms, 60ms, true, 40, false}}) { // clearly above the baseline: others queue as well
        CAPTURE(r.queued.count(), r.probed.count(), r.is_wide);
        const auto spread = [&](const window& w) { return r.is_wide ? wide(w) : w; };
        vegas_strategy strategy{20};
        strategy.update(spread(bound_window(20, 10ms)));
        strategy.update(spread(bound_window(40, r.queued))); // the first calls
        REQUIRE(strategy.update(spread(bound_window(40, r.queued))) == a_probe{13, 60, 40});
        strategy.update(spread(bound_window(13, r.probed)));
        CHECK((strategy.reason() == std::string("quick start: much more throughput than in the probe")) == r.goes_on);
        CHECK(strategy.current_limit() == r.limit);
    }
}

TEST_CASE("A probe that the next window does not show is forgotten") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(100, 10ms)) == a_window{110, 165}); // 100 + 19 / 2
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("A probe whose window says nothing is forgotten") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    window nothing;
    nothing.admitted = nothing.ignored = 99;
    nothing.limit = 33;
    nothing.closed_at = usual_time;
    CHECK(strategy.update(nothing) == a_window{100, 150});
    CHECK(strategy.current_limit() == 100);
    // A window like that of the probe is an ordinary one now. Queue 33 · (1 − 10 / 30) = 22, slack
    // 3 + 0.6 · √78 + 78 / 10 = 16.10: 100 − 5.90 / 2 = 97.05.
    CHECK(strategy.update(bound_window(33, 30ms)) == a_window{97, 145});
    CHECK(strategy.queue_estimate() == Approx(22));
    CHECK(strategy.baseline() == 10ms);
}

// The limit stays whatever queues, and cannot grow, so that scheduled probes are all that happens.
const vegas_options unmoved{.initial_limit = 100, .max_limit = 100, .alpha = 0, .beta = 1e6};

// An RTT that shows a queue, or nothing to probe for; with a third in flight it is 10 ms.
constexpr duration steady = 12ms;

// The period for a probe of 30 ms that takes 1 % of the time: log2(3e9 ns) is 31.48, so it is 2³¹ ns.
constexpr duration period{std::int64_t{1} << 31};

// The latest common instant before usual_time: 86.4e12 / 2³¹ is 40'233.1.
constexpr duration instant = 40'233 * period;

// When the next scheduled probe begins, if a window is closed at `time`; 0 if there is none.
duration scheduled_after(vegas_strategy& strategy, duration time, window w = bound_window(100, steady)) {
    const plan p = strategy.update(closed_at(time, w));
    REQUIRE(p.then == 0);
    return p.scheduled.begins_in > 0ns ? time + p.scheduled.begins_in : 0ns;
}

// A strategy with a limit of 100 and a baseline of 10 ms. There was no probe yet, so that the next one may be at any
// instant.
vegas_strategy rested() {
    vegas_strategy strategy{unmoved};
    strategy.update(wide(bound_window(20, 10ms)));
    strategy.update(wide(bound_window(80, 10ms)));
    REQUIRE(strategy.current_limit() == 100);
    strategy.update(bound_window(100, steady, 1h));
    return strategy;
}

TEST_CASE("A scheduled probe begins at the next common instant, whenever the window before it was closed") {
    vegas_strategy strategy = rested();
    CHECK(scheduled_after(strategy, instant) == instant + period);
    CHECK(scheduled_after(strategy, instant + 1ms) == instant + period);
    CHECK(scheduled_after(strategy, instant + 2s) == instant + period);
    CHECK(scheduled_after(strategy, instant + period) == instant + 2 * period);
}

TEST_CASE("A scheduled probe has the limit, the length and the bound of any other") {
    vegas_strategy strategy = rested();
    const plan p = strategy.update(closed_at(instant, bound_window(100, steady)));
    CHECK(p == a_window{100, 150});
    CHECK(p.scheduled.begins_in == period);
    CHECK(p.scheduled.limit == 33);
    CHECK(p.scheduled.admissions == 99);
    CHECK(p.scheduled.within == 3 * steady * 99 / 33 + 10 * steady);
    CHECK(p.scheduled.spacing == 0ns);
}

TEST_CASE("The window of a scheduled probe is recognised, and teaches the baseline") {
    vegas_strategy strategy = rested();
    const window probe = wide(bound_window(33, 9ms, 30ms));
    REQUIRE(scheduled_after(strategy, instant) == instant + period);
    strategy.update(closed_at(instant + period + 30ms, probe));
    CHECK(strategy.baseline() < 10ms);
    CHECK(strategy.baseline() > 9ms);
    CHECK(strategy.current_limit() == 100);
    CHECK(strategy.queue_estimate() > 0.0); // that of the window before the probe
}

TEST_CASE("A second scheduled probe is believed though its RTT rose, for no queue of other clients is left in it") {
    vegas_strategy strategy = rested();
    REQUIRE(scheduled_after(strategy, instant) == instant + period);
    strategy.update(closed_at(instant + period + 30ms, bound_window(33, 13ms, 30ms)));
    CHECK(strategy.baseline() == 10ms);
    const duration second = scheduled_after(strategy, instant + period + 1s, bound_window(100, 14ms));
    REQUIRE(second > 0ns);
    strategy.update(closed_at(second + 30ms, bound_window(33, 13ms, 30ms)));
    CHECK(strategy.baseline() == 13'500us); // (100 · 14 + 100 · 13) / 200, as the RTT did not fall in it
}

TEST_CASE("A window is that of a scheduled probe only with its limit and spacing, and mostly after the instant") {
    const auto is_probe = [](window w, duration time) {
        vegas_strategy strategy = rested();
        REQUIRE(scheduled_after(strategy, instant) == instant + period);
        strategy.update(closed_at(time, w)); // of a probe, the queue is that of the window before it
        return strategy.queue_estimate() == Approx(100 * (1 - strategy.baseline() / (1.0 * steady))).epsilon(0.1);
    };
    const window probe = bound_window(33, 10ms, 30ms);
    CHECK(is_probe(probe, instant + period + 30ms));
    CHECK(is_probe(probe, instant + period + 15ms)); // the host may have begun a little early
    CHECK_FALSE(is_probe(probe, instant + period + 15ms - 1ns));
    CHECK_FALSE(is_probe(probe, instant + period)); // it ended before the instant
    CHECK_FALSE(is_probe(bound_window(34, 10ms, 30ms), instant + period + 30ms));
    CHECK_FALSE(is_probe(bound_window(100, 10ms, 30ms), instant + period + 30ms));
    window paced = probe;
    paced.spacing = 1ms;
    CHECK_FALSE(is_probe(paced, instant + period + 30ms));
}

TEST_CASE("A scheduled probe that failed is followed by a pause") {
    vegas_strategy strategy = rested();
    REQUIRE(scheduled_after(strategy, instant) == instant + period);
    const duration begun = instant + period + 195ms;
    strategy.update(closed_at(begun, cut_short(0, 195ms)));
    CHECK(strategy.reason() == std::string("probe failed: too few requests ended"));
    CHECK(scheduled_after(strategy, begun + 19s, bound_window(100, steady, 19s)) == 0ns);
    CHECK(scheduled_after(strategy, begun + 20s, bound_window(100, steady, 1s)) > begun + 20s);
}

TEST_CASE("The strategy schedules no probe less than half a period after the latest") {
    // A probe ended just now.
    const auto next_after = [](duration time) {
        vegas_strategy strategy = rested();
        const duration at = scheduled_after(strategy, time - 1s);
        strategy.update(closed_at(at + 30ms, wide(bound_window(33, 10ms, 30ms))));
        return scheduled_after(strategy, time);
    };
    CHECK(next_after(instant + 1s) == instant + period); // 1.147 s are left, and 1.074 s are enough
    CHECK(next_after(instant + 1100ms) == instant + 2 * period);
}

TEST_CASE("Scheduled probes take 1 % of the time") {
    vegas_strategy strategy = rested();
    duration time = instant;
    constexpr int probes = 100;
    for (int i = 0; i < probes; ++i) {
        duration next = scheduled_after(strategy, time);
        while (next - time > 100ms) { // ordinary windows until the instant
            time += 100ms;
            next = scheduled_after(strategy, time, bound_window(100, steady, 100ms));
        }
        time = next + 30ms;
        strategy.update(closed_at(time, wide(bound_window(33, 10ms, 30ms))));
        REQUIRE(strategy.baseline() == 10ms);
    }
    // 30 ms in 2³¹ ns are 1.4 %: the period is the power of two that is closest to 3 s.
    CHECK(time - instant == probes * period + 30ms);
}

TEST_CASE("Guards of one server probe at common instants, though their RTTs and shares differ") {
    // Baselines of 10 ms and of 45 ms: the probes have 30 and 135 ms, and the periods are 2³¹ and 2³⁴ ns.
    const auto next_of = [](duration rtt, duration time) {
        vegas_strategy strategy{unmoved};
        strategy.update(wide(bound_window(20, rtt)));
        strategy.update(wide(bound_window(100, rtt)));
        return scheduled_after(strategy, time, bound_window(100, rtt, 1h));
    };
    const duration fast = next_of(10ms, instant);
    const duration slow = next_of(45ms, instant);
    CHECK(fast.count() % period.count() == 0);
    CHECK(slow.count() % period.count() == 0);
    CHECK(slow > fast);
    CHECK(next_of(10ms, slow - 1ms) == slow); // the instants of the slower one are instants of the faster one
}

TEST_CASE("Scheduled probes are spared where demand is low or shows the baseline itself") {
    vegas_strategy strategy = rested();
    CHECK(scheduled_after(strategy, instant, idle_window(100, 40, 10ms, 1h)) == 0ns);
    // Half a period is too short after 60 samples at low concurrency, which are as good as a probe, but not after 59.
    const duration late = instant + 1500ms;
    strategy = rested();
    CHECK(scheduled_after(strategy, late, with_low(bound_window(100, steady), 60, 10ms)) == instant + 2 * period);
    strategy = rested();
    CHECK(scheduled_after(strategy, late, with_low(bound_window(100, steady), 59, 10ms)) == instant + period);
}

TEST_CASE("There is no scheduled probe in the quick start, nor beside one that begins at once") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(bound_window(20, 10ms)).scheduled == decltype(plan::scheduled){});
    CHECK(settled().update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100}); // which compares the schedule
}

} // namespace
