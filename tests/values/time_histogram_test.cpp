// time_histogram_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/time_histogram.hpp" // first: self-contained

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/control/time_counts.hpp"
#include "flowguard/window.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::time_counts;
using flowguard::time_histogram;

constexpr auto& bounds = time_histogram::bounds;

time_histogram read(const time_counts& counts) {
    time_histogram h;
    counts.report(h);
    return h;
}

} // namespace

TEST_CASE("The bounds of a histogram of times go from 50 us to 50 s") {
    CHECK(bounds.front() == 50us);
    CHECK(bounds.back() == 50s);
    CHECK(std::is_sorted(bounds.begin(), bounds.end()));
}

TEST_CASE("A bound belongs to its bucket, and the next nanosecond to the next bucket") {
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        CHECK(time_histogram::index_of(bounds[i] - 1ns) == i);
        CHECK(time_histogram::index_of(bounds[i]) == i);
        CHECK(time_histogram::index_of(bounds[i] + 1ns) == i + 1);
    }
}

TEST_CASE("Each power of two is in the first bucket whose bound is not less") {
    for (int exponent = 0; exponent < 63; ++exponent) {
        const std::chrono::nanoseconds time{std::int64_t{1} << exponent};
        const auto bound = std::find_if(bounds.begin(), bounds.end(), [&](auto b) { return time <= b; });
        CHECK(time_histogram::index_of(time) == static_cast<std::size_t>(bound - bounds.begin()));
    }
}

TEST_CASE("The first bucket takes negative times and 0, the last one the longest") {
    CHECK(time_histogram::index_of(std::chrono::nanoseconds::min()) == 0);
    CHECK(time_histogram::index_of(0ns) == 0);
    CHECK(time_histogram::index_of(std::chrono::nanoseconds::max()) == bounds.size());
}

TEST_CASE("Counted times are summed up, and negative ones count as 0") {
    time_counts counts;
    for (const auto time : {3ms, 5ms, 60'000ms, -7ms})
        counts.add(time);
    const time_histogram h = read(counts);
    CHECK(h.counts[0] == 1);
    CHECK(h.counts[time_histogram::index_of(5ms)] == 2);
    CHECK(h.counts.back() == 1);
    CHECK(h.total() == 4);
    CHECK(h.sum == 60'008ms);
}

TEST_CASE("The RTTs of a window are counted by the middles of its buckets") {
    flowguard::rtt_summary rtts;
    rtts.histogram.add(900us, 3);
    rtts.histogram.add(20ms, 2);
    rtts.histogram.add(50'100us); // between 46.1 and 50.3 ms, whose middle is 48.2 ms
    rtts.samples = 6;
    rtts.mean = 16ms;
    time_counts counts;
    counts.add(rtts);
    counts.add(rtts);
    const time_histogram h = read(counts);
    CHECK(h.counts[time_histogram::index_of(1ms)] == 6);
    CHECK(h.counts[time_histogram::index_of(25ms)] == 4);
    CHECK(h.counts[time_histogram::index_of(50ms)] == 2);
    CHECK(h.total() == 12);
    CHECK(h.sum == 2 * 6 * 16ms);
}

TEST_CASE("The sum of counted times wraps around to 0, and is never negative") {
    time_counts counts;
    counts.add(std::chrono::nanoseconds::max());
    CHECK(read(counts).sum == std::chrono::nanoseconds::max());
    counts.add(4ns);
    CHECK(read(counts).sum == 3ns);
    CHECK(read(counts).total() == 2);
}
