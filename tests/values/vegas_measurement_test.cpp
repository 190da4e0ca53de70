// vegas_measurement_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/measurement.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::vegas::measure;
using flowguard::detail::vegas::measure_low;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::pooled;
using flowguard::detail::vegas::share_of_drops;
using flowguard::duration;
using flowguard::window;
using support::bound_window;
using support::used_window;
using support::with_drops;

constexpr double ms = 1e6; // nanoseconds

TEST_CASE("A measurement has the numbers of a window") {
    window w = bound_window(50, 10ms);
    w.length = 30ms;
    const measurement m = measure(w);
    CHECK(m.has_rtt());
    CHECK(m.rtt == 10 * ms);
    CHECK(m.success_rtt == 10 * ms);
    CHECK(m.count == 100.0);
    CHECK(m.variation == 0.0);
    CHECK(m.ended == 100.0);
    CHECK(m.drops == 0.0);
    CHECK(m.limit == 50.0);
    CHECK(m.in_flight == 50.0);
    CHECK(m.bound);
    CHECK(m.length == 30 * ms);
}

TEST_CASE("A measurement of an empty window has no RTT, and a limit of at least one") {
    const measurement m = measure({});
    CHECK_FALSE(m.has_rtt());
    CHECK(m.rtt == 0.0);
    CHECK(m.ended == 0.0);
    CHECK(m.drops == 0.0);
    CHECK(m.limit == 1.0);
    CHECK(m.in_flight == 0.0);
    CHECK_FALSE(m.bound);
}

TEST_CASE("A measurement without a success has drops, but no RTT") {
    const measurement m = measure(with_drops(bound_window(50, 10ms), 100, 1s));
    CHECK_FALSE(m.has_rtt());
    CHECK(m.rtt == 0.0);
    CHECK(m.success_rtt == 0.0);
    CHECK(m.ended == 100.0);
    CHECK(m.drops == 1.0);
}

TEST_CASE("A measurement of one sample has no variation") {
    window w;
    w.all.samples = 1;
    w.all.mean = 10ms;
    w.all.histogram.add(10ms);
    CHECK(measure(w).count == 1.0);
    CHECK(measure(w).variation == 0.0);
}

TEST_CASE("A measurement has the variation of the successes") {
    window w = bound_window(50, 8ns); // short enough for buckets of one nanosecond
    w.all.histogram = {};
    w.all.histogram.add(2ns, 50);
    w.all.histogram.add(6ns, 50);
    CHECK(measure(w).variation == Approx(0.5)); // 2 of 4 ns
}

TEST_CASE("Prompt drops weigh by the time for which they held permits") {
    struct row {
        std::uint32_t dropped; // of 100; the others take 10 ms
        duration after;
        double share;
    };
    for (const row& r : std::vector<row>{{0, 0ms, 0},
                                         {20, 10ms, 0.2},
                                         {20, 100ms, 0.2}, // not more than by their number
                                         {50, 2ms, 100.0 / 600}, // of the time
                                         {20, 1ms, 20.0 / 820},
                                         {99, 1ms, 99.0 / 109}, // even where they held most of it
                                         {50, 0ms, 0},
                                         {50, -5ms, 0},
                                         {100, 1s, 1},
                                         {100, 0ms, 1}}) { // nothing else held a permit
        CAPTURE(r.dropped, r.after.count());
        const window w = with_drops(bound_window(100, 10ms), r.dropped, r.after);
        CHECK(share_of_drops(w) == Approx(r.share));
        CHECK(measure(w).drops == share_of_drops(w));
    }
}

TEST_CASE("A drop's time is a lower bound of its RTT when it is above the mean") {
    const measurement late = measure(with_drops(bound_window(100, 10ms), 4, 260ms));
    CHECK(late.rtt == Approx(20 * ms)); // 0.96 · 10 + 0.04 · 260
    CHECK(late.success_rtt == 10 * ms);
    CHECK(late.count == 100.0);
    const measurement prompt = measure(with_drops(bound_window(100, 10ms), 4, 1ms));
    CHECK(prompt.rtt == 10 * ms); // a prompt refusal says nothing
}

TEST_CASE("A window counts no more in flight than was seen") {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    struct row {
        double mean;
        std::size_t most;
        double in_flight; // at a limit of 100
    };
    for (const row& r : std::vector<row>{{40, 60, 40},
                                         {250, 60, 60}, // a burst of admissions overstates the rate
                                         {250, 200, 100},
                                         {infinity, 60, 60},
                                         {0, 60, 0},
                                         {-1, 60, 0},
                                         {nan, 60, 0},
                                         {40, 0, 0}}) {
        CAPTURE(r.mean, r.most);
        CHECK(measure(used_window(100, r.mean, r.most, 10ms)).in_flight == r.in_flight);
    }
}

