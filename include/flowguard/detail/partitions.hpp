// partitions.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_PARTITIONS_HPP
#define FLOWGUARD_DETAIL_PARTITIONS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace flowguard::detail {

// How much of the limit each partition has a right to, and how much it has in flight. Relaxed: the counts guide a
// choice, which may be made by counts that are a call or two behind.
class partitions {
public:
    // None if there are no shares.
    explicit partitions(std::vector<double> shares)
        : enabled_(!shares.empty()), shares_(std::move(shares)), in_flight_(shares_.size()) {}

    bool enabled() const noexcept { return enabled_; }
    std::size_t count() const noexcept { return shares_.size(); }

    void enter(std::size_t partition) noexcept { in_flight_[partition].fetch_add(1, std::memory_order_relaxed); }
    void leave(std::size_t partition) noexcept { in_flight_[partition].fetch_sub(1, std::memory_order_relaxed); }

    std::size_t in_flight(std::size_t partition) const noexcept {
        return in_flight_[partition].load(std::memory_order_relaxed);
    }

    double share(std::size_t partition) const noexcept { return shares_[partition]; }

    // The limit at which so many more calls in flight would be just within the partition's share. The partition with
    // the least such limit is furthest below its share, whatever the limit really is. Infinite for a share of 0.
    double fill(std::size_t partition, std::size_t more = 0) const noexcept {
        return shares_[partition] > 0 ? static_cast<double>(in_flight(partition) + more) / shares_[partition]
                                      : std::numeric_limits<double>::infinity();
    }

private:
    const bool enabled_;
    const std::vector<double> shares_;
    std::vector<std::atomic<std::size_t>> in_flight_;
};

} // namespace flowguard::detail

#endif
