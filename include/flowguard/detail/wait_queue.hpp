// wait_queue.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_WAIT_QUEUE_HPP
#define FLOWGUARD_DETAIL_WAIT_QUEUE_HPP

#include <chrono>
#include <cstddef>
#include <limits>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/refusal_counts.hpp"
#include "flowguard/detail/standing_queue.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/wait_order.hpp"

namespace flowguard::detail {

// Who may wait, and in which order they are served.
struct wait_policy {
    std::size_t max_waiters = std::numeric_limits<std::size_t>::max();
    wait_order order = wait_order::fifo;

    // Where the order is adaptive.
    std::chrono::nanoseconds target{};
    std::chrono::nanoseconds interval{};
    std::chrono::nanoseconds (*now)() noexcept = nullptr;
};

// The line of waiters, and what becomes of each: plain code for one thread at a time, the owner, without
// an atomic step but a waiter's claim. So every race between a grant, a cancellation and a close is an
// order of calls here, which a test can write down.
//
// Decides only. Waiters whose turn it is, or was, end up in `done`, each exactly once, for the owner to
// complete when it is out of the semaphore.
class wait_queue {
public:
    explicit wait_queue(const wait_policy& policy) noexcept
        : policy_(policy), standing_(policy.target, policy.interval) {}

    refusal_counts refused; // the owner's, and of those who were refused without having been in line

    // Whether nobody is in line.
    bool empty() const noexcept { return line_.empty(); }

    // How many came and are not decided on: those in line, and those whose cancellation is still to come.
    std::size_t size() const noexcept { return size_; }

    // Applies a stack of messages, the oldest first: a waiter's enqueue comes before its cancel.
    void apply_all(queue_message* newest, waiter_list& done) noexcept {
        queue_message* oldest = nullptr;
        while (newest != nullptr) {
            queue_message* next = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = next;
        }
        while (oldest != nullptr) {
            queue_message* next = oldest->next;
            apply(*oldest, done);
            oldest = next;
        }
    }

    void apply(queue_message& message, waiter_list& done) noexcept {
        switch (message.what) {
        case queue_message::kind::enqueue: {
            auto& w = static_cast<waiter&>(static_cast<enqueue_message&>(message));
            if (adapts())
                w.came_at = policy_.now();
            line_.push_back(w);
            w.in_line = true;
            ++in_line_;
            ++size_;
            break;
        }
        case queue_message::kind::cancel: {
            auto& w = static_cast<waiter&>(static_cast<cancel_message&>(message));
            decide(w, w.result, done); // as was set by who claimed it
            break;
        }
        case queue_message::kind::cancel_all:
            end_all(wait_result::aborted, done);
            delete &message;
            break;
        }
    }

    // Serves those in line, while there are permits: `hand.take(n, last)` says whether it holds n
    // permits now, for what may be the last in line, and `hand.give_away()` that they are the waiter's.
    // First come, first served: nobody overtakes the first, however much it wants, so that it is served in the
    // end. In a queue that stands, the last is first: it is the most likely to be in time.
    template <class Hand>
    void serve(Hand& hand, waiter_list& done) noexcept {
        if (adapts() && !line_.empty())
            look();
        while (waiter* w = standing_.stands() ? line_.back() : line_.front()) {
            if (!hand.take(w->wanted, line_.has_only_one()))
                return;
            if (w->claim()) {
                hand.give_away();
                decide(*w, wait_result::granted, done);
            } else {
                remove(*w); // its cancel message is on its way; the permits are for the next
            }
        }
    }

    // Turns away those whose wait is in vain. Where the queue stands, that is whoever waited for too long, but for the
    // one who is served next: a permit shall not have to wait for it. And while more are in line than may, it
    // is those who would be served last.
    void shed(waiter_list& done) noexcept {
        if (line_.empty())
            return;
        if (standing_.stands())
            for (const auto now = policy_.now();
                 !line_.has_only_one() && standing_.is_too_long(now - line_.front()->came_at);)
                turn_away(*line_.front(), wait_result::overdue, done);
        while (in_line_ > policy_.max_waiters)
            turn_away(standing_.stands() ? *line_.front() : *line_.back(), wait_result::shed, done);
    }

    // Ends those in line whose cancellation is not on its way already.
    void end_all(wait_result result, waiter_list& done) noexcept {
        for (waiter* w = line_.front(); w != nullptr;) {
            waiter* next = w->behind;
            if (w->claim())
                decide(*w, result, done);
            w = next;
        }
    }

    // Moves those out of line who wait in a context that is being destroyed, with messages of theirs, but
    // for those whose cancellation is on its way already.
    void doom(const asio::execution_context& context, waiter_list& doomed) noexcept {
        for (waiter* w = line_.front(); w != nullptr;) {
            waiter* next = w->behind;
            if (w->context() == &context && w->claim())
                decide(*w, wait_result::abandoned, doomed);
            w = next;
        }
    }

private:
    bool adapts() const noexcept { return policy_.order == wait_order::adaptive; }

    void look() noexcept {
        const auto now = policy_.now();
        standing_.look(now - line_.front()->came_at, now);
    }

    void turn_away(waiter& w, wait_result why, waiter_list& done) noexcept {
        if (w.claim())
            decide(w, why, done);
        else
            remove(w); // its cancel message is on its way
    }

    void remove(waiter& w) noexcept {
        line_.remove(w);
        w.in_line = false;
        --in_line_;
    }

    void decide(waiter& w, wait_result result, waiter_list& done) noexcept {
        if (w.in_line)
            remove(w);
        --size_;
        if (result != wait_result::granted)
            refused.add(result);
        w.result = result;
        done.push_back(w);
    }

    const wait_policy policy_;
    standing_queue standing_;
    waiter_list line_;
    std::size_t in_line_ = 0;
    std::size_t size_ = 0;
};

} // namespace flowguard::detail

#endif
