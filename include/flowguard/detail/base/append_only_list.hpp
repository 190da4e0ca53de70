// append_only_list.hpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_APPEND_ONLY_LIST_HPP
#define FLOWGUARD_DETAIL_BASE_APPEND_ONLY_LIST_HPP

#include <atomic>
#include <utility>

namespace flowguard::detail {

// A list whose elements stay, at the same address, until the list is destroyed. So a reader needs no protection from
// removal, and there is no ABA. The user of the list marks an element that is no longer needed, and uses it again.
//
// *Thread safety.* add() and find_if() may run at the same time on any threads, and are lock-free. Elements are
// published by add(); later changes to them are for their user to synchronize.
template <class T>
class append_only_list {
public:
    append_only_list() noexcept = default;
    append_only_list(const append_only_list&) = delete;
    append_only_list& operator=(const append_only_list&) = delete;

    // No other thread uses the list any more.
    ~append_only_list() {
        for (node* n = first_.load(std::memory_order_relaxed); n != nullptr;)
            delete std::exchange(n, n->next);
    }

    // May throw std::bad_alloc, and what the constructor of T throws. Complexity: O(1) without contention.
    template <class... Args>
    T& add(Args&&... args) {
        auto* added = new node{first_.load(std::memory_order_relaxed), T(std::forward<Args>(args)...)};
        // Release: publishes the element, to find_if().
        while (
            !first_.compare_exchange_weak(added->next, added, std::memory_order_release, std::memory_order_relaxed)) {
        }
        return added->value;
    }

    // The first element, from the newest to the oldest, for which `matches(element)` is true; null if there is none. An
    // element that is added meanwhile may be missed. Complexity: linear.
    template <class Predicate>
    T* find_if(Predicate matches) const {
        // Acquire: this thread sees the elements as they were added. One load is enough: each element was published
        // after those that follow it in the list, by a release sequence of exchanges.
        for (node* n = first_.load(std::memory_order_acquire); n != nullptr; n = n->next)
            if (matches(n->value))
                return &n->value;
        return nullptr;
    }

private:
    struct node {
        node* next;
        T value;
    };

    std::atomic<node*> first_{nullptr};
};

} // namespace flowguard::detail

#endif
