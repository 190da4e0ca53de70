// flow_waiter.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_FLOW_WAITER_HPP
#define FLOWGUARD_DETAIL_QUEUE_FLOW_WAITER_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/queue/waiter.hpp"

namespace flowguard::detail {

// When a flow has its next turn: see flow_turns.
struct flow_turn {
    flow_turn* previous = nullptr;
    flow_turn* next = nullptr;
    std::uint32_t tag = 0;
    std::int64_t charged = 0; // permits of the next waiter that `tag` includes; negative: permits yet to be charged
    std::size_t waiters = 0; // of the flow
};

// A waiter that may belong to a flow. The first waiter of each flow carries what the queue knows of the flow, so that a
// flow needs memory only while it waits, and the queue allocates nothing. Only the queue's owner touches it.
class flow_waiter : public waiter, public flow_turn {
public:
    explicit flow_waiter(std::size_t permits, queue_message::kind arrival = queue_message::kind::enqueue) noexcept
        : waiter(permits, arrival) {}

    // Called before the waiter is queued.
    void set_flow(std::uint64_t key) noexcept {
        flow = key;
        lane.set_in_flow();
    }

    std::uint64_t flow = 0;

    // The waiters of the flow, oldest first, in a circle.
    flow_waiter* older = nullptr;
    flow_waiter* newer = nullptr;

    // Links of flow_tree, used by the first waiter of a flow.
    flow_waiter* parent = nullptr;
    std::array<flow_waiter*, 2> child{};
};

} // namespace flowguard::detail

#endif
