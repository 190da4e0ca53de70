// vegas_growth_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/growth.hpp" // first: the header is self-contained

#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::growth;
using flowguard::detail::vegas::limit_change;
using flowguard::detail::vegas::measurement;
using flowguard::vegas_options;

// A baseline of 10.
baseline ten() {
    baseline base;
    base.learn({.rtt = 10, .count = 100, .in_flight = 1});
    return base;
}

// A window in which the limit was used.
measurement bound(double rtt = 10) {
    return {.rtt = rtt, .count = 100, .bound = true, .reached = true};
}

// A window in which it was not.
measurement idle(double rtt = 10) {
    return {.rtt = rtt, .count = 100};
}

double next(growth& g, double limit, const measurement& m, double queue, double wanted, const vegas_options& o = {}) {
    return g.next(limit, m, queue, wanted, ten(), o).limit;
}

growth after_start() {
    growth g;
    g.end_quick_start();
    return g;
}

// ---- Quick start ----

TEST_CASE("The quick start doubles a limit that was reached with less than half of it in flight") {
    growth g;
    CHECK(next(g, 1, {.rtt = 10, .count = 100, .reached = true}, 0, 5) == 2.0);
    CHECK(next(g, 2, idle(), 0, 5) == 2.0);
    CHECK(g.is_quick());
    growth up_to = after_start();
    up_to.start_quickly_up_to(5);
    CHECK(next(up_to, 3, {.rtt = 10, .count = 100, .reached = true}, 0, 5) == 5.0);
}

TEST_CASE("The quick start doubles the limit, or quadruples it as far as 20 or the hint") {
    struct row {
        double limit;
        std::size_t hint;
        double next;
    };
    for (const row& r : std::vector<row>{{1, 20, 4},
                                         {1, 1, 4}, // 20 if the hint is less
                                         {4, 1, 16},
                                         {6, 1, 20}, // not 24
                                         {9, 1, 20},
                                         {10, 1, 20},
                                         {11, 1, 22}, // doubled where that leads beyond 20
                                         {16, 1, 32},
                                         {0.01, 1, 0.04},
                                         {20, 20, 40},
                                         {20, 1000, 80},
                                         {320, 1000, 1000}, // not 1280
                                         {80, 100, 160}, // doubled where that leads beyond the hint
                                         {1000, 1000, 2000}}) {
        CAPTURE(r.limit, r.hint);
        growth g;
        const limit_change change = g.next(r.limit, bound(), 0, 5, ten(), {.initial_limit = r.hint});
        CHECK(change.limit == r.next);
        CHECK(change.reason == std::string("quick start: no queue yet"));
        CHECK(g.is_quick());
    }
}

TEST_CASE("The first calls with each limit of a quick start are still to come, once") {
    growth g;
    CHECK_FALSE(g.warms_up()); // with the first limit, all calls are
    next(g, 4, bound(), 0, 3);
    CHECK(g.warms_up());
    CHECK(g.end_warm_up());
    CHECK_FALSE(g.warms_up());
    CHECK_FALSE(g.end_warm_up());
    next(g, 16, idle(), 0, 3); // the limit stays
    CHECK_FALSE(g.warms_up());
    next(g, 16, bound(100), 12, 3); // the end of the quick start
    next(g, 16, bound(), 0, 3);
    CHECK_FALSE(g.warms_up());
    g.start_quickly_up_to(100);
    CHECK(g.end_warm_up());
}

TEST_CASE("The quick start keeps the limit while demand is low") {
    growth g;
    CHECK(next(g, 20, idle(), 0, 5) == 20.0);
    CHECK(next(g, 20, idle(12.5), 9, 5) == 20.0); // whatever queues
    CHECK(g.is_quick());
    CHECK(next(g, 20, bound(), 0, 5) == 40.0);
}

TEST_CASE("The quick start goes on while the RTT is near the baseline, and does not begin again") {
    growth g;
    CHECK(next(g, 20, bound(12.5), 4, 5) == 40.0);
    CHECK(next(g, 40, {.bound = true, .reached = true}, 0, 5) == 80.0); // no RTT
    CHECK(next(g, 80, bound(12.6), 16, 12) == 78.0); // 80 − (16 − 12) / 2
    CHECK_FALSE(g.is_quick());
    CHECK(next(g, 78, bound(), 0, 12) == 84.0);
}

