// vegas_target_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/target.hpp" // first: the header is self-contained

#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::queue_in;
using flowguard::detail::vegas::wanted_queue;
using flowguard::vegas_options;

// A baseline of 10, of RTTs with this variation.
baseline ten(double variation = 1) {
    baseline base;
    base.learn({.rtt = 10, .count = 100, .variation = variation, .in_flight = 1});
    return base;
}

TEST_CASE("What is in flight for longer than the baseline queues") {
    struct row {
        double rtt;
        double in_flight;
        double queue;
    };
    for (const row& r : std::vector<row>{{20, 100, 50},
                                         {12.5, 100, 20},
                                         {40, 8, 6},
                                         {10, 100, 0},
                                         {5, 100, 0}, // shorter than the baseline
                                         {0, 100, 0}, // not known
                                         {20, 0, 0}}) {
        CAPTURE(r.rtt, r.in_flight);
        CHECK(queue_in({.rtt = r.rtt, .in_flight = r.in_flight}, ten()) == Approx(r.queue));
    }
    CHECK(queue_in({.rtt = 20, .in_flight = 100}, baseline{}) == 100.0); // nothing says that anything is served
}

TEST_CASE("The wanted queue is 3 + 0.6 √busy + busy / 10 where service times vary") {
    struct row {
        double limit;
        double queue;
        double wanted;
    };
    for (const row& r : std::vector<row>{{100, 0, 19}, // 3 + 0.6 · 10 + 10
                                         {100, 19, 16.5}, // 81 are busy: 3 + 0.6 · 9 + 8.1
                                         {100, 36, 14.2}, // 64: 3 + 0.6 · 8 + 6.4
                                         {10'000, 0, 1063}, // 3 + 0.6 · 100 + 1000
                                         {100, 100, 3},
                                         {100, 150, 3}}) { // no more than the limit can queue
        CAPTURE(r.limit, r.queue);
        CHECK(wanted_queue(r.limit, r.queue, r.limit, ten(), 1, {}) == Approx(r.wanted));
    }
    CHECK(wanted_queue(100, 0, 100, ten(), 1, {.slack_floor = 30}) == Approx(46));
    CHECK(wanted_queue(100, 0, 100, ten(), 1, {.slack_factor = 1}) == Approx(23));
    CHECK(wanted_queue(100, 0, 100, ten(), 1, {.slack_floor = 2, .slack_factor = 0}) == Approx(12));
}

TEST_CASE("The wanted queue is one request where all work takes the same time") {
    CHECK(wanted_queue(100, 0, 100, ten(0), 1, {}) == Approx(1));
    CHECK(wanted_queue(100, 0, 100, ten(0.25), 1, {}) == Approx(5.5)); // 0.75 + 0.25 · 19
    CHECK(wanted_queue(100, 0, 100, ten(0.5), 1, {}) == Approx(10)); // 0.5 + 0.5 · 19
    CHECK(wanted_queue(100, 0, 100, ten(1.6), 1, {}) == Approx(19)); // a variation of more than 1 counts as 1
    CHECK(wanted_queue(100, 0, 100, baseline{}, 1, {}) == Approx(19)); // and so does one that is not known
}

TEST_CASE("The wanted queue is at most half of what is in flight") {
    struct row {
        double limit;
        double in_flight;
        double wanted;
    };
    for (const row& r : std::vector<row>{{100, 40, 19}, // 20 would be allowed
                                         {100, 24, 12},
                                         {100, 10, 5},
                                         {25, 100, 8.5}, // 3 + 0.6 · 5 + 2.5; there cannot be more than 12.5
                                         {4, 100, 2}, // half of the limit, 3 + 0.6 · 2 + 0.4 = 4.6 otherwise
                                         {100, 0, 19}, // not known: the limit counts
                                         {100, -1, 19}}) {
        CAPTURE(r.limit, r.in_flight);
        CHECK(wanted_queue(r.limit, 0, r.in_flight, ten(), 1, {}) == Approx(r.wanted));
    }
}

TEST_CASE("The slack is at most half of the limit") {
    // 3 + 0.6 · √6.25 + 6.25 / 10 = 5.125 would be more.
    CHECK(wanted_queue(6.25, 0, 6.25, ten(), 1, {}) == Approx(3.125));
    CHECK(wanted_queue(1, 0, 1, ten(), 1, {}) == Approx(0.5));
    CHECK(wanted_queue(1, 0, 1, ten(0), 1, {}) == Approx(0.5)); // though one request is wanted where nothing varies
}

TEST_CASE("The slack may be 1.2 however little is in flight") {
    CHECK(wanted_queue(4, 0, 2, ten(), 1, {}) == Approx(1.2)); // not 1
    CHECK(wanted_queue(4, 0, 1, ten(), 1, {}) == Approx(1.2));
    CHECK(wanted_queue(4, 0, 0.1, ten(), 1, {}) == Approx(0.3)); // no more than that and a fifth of a request
    CHECK(wanted_queue(100, 0, 2, ten(), 1, {}) == Approx(1.2));
    CHECK(wanted_queue(100, 0, 2.6, ten(), 1, {}) == Approx(1.3));
    CHECK(wanted_queue(2, 0, 1, ten(), 1, {}) == Approx(1)); // but no more than half of the limit
    CHECK(wanted_queue(4, 0, 2, ten(0), 1, {}) == Approx(1)); // where nothing varies, one is enough
}

TEST_CASE("The wanted queue is at most the share by which waits vary, or 15 %, and a fifth of a request") {
    struct row {
        double limit;
        double in_flight;
        double varying_wait;
        double wanted;
    };
    for (const row& r : std::vector<row>{{100, 100, 1, 19}, // 3 + 0.6 · 10 + 10
                                         {100, 100, 0.2, 19}, // 20.2 would be allowed
                                         {100, 100, 0.18, 18.2},
                                         {100, 100, 0.15, 15.2},
                                         {100, 100, 0.14, 15.2}, // at least 15 %
                                         {100, 100, 0, 15.2},
                                         {100, 40, 0, 6.2}, // of what is in flight,
                                         {25, 100, 0, 3.95}, // which is no more than the limit
                                         {1, 1, 0, 0.35},
                                         {0.5, 0.5, 0, 0.25}, // half of the limit, not 0.275
                                         {0.01, 0.01, 0, 0.005}}) {
        CAPTURE(r.limit, r.in_flight, r.varying_wait);
        CHECK(wanted_queue(r.limit, 0, r.in_flight, ten(), r.varying_wait, {}) == Approx(r.wanted));
    }
    CHECK(wanted_queue(100, 0, 100, ten(0), 0, {}) == Approx(1)); // as where all work takes the same time
}

} // namespace
