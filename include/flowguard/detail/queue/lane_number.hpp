// lane_number.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_LANE_NUMBER_HPP
#define FLOWGUARD_DETAIL_QUEUE_LANE_NUMBER_HPP

#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"

namespace flowguard::detail {

// The number of a lane. Each priority of each partition has a lane of its own; within a partition, lanes are in the
// order of the priorities.
class lane_number {
public:
    static_assert(max_partitions * priority_count <= 64, "one word has a bit for each lane");

    constexpr explicit lane_number(std::size_t partition = 0, priority of = priority::critical) noexcept
        : lane_(static_cast<std::uint8_t>(partition * priority_count + static_cast<std::size_t>(of))) {}

    constexpr std::size_t index() const noexcept { return lane_; }
    constexpr std::size_t partition() const noexcept { return lane_ / priority_count; }
    constexpr std::size_t priority_index() const noexcept { return lane_ % priority_count; }

    // Whether the waiter belongs to a flow: see flow_waiter.
    constexpr bool in_flow() const noexcept { return in_flow_; }
    constexpr void set_in_flow() noexcept { in_flow_ = true; }

private:
    std::uint8_t lane_;
    bool in_flow_ = false;
};

} // namespace flowguard::detail

#endif