TEST_CASE("The quick start ends at once after a cut") {
    growth g;
    g.cut();
    CHECK_FALSE(g.is_quick());
    CHECK(next(g, 20, bound(), 0, 5) == 22.5);
}

TEST_CASE("Another quick start ends at the limit that is known") {
    growth g = after_start();
    g.start_quickly_up_to(100);
    CHECK(g.is_quick());
    CHECK(next(g, 30, bound(), 0, 10) == 60.0);
    CHECK(next(g, 60, bound(), 0, 10) == 100.0); // not 120
    CHECK(g.is_quick());
    CHECK(next(g, 100, bound(), 0, 10) == 105.0); // the whole limit is back: half of the wanted queue
    CHECK_FALSE(g.is_quick());

    g.start_quickly_up_to(100);
    CHECK(next(g, 30, bound(), 0, 10, {.initial_limit = 1000}) == 100.0); // 120 with the hint alone
    g.start_quickly_up_to(100);
    CHECK(next(g, 150, bound(), 0, 10) == 155.0); // the limit never falls by it
}

TEST_CASE("The quick start ends at the highest limit") {
    growth g;
    CHECK(next(g, 60, bound(), 0, 10, {.max_limit = 100}) == 100.0);
    CHECK(g.is_quick());
    next(g, 100, bound(), 0, 10, {.max_limit = 100});
    CHECK_FALSE(g.is_quick());
}

// The RTT of a batch: of so many in flight, it takes 10 · √(in flight / 10).
measurement batch(double in_flight, double rtt) {
    return {.rtt = rtt, .count = 100, .limit = in_flight, .in_flight = in_flight, .bound = true, .reached = true};
}

TEST_CASE("The quick start sees that throughput grows if the RTT rises by less than the root of what is in flight") {
    struct row {
        double in_flight; // after 10 with an RTT of 10
        double rtt;
        bool gains;
    };
    for (const row& r : std::vector<row>{{40, 10, true},
                                         {40, 19.9, true}, // twice at four times as much in flight is the root
                                         {40, 20.1, false},
                                         {40, 40, false}, // all of it queues
                                         {20, 14.1, true}, // 10 · √2 = 14.14
                                         {20, 14.2, false}}) {
        growth g;
        g.see(batch(10, 10));
        g.see(batch(r.in_flight, r.rtt));
        CAPTURE(r.in_flight, r.rtt);
        CHECK(g.gains() == r.gains);
    }
}

TEST_CASE("The quick start goes on while throughput grows, however high the RTT") {
    growth g;
    g.see(batch(20, 10));
    g.see(batch(80, 19));
    REQUIRE(g.gains());
    CHECK(next(g, 80, batch(80, 19), 38, 12) == 160.0);
    CHECK(g.is_quick());
    g.see(batch(160, 38)); // compared with the window before, and not with the first one
    CHECK_FALSE(g.gains());
    CHECK(next(g, 160, batch(160, 38), 118, 12) == 112.0); // by 30 %
    CHECK_FALSE(g.is_quick());
}

TEST_CASE("Throughput grows only in the quick start, where the limit binds") {
    growth late = after_start();
    late.see(batch(20, 10));
    late.see(batch(80, 10));
    CHECK_FALSE(late.gains());

    growth g;
    g.see(batch(20, 10));
    measurement demand = batch(80, 10);
    demand.bound = demand.reached = false;
    g.see(demand);
    CHECK_FALSE(g.gains());
    g.see(batch(240, 11)); // compared with that window all the same
    CHECK(g.gains());
}

TEST_CASE("Another quick start ends if the RTT rises") {
    growth g = after_start();
    g.start_quickly_up_to(100);
    CHECK(next(g, 50, bound(20), 25, 9) == 42.0); // 50 − (25 − 9) / 2
    CHECK_FALSE(g.is_quick());
}

// ---- Steps ----

