// flow_queue.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_FLOW_QUEUE_HPP
#define FLOWGUARD_DETAIL_QUEUE_FLOW_QUEUE_HPP

#include <cstddef>

#include "flowguard/detail/queue/flow_tree.hpp"
#include "flowguard/detail/queue/flow_turns.hpp"
#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/waiter.hpp"

namespace flowguard::detail {

// The waiters of a lane that belong to flows, and whose turn it is. The waiters without a flow, the *rest*, are in a
// list of the lane; together they have turns as one flow. `rest` is that list. `newest_first`: the lane stands.
class flow_queue {
public:
    // Whether no waiter belongs to a flow. Then the rest has no turns either.
    bool empty() const noexcept { return tree_.empty(); }

    flow_queue() = default;
    flow_queue(const flow_queue&) = delete;
    flow_queue& operator=(const flow_queue&) = delete;

    // `others`: how many waiters are in `rest`.
    void push_back(flow_waiter& w, const waiter_list& rest, std::size_t others, bool newest_first) noexcept {
        if (empty() && !rest.empty())
            join_rest(of_rest(rest, newest_first), others);
        arrivals_.push_back(w);
        if (flow_waiter* first = tree_.find(w.flow)) {
            w.older = first->older;
            w.newer = first;
            w.older->newer = &w;
            first->older = &w;
            grow(*first);
            return;
        }
        w.older = w.newer = &w;
        w.waiters = 0;
        tree_.insert(w);
        grow(w);
        turns_.join(w, w.wanted);
    }

    void remove(flow_waiter& w, bool newest_first) noexcept {
        arrivals_.remove(w);
        flow_waiter& first = *tree_.find(w.flow);
        --first.waiters;
        if (first.waiters == 0) {
            tree_.remove(first);
            leave(first);
            if (tree_.empty() && rest_waits_)
                leave_rest();
            return;
        }
        w.older->newer = w.newer;
        w.newer->older = w.older;
        flow_waiter* now_first = &first;
        if (&w == &first) {
            now_first = w.newer;
            tree_.replace(w, *now_first);
            turns_.replace(w, *now_first);
            if (longest_ == &w)
                longest_ = now_first;
        }
        turns_.charge(*now_first, candidate(*now_first, newest_first).wanted);
    }

    // A waiter without a flow has come, or gone. A flow waits.
    void push_to_rest(const waiter& w) noexcept {
        if (rest_waits_)
            grow(rest_);
        else
            join_rest(w, 1);
    }
    void remove_from_rest(const waiter_list& rest, bool newest_first) noexcept {
        --rest_.waiters;
        if (rest.empty())
            leave_rest();
        else
            turns_.charge(rest_, of_rest(rest, newest_first).wanted);
    }

    // A waiter is about to be removed because it has had its turn. It is the next one.
    void count_turn(const waiter& w) noexcept { flow_turns::grant(turns_.next(), w.wanted); }

    // The waiter whose turn it is. A flow waits. `keeps`: a waiter of the lane that keeps its turn while its flow is
    // next; or null.
    waiter* next(const waiter_list& rest, bool newest_first, waiter* keeps = nullptr) const noexcept {
        flow_turn& t = turns_.next();
        return keeps != nullptr && is_of(*keeps, t) ? keeps : in_turn(t, rest, newest_first);
    }

    // The waiter to evict: of the longest flow, the one that would be served last, but not the one that is kept. The
    // longest flow is the one that had most waiters when it was touched: approximated longest queue drop (B. Suter,
    // T. Lakshman, D. Stiliadis, A. Choudhury: Design Considerations for Supporting TCP with Per-flow Queueing. INFOCOM
    // 1998). Null if only the one that is kept waits.
    waiter* last(const waiter_list& rest, bool newest_first, const waiter* kept) const noexcept {
        if (longest_ != nullptr)
            if (waiter* w = in_turn(*longest_, rest, !newest_first); w != kept)
                return w;
        waiter* const a = arrivals_.back();
        if (a != kept)
            return a;
        return a->previous != nullptr ? a->previous : rest.back();
    }

    // The waiter that has waited longest, but not the one that is kept; null if there is no other.
    waiter* oldest(const waiter_list& rest, const waiter* kept = nullptr) const noexcept {
        waiter* a = after(arrivals_.front(), kept);
        waiter* b = after(rest.front(), kept);
        return a == nullptr || (b != nullptr && b->enqueued_at < a->enqueued_at) ? b : a;
    }

    // `visit(w)` may remove w, and no other waiter.
    template <class F>
    void for_each(F visit) {
        for (waiter* w = arrivals_.front(); w != nullptr;) {
            waiter* const following = w->next;
            visit(*w);
            w = following;
        }
    }

private:
    static waiter* after(waiter* w, const waiter* kept) noexcept { return w != nullptr && w == kept ? w->next : w; }

    static waiter& of_rest(const waiter_list& rest, bool newest_first) noexcept {
        return newest_first ? *rest.back() : *rest.front();
    }

    static flow_waiter& candidate(flow_waiter& first, bool newest_first) noexcept {
        return newest_first ? *first.older : first; // in a circle: the oldest comes after the newest
    }

    waiter* in_turn(flow_turn& t, const waiter_list& rest, bool newest_first) const noexcept {
        return &t == &rest_ ? &of_rest(rest, newest_first) : &candidate(static_cast<flow_waiter&>(t), newest_first);
    }

    bool is_of(const waiter& w, const flow_turn& t) const noexcept {
        return w.lane.in_flow()
                   ? &t != &rest_ && static_cast<const flow_waiter&>(w).flow == static_cast<const flow_waiter&>(t).flow
                   : &t == &rest_;
    }

    void join_rest(const waiter& next, std::size_t others) noexcept {
        rest_waits_ = true;
        rest_.waiters = others - 1;
        grow(rest_);
        turns_.join(rest_, next.wanted);
    }

    void grow(flow_turn& t) noexcept {
        ++t.waiters;
        if (longest_ == nullptr || t.waiters > longest_->waiters)
            longest_ = &t;
    }

    void leave(flow_turn& t) noexcept {
        if (longest_ == &t)
            longest_ = nullptr;
        turns_.leave(t);
    }

    void leave_rest() noexcept {
        rest_waits_ = false;
        leave(rest_);
    }

    waiter_list arrivals_; // of all flows, by `previous` and `next`
    flow_tree tree_;
    flow_turns turns_;
    flow_turn rest_;
    flow_turn* longest_ = nullptr;
    bool rest_waits_ = false;
};

} // namespace flowguard::detail

#endif
