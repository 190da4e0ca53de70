// wait_queue.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_WAIT_QUEUE_HPP
#define FLOWGUARD_DETAIL_WAIT_QUEUE_HPP

#include <cstddef>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/refusals.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/detail/waiting_lanes.hpp"

namespace flowguard::detail {

// The line of waiters, and what becomes of each: plain code for one thread at a time, the owner, without
// an atomic step but a waiter's claim. So every race between a grant, a cancellation and a close is an
// order of calls here, which a test can write down.
//
// Decides only. Waiters whose turn it is, or was, end up in `done`, each exactly once, for the owner to
// complete when it is out of the semaphore.
class wait_queue {
public:
    explicit wait_queue(const wait_policy& policy) : refused(policy.on_refusal), line_(policy) {}

    refusals refused; // by the owner, and by others, of those who were not in line

    // Whether nobody is in line.
    bool empty() const noexcept { return line_.empty(); }

    std::size_t waiting_of(priority rank) const noexcept { return line_.waiting_of(rank); }

    partitions& shares() noexcept { return line_.shares(); }
    const partitions& shares() const noexcept { return line_.shares(); }

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
            line_.push_back(w);
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
    // Nobody overtakes whose turn it is, however much it wants, so that it is served in the end.
    template <class Hand>
    void serve(Hand& hand, waiter_list& done) noexcept {
        line_.look();
        while (waiter* w = line_.next()) {
            if (!hand.take(w->wanted, line_.has_only_one()))
                return;
            if (w->claim()) {
                hand.give_away();
                line_.count_turn(*w);
                decide(*w, wait_result::granted, done);
            } else {
                line_.remove(*w); // its cancel message is on its way; the permits are for the next
            }
        }
    }

    // Turns away those whose wait is in vain.
    void shed(waiter_list& done) noexcept {
        if (!line_.may_shed())
            return;
        while (waiter* w = line_.overdue())
            turn_away(*w, wait_result::overdue, done);
        while (line_.has_too_many())
            turn_away(*line_.least(), wait_result::shed, done);
    }

    // Ends those in line whose cancellation is not on its way already.
    void end_all(wait_result result, waiter_list& done) noexcept {
        line_.for_each([&](waiter& w) {
            if (w.claim())
                decide(w, result, done);
        });
    }

    // Moves those out of line who wait in a context that is being destroyed, with messages of theirs, but
    // for those whose cancellation is on its way already.
    void doom(const asio::execution_context& context, waiter_list& doomed) noexcept {
        line_.for_each([&](waiter& w) {
            if (w.context() == &context && w.claim())
                decide(w, wait_result::abandoned, doomed);
        });
    }

private:
    void turn_away(waiter& w, wait_result why, waiter_list& done) noexcept {
        if (w.claim())
            decide(w, why, done);
        else
            line_.remove(w); // its cancel message is on its way
    }

    void decide(waiter& w, wait_result result, waiter_list& done) noexcept {
        if (w.in_line)
            line_.remove(w);
        --size_;
        count(result);
        w.result = result;
        done.push_back(w);
    }

    void count(wait_result result) noexcept {
        switch (result) {
        case wait_result::granted:
        case wait_result::abandoned:
            break;
        case wait_result::aborted:
            return refused.add(refusal::cancelled);
        case wait_result::timed_out:
            return refused.add(refusal::timed_out);
        case wait_result::closed:
            return refused.add(refusal::closed);
        case wait_result::shed:
            return refused.add(refusal::queue_full);
        case wait_result::overdue:
            return refused.add(refusal::overdue);
        }
    }

    waiting_lanes line_;
    std::size_t size_ = 0;
};

} // namespace flowguard::detail

#endif
