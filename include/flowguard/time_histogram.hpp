// time_histogram.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TIME_HISTOGRAM_HPP
#define FLOWGUARD_TIME_HISTOGRAM_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"

namespace flowguard {

/// A histogram of times from 50 µs to 50 s in 20 buckets, for dashboards. The histograms of several guards or instances
/// add up: add the counts of each bucket. A percentile of the summed histogram is that of all instances. Percentiles of
/// several instances cannot be combined.
///
/// *Thread safety.* Distinct histograms: safe. One histogram: several threads may read it at the same time, while none
/// writes.
struct time_histogram {
    /// The longest times of the buckets, except for the last bucket, which takes all longer times. Each bound belongs
    /// to its bucket.
    static constexpr std::array<duration, 19> bounds{
        std::chrono::microseconds(50),  std::chrono::microseconds(100), std::chrono::microseconds(250),
        std::chrono::microseconds(500), std::chrono::milliseconds(1),   std::chrono::microseconds(2500),
        std::chrono::milliseconds(5),   std::chrono::milliseconds(10),  std::chrono::milliseconds(25),
        std::chrono::milliseconds(50),  std::chrono::milliseconds(100), std::chrono::milliseconds(250),
        std::chrono::milliseconds(500), std::chrono::seconds(1),        std::chrono::milliseconds(2500),
        std::chrono::seconds(5),        std::chrono::seconds(10),       std::chrono::seconds(25),
        std::chrono::seconds(50)};

    /// The index of the bucket that a time belongs to. A negative time counts as 0. Complexity: O(1).
    static constexpr std::size_t index_of(duration time) noexcept;

    /// How many of the times are in the same bucket.
    std::array<std::uint64_t, bounds.size() + 1> counts{};

    /// The sum of all times. It wraps around to 0 after 292 years: 10,000 callers that wait all the time reach that in
    /// eleven days. If a counter falls, Prometheus takes it for one that began again at 0.
    duration sum{};

    /// The number of times. Complexity: O(1).
    constexpr std::uint64_t total() const noexcept {
        std::uint64_t n = 0;
        for (const std::uint64_t count : counts)
            n += count;
        return n;
    }
};

namespace detail {

// For each power of two, how many of the bounds are less. From one power of two to the next there is at most one bound,
// so a time is in that bucket or in the next.
inline constexpr std::array<std::uint8_t, 65> buckets_by_width = [] {
    std::array<std::uint8_t, 65> found{};
    for (std::size_t width = 0; width < found.size(); ++width) {
        const std::uint64_t least = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
        found[width] = static_cast<std::uint8_t>(
            std::count_if(time_histogram::bounds.begin(), time_histogram::bounds.end(),
                          [&](duration bound) { return static_cast<std::uint64_t>(bound.count()) < least; }));
    }
    return found;
}();

} // namespace detail

constexpr std::size_t time_histogram::index_of(duration time) noexcept {
    const auto ns = std::max<std::int64_t>(time.count(), 0);
    const std::size_t least =
        detail::buckets_by_width[static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(ns)))];
    return least + (least < bounds.size() && ns > bounds[least].count() ? 1 : 0);
}

} // namespace flowguard

#endif