TEST_CASE("The limit moves by half of what the queue has too much or too little") {
    struct row {
        double queue; // at a limit of 100, if 20 are wanted
        bool bound;
        double next;
    };
    for (const row& r : std::vector<row>{{0, true, 110},
                                         {8, true, 106},
                                         {13.9, true, 103.05},
                                         {14, true, 100}, // 0.7 of them is enough
                                         {20, true, 100},
                                         {20.5, true, 99.75},
                                         {60, true, 80},
                                         {80, true, 70},
                                         {90, true, 70}, // by 30 % at most
                                         {0, false, 100}, // it grows only if it was used
                                         {60, false, 80}}) {
        CAPTURE(r.queue, r.bound);
        growth g = after_start();
        // An RTT of 11 is 10 % above the baseline, so that no window counts as idle.
        CHECK(next(g, 100, r.bound ? bound(11) : idle(11), r.queue, 20) == Approx(r.next));
    }
}

TEST_CASE("The limit tells why it moves") {
    growth g = after_start();
    const auto why = [&](const measurement& m, double queue) {
        return std::string(g.next(100, m, queue, 20, ten(), {}).reason);
    };
    CHECK(why(bound(), 0) == "fewer requests queue than wanted");
    CHECK(why(bound(), 15) == "no reason to change the limit");
    CHECK(why(idle(), 0) == "no reason to change the limit");
    CHECK(why(bound(), 20) == "no reason to change the limit"); // as many as wanted
    CHECK(why(bound(), 25) == "more requests queue than wanted");
}

TEST_CASE("alpha and beta move the thresholds") {
    struct row {
        double alpha;
        double beta;
        double queue; // if 20 are wanted
        double next;
    };
    for (const row& r : std::vector<row>{{0.9, 1, 17, 101.5},
                                         {0.9, 1, 18, 100},
                                         {0.7, 3, 59, 100},
                                         {0.7, 3, 61, 79.5}, // 100 − (61 − 20) / 2
                                         {0, 1, 0, 100}, // never grows
                                         {2, 3, 30, 100}, // more than wanted is no reason to fall as it grows,
                                         {0, 0.5, 15, 100}, // nor to rise as it shrinks
                                         {0, 0, 0, 100}}) {
        CAPTURE(r.alpha, r.beta, r.queue);
        growth g = after_start();
        CHECK(next(g, 100, bound(11), r.queue, 20, {.alpha = r.alpha, .beta = r.beta}) == Approx(r.next));
    }
}

// ---- Big steps ----

// A window that leaves the limit at 100 grows by half of 12, or in a big step by 25.
double step_of(growth& g, const measurement& m = bound(), double queue = 0) {
    return next(g, 100, m, queue, 12) - 100;
}

growth after_two_idle_windows() {
    growth g = after_start();
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 6.0);
    return g;
}

TEST_CASE("The limit grows by a quarter from the third idle window running on") {
    growth g = after_two_idle_windows();
    CHECK(step_of(g) == 25.0);
    CHECK(step_of(g, bound(10.6), 3.9) == 25.0); // a queue below 12 / 3, and an RTT of up to 1.06 baselines
    CHECK(step_of(g, bound(1)) == 25.0);
}

TEST_CASE("The limit grows by the slack when that is more than a quarter") {
    growth g = after_two_idle_windows();
    CHECK(next(g, 100, bound(), 0, 30) == 130.0);
    CHECK(next(g, 100, bound(), 0, 24) == 125.0);
}

TEST_CASE("The count of windows in which nothing queues starts again when the limit did not bind") {
    growth g = after_two_idle_windows();
    CHECK(step_of(g, idle()) == 0.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 25.0);
}

TEST_CASE("The count of windows in which nothing queues starts again when a third of the slack did") {
    growth g = after_two_idle_windows();
    CHECK(step_of(g, bound(), 4) == 4.0); // half of 12 − 4
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 25.0);
}

TEST_CASE("The count of windows in which nothing queues starts again when the RTT rose by more than 6 %") {
    growth g = after_two_idle_windows();
    CHECK(step_of(g, bound(10.61)) == 6.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 25.0);
}

TEST_CASE("The count of windows in which nothing queues starts again with a cut") {
    growth g = after_two_idle_windows();
    g.cut();
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 6.0);
    CHECK(step_of(g) == 25.0);
}

} // namespace
