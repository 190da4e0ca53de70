// vegas_kind_weights_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/kind_weights.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/window.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::vegas::kind_weights;
using flowguard::detail::vegas::measure;
using flowguard::detail::vegas::measurement;
using flowguard::duration;
using flowguard::rtt_summary;

constexpr double ms = 1e6; // nanoseconds

struct calls {
    std::size_t count;
    duration rtt;
};

// The calls of kind 0, of kind 1, and so on.
rtt_summary summary_of(const std::vector<calls>& kinds) {
    rtt_summary s;
    duration sum{};
    for (std::size_t k = 0; k < kinds.size(); ++k) {
        const auto [count, rtt] = kinds[k];
        s.kinds[k] = {count, count > 0 ? rtt : 0ns};
        s.samples += count;
        s.histogram.add(rtt, static_cast<std::uint32_t>(count));
        sum += static_cast<duration::rep>(count) * rtt;
    }
    if (s.samples > 0)
        s.mean = sum / static_cast<duration::rep>(s.samples);
    return s;
}

measurement normalised(const kind_weights& weights, const rtt_summary& s, double base) {
    flowguard::window w;
    w.all = s;
    return weights.normalised(measure(w), s, base);
}

// Weights that were learnt from 80 calls of 1 ms and 20 of 51 ms: their mean is 11 ms.
kind_weights learnt() {
    kind_weights weights;
    const rtt_summary first = summary_of({{80, 1ms}, {20, 51ms}});
    weights.meet(first);
    weights.learn(first, 11 * ms);
    return weights;
}

TEST_CASE("Without kinds, measurements are as they are") {
    kind_weights weights;
    const rtt_summary s = summary_of({{60, 7ms}});
    flowguard::window w;
    w.all = s;
    w.all.histogram.add(70ms, 3);
    w.dropped = 10;
    w.dropped_mean_rtt = 1s;
    const measurement before = measure(w);
    for (int i = 0; i < 3; ++i) {
        weights.meet(s);
        weights.learn(s, 7 * ms);
        const measurement m = weights.normalised(before, s, 7 * ms);
        CHECK(m.rtt == before.rtt);
        CHECK(m.success_rtt == before.success_rtt);
        CHECK(m.count == before.count);
        CHECK(m.variation == before.variation);
        CHECK(m.cost == 1.0);
    }
    CHECK(weights.weight(0) == 1.0);
    CHECK(weights.weight(1) == 0.0);
}

TEST_CASE("One kind is as none, whichever it is") {
    kind_weights weights;
    for (const duration rtt : {5ms, 9ms}) {
        const rtt_summary s = summary_of({{0, 0ms}, {0, 0ms}, {50, rtt}});
        weights.meet(s);
        weights.learn(s, 9 * ms);
        CHECK(normalised(weights, s, 9 * ms).rtt == static_cast<double>(rtt.count()));
    }
    CHECK(weights.weight(2) == 1.0);
}

TEST_CASE("The mean weight of the first window is one") {
    const kind_weights weights = learnt();
    CHECK(weights.weight(0) == Approx(1.0 / 11));
    CHECK(weights.weight(1) == Approx(51.0 / 11));
    const measurement m = normalised(weights, summary_of({{80, 1ms}, {20, 51ms}}), 11 * ms);
    CHECK(m.rtt == Approx(11 * ms));
    CHECK(m.cost == Approx(1));
}

TEST_CASE("Another mix of the same service has the same RTT") {
    const kind_weights weights = learnt();
    struct row {
        std::size_t cheap, dear;
        double cost;
    };
    for (const row& r :
         std::vector<row>{{100, 0, 1.0 / 11}, {99, 1, 1.5 / 11}, {50, 50, 26.0 / 11}, {0, 9, 51.0 / 11}}) {
        CAPTURE(r.cheap, r.dear);
        const measurement m = normalised(weights, summary_of({{r.cheap, 1ms}, {r.dear, 51ms}}), 11 * ms);
        CHECK(m.rtt == Approx(11 * ms));
        CHECK(m.success_rtt == Approx(11 * ms));
        CHECK(m.cost == Approx(r.cost));
    }
}

TEST_CASE("A wait counts by Little's law: it is the same share of what each mix takes") {
    const kind_weights weights = learnt();
    // Half of the time is a wait, which is the same for both kinds.
    const measurement few = normalised(weights, summary_of({{80, 12ms}, {20, 62ms}}), 11 * ms);
    CHECK(few.rtt == Approx(22 * ms));
    const measurement many = normalised(weights, summary_of({{50, 27ms}, {50, 77ms}}), 11 * ms);
    CHECK(many.rtt == Approx(22 * ms));
}

