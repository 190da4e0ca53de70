// rtt_histogram.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_RTT_HISTOGRAM_HPP
#define FLOWGUARD_RTT_HISTOGRAM_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/base/math.hpp"

namespace flowguard {

/// The buckets of a log-linear histogram of nanoseconds: eight of equal width in each power of two,
/// after HdrHistogram. The middle of a bucket is at most 1/16 = 6.25 % from any value in it. The last
/// bucket takes everything above 73 minutes.
struct rtt_buckets {
    static constexpr std::size_t count = 320;

    /// The bucket of an RTT. A negative RTT counts as 0.
    static constexpr std::size_t index_of(std::chrono::nanoseconds rtt) noexcept {
        const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(rtt.count(), 0));
        if (ns < 8)
            return static_cast<std::size_t>(ns);
        const auto octave = static_cast<std::size_t>(std::bit_width(ns)) - 1;
        return (std::min)((octave - 2) * 8 + static_cast<std::size_t>((ns >> (octave - 3)) & 7), count - 1);
    }

    /// The middle of a bucket, in nanoseconds.
    static constexpr double middle_of(std::size_t index) noexcept {
        if (index < 8)
            return static_cast<double>(index);
        const std::size_t octave = index / 8 + 2;
        const auto width = static_cast<double>(std::uint64_t{1} << (octave - 3));
        return (static_cast<double>(8 + index % 8) + 0.5) * width;
    }
};

/// A histogram of round-trip times, with a relative error of at most 7 %.
///
/// *Thread safety.* Distinct histograms: safe. One histogram: several threads may read it at the same time, while none
/// writes.
class rtt_histogram {
public:
    /// Counts this RTT so many times. A negative RTT counts as 0. Complexity: O(1).
    void add(std::chrono::nanoseconds rtt, std::uint32_t times = 1) noexcept {
        add_to_bucket(rtt_buckets::index_of(rtt), times);
    }

    /// The same for any RTT of one of the buckets; `index` is less than rtt_buckets::count.
    void add_to_bucket(std::size_t index, std::uint32_t times) noexcept {
        counts_[index] += times;
        total_ += times;
        first_ = (std::min)(first_, index);
        end_ = (std::max)(end_, index + 1);
    }

    /// How many samples there are.
    std::uint64_t total() const noexcept { return total_; }

    /// Calls `visit(index, count)` for each bucket that has samples, in ascending order of their RTTs. Complexity:
    /// linear in the number of buckets from the first to the last of these.
    template <class F>
    void for_each(F visit) const {
        for (std::size_t i = first_; i < end_; ++i)
            if (counts_[i] != 0)
                visit(i, counts_[i]);
    }

    /// The value below which a share `q` of the samples lies; 0 if there are no samples. q is clamped to [0, 1].
    std::chrono::nanoseconds quantile(double q) const noexcept {
        const double clamped = q > 0 ? (std::min)(q, 1.0) : 0.0;
        const auto rank = std::max<std::uint64_t>(
            1, static_cast<std::uint64_t>(detail::math::ceil(clamped * static_cast<double>(total_))));
        std::uint64_t seen = 0;
        for (std::size_t i = first_; i < end_; ++i) {
            seen += counts_[i];
            if (seen >= rank)
                return std::chrono::nanoseconds{static_cast<std::int64_t>(rtt_buckets::middle_of(i))};
        }
        return {};
    }

    /// Standard deviation over mean, from the middles of the buckets; 0 with fewer than two samples.
    double variation() const noexcept {
        double sum = 0;
        double squares = 0;
        for (std::size_t i = first_; i < end_; ++i) {
            const double weight = static_cast<double>(counts_[i]);
            const double middle = rtt_buckets::middle_of(i);
            sum += weight * middle;
            squares += weight * middle * middle;
        }
        if (total_ < 2 || sum <= 0)
            return 0;
        const double mean = sum / static_cast<double>(total_);
        return detail::math::sqrt((std::max)(0.0, squares / static_cast<double>(total_) - mean * mean)) / mean;
    }

private:
    std::array<std::uint32_t, rtt_buckets::count> counts_{};
    std::uint64_t total_ = 0;
    std::size_t first_ = rtt_buckets::count; // all counts are within [first_, end_)
    std::size_t end_ = 0;
};

} // namespace flowguard

#endif
