// flow_tree.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_FLOW_TREE_HPP
#define FLOWGUARD_DETAIL_QUEUE_FLOW_TREE_HPP

#include <cstdint>

#include "flowguard/detail/queue/flow_waiter.hpp"

namespace flowguard::detail {

// Finds the first waiter of a flow by the flow's key: a digital search tree (E. Coffman, J. Eve: File structures using
// hashing functions. CACM 13(7), 1970). The way down follows the bits of the key. So no choice of keys, however
// hostile, makes it longer than 64 steps; there is no table to enlarge, and no secret. Complexity of each function: at
// most 64 steps, and about log₂ of the number of flows for usual keys.
class flow_tree {
public:
    bool empty() const noexcept { return root_ == nullptr; }

    // Null if no waiter of that flow is in the tree.
    flow_waiter* find(std::uint64_t flow) const noexcept {
        flow_waiter* n = root_;
        for (std::uint64_t way = spread(flow); n != nullptr && n->flow != flow; way <<= 1)
            n = n->child[way >> 63];
        return n;
    }

    // No waiter of that flow is in the tree.
    void insert(flow_waiter& w) noexcept {
        w.child = {};
        w.parent = nullptr;
        flow_waiter** at = &root_;
        for (std::uint64_t way = spread(w.flow); *at != nullptr; way <<= 1) {
            w.parent = *at;
            at = &w.parent->child[way >> 63];
        }
        *at = &w;
    }

    // Any waiter below may take the place of one that is removed: its key agrees with the way to that place.
    void remove(flow_waiter& w) noexcept {
        flow_waiter* leaf = below(w);
        if (leaf == nullptr) {
            slot_of(w) = nullptr;
            return;
        }
        while (flow_waiter* lower = below(*leaf))
            leaf = lower;
        slot_of(*leaf) = nullptr;
        replace(w, *leaf);
    }

    // `by` takes the place of w.
    void replace(flow_waiter& w, flow_waiter& by) noexcept {
        slot_of(w) = &by;
        by.parent = w.parent;
        by.child = w.child;
        for (flow_waiter* c : by.child)
            if (c != nullptr)
                c->parent = &by;
    }

private:
    // Keys are often small numbers, or addresses: this gives their low bits an effect on the first bits of the way. An
    // odd factor, so different keys stay different.
    static std::uint64_t spread(std::uint64_t flow) noexcept { return flow * 0x9e3779b97f4a7c15; }

    static flow_waiter* below(const flow_waiter& w) noexcept { return w.child[0] != nullptr ? w.child[0] : w.child[1]; }

    flow_waiter*& slot_of(flow_waiter& w) noexcept {
        return w.parent == nullptr ? root_ : w.parent->child[w.parent->child[1] == &w ? 1 : 0];
    }

    flow_waiter* root_ = nullptr;
};

} // namespace flowguard::detail

#endif