TEST_CASE("A service that becomes slower as a whole is slower by as much in any mix") {
    kind_weights weights = learnt();
    for (const rtt_summary& s : {summary_of({{80, 3ms}, {20, 153ms}}), summary_of({{20, 3ms}, {80, 153ms}})}) {
        CHECK(normalised(weights, s, 11 * ms).rtt == Approx(33 * ms));
        weights.learn(s, 33 * ms); // as the new baseline
        CHECK(weights.weight(0) == Approx(1.0 / 11));
        CHECK(weights.weight(1) == Approx(51.0 / 11));
    }
}

TEST_CASE("A few long calls are no more than a few samples, unless nothing queues") {
    const kind_weights weights = learnt();
    // 1250 ms of RTT, of which 1020 ms are of 20 calls. If nothing queues, each call tells as much as any other.
    CHECK(normalised(weights, summary_of({{80, 1ms}, {20, 51ms}}), 11 * ms).count == 100.0);
    const rtt_summary queued = summary_of({{80, 12ms}, {20, 62ms}});
    CHECK(normalised(weights, queued, 11 * ms).count == Approx(2200.0 * 2200 / (80 * 144 + 20 * 3844)));
}

TEST_CASE("The difference between kinds is no variation") {
    const kind_weights weights = learnt();
    const rtt_summary s = summary_of({{50, 1ms}, {50, 51ms}});
    CHECK(s.variation() == Approx(0.96).margin(0.03));
    CHECK(normalised(weights, s, 11 * ms).variation == Approx(0).margin(0.2)); // buckets are good to 7 %
}

TEST_CASE("Drops that took longer raise the RTT as without kinds") {
    const kind_weights weights = learnt();
    flowguard::window w;
    w.all = summary_of({{50, 1ms}, {50, 51ms}});
    w.dropped = 25;
    w.dropped_mean_rtt = 126ms;
    const measurement m = measure(w);
    CHECK(m.rtt == Approx(46 * ms)); // 26 + 0.2 · 100
    CHECK(weights.normalised(m, w.all, 11 * ms).rtt == Approx(46 * ms * 11 / 26));
}

TEST_CASE("A new kind gets its weight from its first window") {
    kind_weights weights = learnt();
    weights.meet(summary_of({{80, 2ms}, {10, 102ms}, {10, 10ms}})); // twice as slow as usual
    CHECK(weights.weight(2) == Approx(5.0 / 11));
    weights.meet(summary_of({{0, 0ms}, {0, 0ms}, {0, 0ms}, {40, 44ms}})); // alone: as fast as the window before
    CHECK(weights.weight(3) == Approx(2));
}

TEST_CASE("A provisional weight gives way to what a window without a queue tells") {
    kind_weights weights = learnt();
    weights.meet(summary_of({{80, 1ms}, {20, 51ms}, {1, 20ms}})); // bad luck
    CHECK(weights.weight(2) == Approx(20.0 / 11));
    weights.learn(summary_of({{80, 1ms}, {20, 51ms}, {10, 5ms}}), 11 * ms);
    CHECK(weights.weight(2) == Approx(5.0 / 11));
    CHECK(weights.weight(0) == Approx(1.0 / 11));
}

TEST_CASE("Weights are learnt only while nothing queues") {
    kind_weights weights = learnt();
    weights.learn(summary_of({{80, 12ms}, {20, 62ms}}), 11 * ms);
    weights.learn(summary_of({{80, 1ms}, {20, 51ms}}), 0); // the baseline is not known
    weights.learn({}, 11 * ms);
    CHECK(weights.weight(0) == Approx(1.0 / 11));
    CHECK(weights.weight(1) == Approx(51.0 / 11));
}

TEST_CASE("Weights follow when one kind becomes slower than before") {
    kind_weights weights = learnt();
    for (int i = 0; i < 100; ++i)
        weights.learn(summary_of({{80, 1ms}, {20, 102ms}}), 11 * ms);
    CHECK(weights.weight(1) / weights.weight(0) == Approx(102).epsilon(0.01));
}

TEST_CASE("Windows that say nothing change nothing") {
    kind_weights weights = learnt();
    weights.meet({});
    CHECK(normalised(weights, {}, 11 * ms).rtt == 0.0);
    rtt_summary zero = summary_of({{80, 0ms}, {20, -1ms}});
    weights.meet(zero);
    weights.learn(zero, 11 * ms);
    CHECK(normalised(weights, zero, 11 * ms).rtt == 0.0);
    rtt_summary unknown = summary_of({{40, 8ms}});
    unknown.kinds = {};
    CHECK(normalised(weights, unknown, 11 * ms).rtt == 8 * ms);
    CHECK(normalised(weights, unknown, 11 * ms).count == 40.0);
    CHECK(weights.weight(0) == Approx(1.0 / 11));
    CHECK(weights.weight(1) == Approx(51.0 / 11));
}

} // namespace