TEST_CASE("The limit binds if it was reached and half used") {
    CHECK(measure(used_window(100, 50, 100, 10ms)).bound);
    CHECK_FALSE(measure(used_window(100, 49, 100, 10ms)).bound);
    CHECK_FALSE(measure(used_window(100, 90, 99, 10ms)).bound);
    CHECK_FALSE(measure(used_window(100, std::numeric_limits<double>::quiet_NaN(), 100, 10ms)).bound);
}

TEST_CASE("A low limit is reached with less than half of it in flight, a limit of one by any call") {
    struct row {
        std::size_t limit;
        double mean;
        bool reached;
    };
    for (const row& r : std::vector<row>{{1, 0.01, true},
                                         {2, 0.5, true},
                                         {2, 0.49, false},
                                         {4, 1.5, true},
                                         {4, 1.49, false},
                                         {100, 49.5, true},
                                         {100, 49.4, false}}) {
        CAPTURE(r.limit, r.mean);
        const measurement m = measure(used_window(r.limit, r.mean, r.limit, 10ms));
        CHECK(m.reached == r.reached);
        CHECK_FALSE(m.bound);
    }
    CHECK(measure(used_window(100, 50, 100, 10ms)).reached);
    CHECK_FALSE(measure(used_window(100, 90, 99, 10ms)).reached);
    window paced = used_window(1, 0.1, 1, 10ms);
    paced.spacing = 40ms; // a limit of 0.25
    CHECK_FALSE(measure(paced).reached);
}

TEST_CASE("With a spacing the limit is the RTT over it, at most one and at least 0.01") {
    struct row {
        duration spacing;
        duration rtt;
        double limit;
    };
    for (const row& r : std::vector<row>{{0ns, 10ms, 1},
                                         {40ms, 10ms, 0.25},
                                         {10ms, 10ms, 1},
                                         {5ms, 10ms, 1}, // one permit is one in flight at most
                                         {10s, 10ms, 0.01},
                                         {1ns, 10ms, 1},
                                         {40ms, 0ns, 0.01},
                                         {duration::max(), 10ms, 0.01},
                                         {-40ms, 10ms, 1}}) { // no spacing
        window w = bound_window(1, r.rtt);
        w.spacing = r.spacing;
        CAPTURE(r.spacing.count(), r.rtt.count());
        CHECK(measure(w).limit == Approx(r.limit));
        CHECK(measure(w).in_flight == Approx(r.limit));
    }
    window dropped = with_drops(bound_window(1, 10ms), 100, 20ms);
    dropped.spacing = 40ms;
    CHECK(measure(dropped).limit == Approx(0.5)); // by the drops where nothing succeeded
    window w = bound_window(7, 10ms); // whatever the limit is
    w.spacing = 40ms;
    CHECK(measure(w).limit == Approx(0.25));
}

TEST_CASE("With a spacing the limit binds if half of it was used") {
    for (const auto& [mean, bound] :
         std::vector<std::pair<double, bool>>{{0.25, true},
                                              {0.125, true},
                                              {0.124, false},
                                              {0, false},
                                              {std::numeric_limits<double>::quiet_NaN(), false}}) {
        window w = used_window(1, mean, 1, 10ms);
        w.spacing = 40ms; // a limit of 0.25
        CAPTURE(mean);
        CHECK(measure(w).bound == bound);
    }
}

TEST_CASE("Times below zero count as zero") {
    window w = bound_window(50, -10ms);
    w.length = -1ns;
    CHECK(measure(w).rtt == 0.0);
    CHECK(measure(w).has_rtt());
    CHECK(measure(w).length == 0.0);
}

TEST_CASE("The samples at low concurrency are from a third of the limit, or one") {
    window w;
    w.low.samples = 20;
    w.low.mean = 5ms;
    w.low.histogram.add(5ms, 20);
    for (const auto& [limit, third] :
         std::vector<std::pair<std::size_t, double>>{{100, 33}, {6, 2}, {5, 1}, {2, 1}, {0, 1}}) {
        w.limit = limit;
        const measurement low = measure_low(w);
        CAPTURE(limit);
        CHECK(low.in_flight == third);
        CHECK(low.rtt == 5 * ms);
        CHECK(low.count == 20.0);
        CHECK(low.variation == 0.0);
        CHECK(low.drops == 0.0);
    }
    CHECK_FALSE(measure_low({}).has_rtt());
}

TEST_CASE("Two measurements are pooled by their counts, with the lower concurrency") {
    const measurement high{.rtt = 20, .count = 100, .variation = 1, .limit = 90, .in_flight = 90};
    const measurement low{.rtt = 18, .count = 50, .variation = 0.4, .limit = 30, .in_flight = 30};
    const measurement both = pooled(high, low);
    CHECK(both.count == 150.0);
    CHECK(both.rtt == Approx(58.0 / 3)); // (100 · 20 + 50 · 18) / 150
    CHECK(both.variation == Approx(0.8)); // (100 · 1 + 50 · 0.4) / 150
    CHECK(both.in_flight == 30.0);
    CHECK(both.limit == 30.0);
}

} // namespace
