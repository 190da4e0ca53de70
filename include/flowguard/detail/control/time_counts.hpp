// time_counts.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_TIME_COUNTS_HPP
#define FLOWGUARD_DETAIL_CONTROL_TIME_COUNTS_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "flowguard/limits.hpp"
#include "flowguard/rtt_histogram.hpp"
#include "flowguard/time_histogram.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail {

// A time_histogram that any thread may add to and read. The counts never decrease. Relaxed: they are only reported.
class time_counts {
public:
    // A negative time counts as 0: a clock may be set back. Complexity: O(1).
    void add(std::chrono::nanoseconds time) noexcept {
        const std::chrono::nanoseconds t = (std::max)(time, std::chrono::nanoseconds::zero());
        add(time_histogram::index_of(t), 1);
        add_to_sum(t);
    }

    // Adds the RTTs of a window. Each bucket of the window belongs, as a whole, to the bucket that its middle is in: so
    // an RTT within 7 % of a bound may be on the other side of it. Complexity: as rtt_histogram::for_each().
    void add(const rtt_summary& rtts) noexcept {
        rtts.histogram.for_each([this](std::size_t i, std::uint32_t count) { add(bucket_of_rtts[i], count); });
        add_to_sum(rtts.mean * static_cast<std::int64_t>(rtts.samples));
    }

    // In place: a copy just after so many writes would wait for them.
    void report(time_histogram& h) const noexcept {
        for (std::size_t i = 0; i < counts_.size(); ++i)
            h.counts[i] = counts_[i].load(std::memory_order_relaxed);
        const std::uint64_t without_sign =
            sum_.load(std::memory_order_relaxed) & (std::numeric_limits<std::int64_t>::max)();
        h.sum = duration{static_cast<std::int64_t>(without_sign)};
    }

private:
    static constexpr std::array<std::uint8_t, rtt_buckets::count> bucket_of_rtts = [] {
        std::array<std::uint8_t, rtt_buckets::count> found{};
        for (std::size_t i = 0; i < found.size(); ++i)
            found[i] = static_cast<std::uint8_t>(
                time_histogram::index_of(duration{static_cast<std::int64_t>(rtt_buckets::middle_of(i))}));
        return found;
    }();

    void add(std::size_t bucket, std::uint64_t times) noexcept {
        counts_[bucket].fetch_add(times, std::memory_order_relaxed);
    }
    void add_to_sum(std::chrono::nanoseconds time) noexcept {
        sum_.fetch_add(static_cast<std::uint64_t>(time.count()), std::memory_order_relaxed); // may wrap around
    }

    std::array<std::atomic<std::uint64_t>, std::tuple_size_v<decltype(time_histogram::counts)>> counts_{};
    std::atomic<std::uint64_t> sum_{0}; // ns
};

} // namespace flowguard::detail

#endif
