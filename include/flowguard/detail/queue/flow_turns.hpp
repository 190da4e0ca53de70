// flow_turns.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_FLOW_TURNS_HPP
#define FLOWGUARD_DETAIL_QUEUE_FLOW_TURNS_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "flowguard/detail/queue/flow_waiter.hpp"

namespace flowguard::detail {

// Whose turn it is among flows: self-clocked fair queueing (S. Golestani: A Self-Clocked Fair Queueing Scheme for
// Broadband Applications. INFOCOM 1994). Each flow has a tag: the turn in which its next waiter is served. That is the
// turn before, plus the permits that this waiter wants. The flow with the lowest tag is next, and its tag is the
// present turn. A flow that begins to wait counts from the present turn. So a flow that has been served needs no
// memory: its last tag is never more than the present turn.
//
// Tags only increase, so they are in a radix heap (R. Ahuja, K. Mehlhorn, J. Orlin, R. Tarjan: Faster Algorithms for
// the Shortest Path Problem. JACM 37(2), 1990): a tag is in the list whose number is the highest bit in which it
// differs from the present turn. Equal tags stay in their order. Complexity: O(1) if all waiters want one permit. Else
// amortized O(1): for each waiter, a flow changes its list at most 32 times; one step may move all flows.
//
// Tags are counted modulo 2³². All are less than 2³¹ beyond the present turn, since no waiter wants more than 2²⁸
// permits.
class flow_turns {
public:
    // The flow whose turn it is. There is one.
    flow_turn& next() const noexcept { return *lists_[0].first; }

    // A flow begins to wait. Its first waiter wants that many permits.
    void join(flow_turn& t, std::uint32_t wanted) noexcept {
        t.tag = now_ + wanted;
        t.charged = wanted;
        insert(t);
        advance();
    }

    void leave(flow_turn& t) noexcept {
        remove(t);
        advance();
    }

    // A waiter of the flow whose turn it is was granted that many permits, or went aside to wait for them. If the flow
    // goes on waiting, the caller calls charge() next.
    static void grant(flow_turn& t, std::uint32_t permits) noexcept {
        t.charged = std::min<std::int64_t>(t.charged - std::int64_t{permits}, 0);
    }

    // The next waiter of the flow wants that many permits. If less was charged for it, the turn comes later.
    void charge(flow_turn& t, std::uint32_t wanted) noexcept {
        if (wanted <= t.charged)
            return;
        remove(t);
        t.tag += static_cast<std::uint32_t>(std::int64_t{wanted} - t.charged);
        t.charged = wanted;
        insert(t);
        advance();
    }

    // `by` takes the place of t.
    void replace(flow_turn& t, flow_turn& by) noexcept {
        by = t;
        list& l = lists_[list_of(t.tag)];
        (t.previous != nullptr ? t.previous->next : l.first) = &by;
        (t.next != nullptr ? t.next->previous : l.last) = &by;
    }

private:
    struct list {
        flow_turn* first = nullptr;
        flow_turn* last = nullptr;
    };

    static constexpr std::uint64_t bit(std::size_t list) noexcept { return std::uint64_t{1} << list; }
    void clear(std::size_t i) noexcept {
        filled_ &= ~bit(i);
        differ_ &= ~bit(i);
    }

    std::size_t list_of(std::uint32_t tag) const noexcept {
        return static_cast<std::size_t>(std::bit_width(tag ^ now_));
    }

    void insert(flow_turn& t) noexcept {
        const std::size_t i = list_of(t.tag);
        list& l = lists_[i];
        if (l.last != nullptr && l.last->tag != t.tag)
            differ_ |= bit(i);
        t.previous = l.last;
        t.next = nullptr;
        (l.last != nullptr ? l.last->next : l.first) = &t;
        l.last = &t;
        filled_ |= bit(i);
    }

    void remove(flow_turn& t) noexcept {
        const std::size_t i = list_of(t.tag);
        list& l = lists_[i];
        (t.previous != nullptr ? t.previous->next : l.first) = t.next;
        (t.next != nullptr ? t.next->previous : l.last) = t.previous;
        if (l.first == nullptr)
            clear(i);
    }

    // Goes on to the lowest tag, unless there is none. All lists below the first filled one are empty, so its flows
    // spread over these. If their tags are equal, as they are if all waiters want one permit, they stay together.
    void advance() noexcept {
        if (filled_ == 0 || (filled_ & 1) != 0)
            return;
        const auto i = static_cast<std::size_t>(std::countr_zero(filled_));
        flow_turn* t = lists_[i].first;
        const list all = std::exchange(lists_[i], list{});
        const bool equal = (differ_ & bit(i)) == 0;
        clear(i);
        if (equal) {
            now_ = t->tag;
            lists_[0] = all;
            filled_ |= bit(0);
            return;
        }
        std::uint32_t least = t->tag - now_;
        for (const flow_turn* other = t->next; other != nullptr; other = other->next)
            least = (std::min)(least, other->tag - now_);
        now_ += least;
        while (t != nullptr) {
            flow_turn* const after = t->next;
            insert(*t);
            t = after;
        }
    }

    std::array<list, 33> lists_{};
    std::uint64_t filled_ = 0; // a bit for each list that is not empty
    std::uint64_t differ_ = 0; // a bit for each list whose tags may differ
    std::uint32_t now_ = 0; // the present turn
};

} // namespace flowguard::detail

#endif
