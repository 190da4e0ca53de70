// partitions.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_PARTITIONS_HPP
#define FLOWGUARD_DETAIL_QUEUE_PARTITIONS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace flowguard::detail {

// How much of the limit each partition has a right to, and how many permits it has in flight. Relaxed: the counts only
// guide a choice, and may be a call or two out of date.
class partitions {
public:
    // If `shares` is empty, there are no partitions.
    explicit partitions(std::vector<double> shares)
        : enabled_(!shares.empty()), shares_(std::move(shares)), in_flight_(shares_.size()) {}

    bool enabled() const noexcept { return enabled_; }
    std::size_t count() const noexcept { return shares_.size(); }

    void enter(std::size_t partition, std::size_t permits = 1) noexcept {
        in_flight_[partition].fetch_add(permits, std::memory_order_relaxed);
    }
    void leave(std::size_t partition, std::size_t permits = 1) noexcept {
        in_flight_[partition].fetch_sub(permits, std::memory_order_relaxed);
    }

    std::size_t in_flight(std::size_t partition) const noexcept {
        return in_flight_[partition].load(std::memory_order_relaxed);
    }

    double share(std::size_t partition) const noexcept { return shares_[partition]; }

    // The limit at which the partition's permits in flight, and `more` of them, would be exactly its share. The
    // partition with the lowest such limit is furthest below its share, whatever the actual limit is. Infinite for a
    // share of 0.
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
