// wait_queue.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_WAIT_QUEUE_HPP
#define FLOWGUARD_DETAIL_WAIT_QUEUE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/refusals.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/detail/waiting_lanes.hpp"
#include "flowguard/refusal.hpp"

namespace flowguard::detail {

// The refusal that a waiter's end counts as; none if it was admitted, or is destroyed with its context.
inline std::optional<refusal> refusal_of(wait_result result) noexcept {
    switch (result) {
    case wait_result::granted:
    case wait_result::abandoned:
        break;
    case wait_result::aborted:
        return refusal::cancelled;
    case wait_result::timed_out:
        return refusal::timed_out;
    case wait_result::closed:
        return refusal::closed;
    case wait_result::shed:
        return refusal::queue_full;
    case wait_result::overdue:
        return refusal::overdue;
    }
    return std::nullopt;
}

// The line of waiters, and the decision on each. Single-threaded (owner only), unless it says otherwise; the only
// atomic operation is claiming a waiter. So every race between a grant, a cancellation and a close is an
// order of calls here, which a test can write down.
//
// It only decides. The waiters that it has decided on end up in `done`, each exactly once, for the owner to
// complete.
//
// *Aside.* A waiter that wants more than the limit cannot be served, and must not keep the others from being served.
// It leaves the line until the limit, or permits that were released beyond it, suffice; then it comes back in front of
// the line, and has its turn. (Go's golang.org/x/sync/semaphore does so, too; its limit is fixed, so such a waiter is
// never served.) If the limit is 0, permits come from releases alone, and any waiter may be served one day.
class wait_queue {
public:
    // The observer is kept in `refused` alone, which can release it early.
    explicit wait_queue(wait_policy policy)
        : refused(std::exchange(policy.on_refusal, {})), line_(std::move(policy)) {}

    refusals refused; // counted by the owner, and by other threads for callers that were not in line

    // Whether no waiter is in line. There may be some aside.
    bool empty() const noexcept { return line_.empty(); }

    // Whether a waiter is aside.
    bool has_aside() const noexcept { return !aside_.empty(); }

    // The waiter that is served next; null if no waiter is in line.
    waiter* next() const noexcept { return line_.next(); }

    std::size_t waiting_of(priority rank) const noexcept { return line_.waiting_of(rank); }

    // For any thread: whether the number of waiters is bounded, and how many may be on their way or in line with `w`.
    bool is_bounded() const noexcept { return line_.is_bounded(); }
    std::size_t most_waiters_with(const waiter& w) const noexcept { return line_.most_waiters_with(w); }

    partitions& shares() noexcept { return line_.shares(); }
    const partitions& shares() const noexcept { return line_.shares(); }

    // How many waiters are not decided on: in line, aside, or claimed by a cancellation whose message has not come yet.
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
            decide(w, w.result, done); // the thread that claimed it has set the result
            break;
        }
        case queue_message::kind::cancel_all:
            end_all(wait_result::aborted, done);
            delete &message;
            break;
        case queue_message::kind::abandon: {
            auto& abandon = static_cast<abandon_message&>(message);
            end_those_of(abandon.context, abandon.abandoned);
            abandon.next = unconfirmed_;
            unconfirmed_ = &abandon;
            break;
        }
        }
    }

    // For the owner when it has completed all that it has decided on: tells the threads that destroy contexts that no
    // waiter of theirs is left. Not earlier, for a waiter may have been decided on just before its context was
    // abandoned.
    void confirm_abandoned() noexcept {
        for (queue_message* m = std::exchange(unconfirmed_, nullptr); m != nullptr;) {
            queue_message* const next = m->next;
            // Release: the thread that waits for it sees the list, and what completing did. The message may be gone
            // next.
            static_cast<abandon_message*>(m)->applied.store(true, std::memory_order_release);
            m = next;
        }
    }

    // Serves those in line, while there are permits, but at most `most` of them; true if it stopped for that.
    // `hand.take(n, last)` says whether it holds n permits now, for what may be the last waiter in line, and
    // `hand.give_away()` that they are the waiter's. `hand.reach()` is how many permits a waiter may want and still be
    // served one day; `hand.note_aside()` is called before it is asked again, when the first waiter goes aside.
    //
    // No waiter overtakes the one whose turn it is, however much that one wants, so that it is served in the end.
    template <class Hand>
    bool serve(Hand& hand, waiter_list& done, std::size_t most) noexcept {
        line_.look();
        for (;;) {
            bring_back(hand);
            waiter* const w = line_.next();
            if (w == nullptr)
                return false;
            if (most-- == 0)
                return true;
            if (hand.take(w->wanted, line_.has_only_one())) {
                if (w->claim()) {
                    hand.give_away();
                    line_.count_turn(*w);
                    decide(*w, wait_result::granted, done);
                } else {
                    line_.remove(*w); // its cancel message is on its way; the permits are for the next
                }
            } else if (w->wanted > hand.reach()) {
                put_aside(*w, hand);
            } else {
                return false;
            }
        }
    }

    // Sheds the waiters that are overdue, or exceed max_waiters.
    void shed(waiter_list& done) noexcept {
        if (!line_.may_shed())
            return;
        while (waiter* w = line_.overdue())
            turn_away(*w, wait_result::overdue, done);
        while (line_.has_too_many())
            turn_away(*line_.least(), wait_result::shed, done);
    }

    // Ends all waiters whose cancellation is not on its way already.
    void end_all(wait_result result, waiter_list& done) noexcept {
        for_each([&](waiter& w) {
            if (w.claim())
                decide(w, result, done);
        });
    }

private:
    // Ends the waiters of a context that is being destroyed, but for those whose cancellation is on its way already.
    void end_those_of(const asio::execution_context& context, waiter_list& abandoned) noexcept {
        for_each([&](waiter& w) {
            if (w.context() == &context && w.claim())
                decide(w, wait_result::abandoned, abandoned);
        });
    }

    // `visit(w)` may remove w, and no other waiter.
    template <class F>
    void for_each(F visit) {
        line_.for_each(visit);
        for (waiter* w = aside_.front(); w != nullptr;) {
            waiter* const behind = w->behind;
            visit(*w);
            w = behind;
        }
    }

    template <class Hand>
    void put_aside(waiter& w, Hand& hand) noexcept {
        line_.remove(w);
        if (aside_.empty()) {
            hand.note_aside();
            least_aside_ = w.wanted;
        }
        least_aside_ = std::min(least_aside_, w.wanted);
        aside_.push_back(w);
        w.where = waiter::position::aside;
    }

    // The first waiter that went aside, of those that can be served one day now, comes back in front of the line; one
    // at a time, so that the next one does not overtake it. Linear in the number of waiters aside, but only where one
    // of them is in reach, or was before it went.
    template <class Hand>
    void bring_back(Hand& hand) noexcept {
        if (aside_.empty())
            return;
        const std::size_t reach = hand.reach();
        if (reach < least_aside_)
            return;
        if (const waiter* first = line_.next(); first != nullptr && first->where == waiter::position::back_in_line)
            return;
        std::uint32_t least = std::numeric_limits<std::uint32_t>::max();
        for (waiter* w = aside_.front(); w != nullptr; w = w->behind) {
            if (w->wanted <= reach) {
                aside_.remove(*w);
                line_.push_front(*w);
                w->where = waiter::position::back_in_line;
                return;
            }
            least = std::min(least, w->wanted);
        }
        least_aside_ = least;
    }

    void turn_away(waiter& w, wait_result why, waiter_list& done) noexcept {
        if (w.claim())
            decide(w, why, done);
        else
            line_.remove(w); // its cancel message is on its way
    }

    void decide(waiter& w, wait_result result, waiter_list& done) noexcept {
        switch (w.where) {
        case waiter::position::in_line:
        case waiter::position::back_in_line:
            line_.remove(w);
            break;
        case waiter::position::aside:
            aside_.remove(w);
            break;
        case waiter::position::nowhere:
            break;
        }
        --size_;
        if (const std::optional<refusal> why = refusal_of(result))
            refused.count(*why);
        w.result = result;
        done.push_back(w);
    }

    waiting_lanes line_;
    waiter_list aside_;
    std::uint32_t least_aside_ = 0; // no waiter aside wants less
    std::size_t size_ = 0;
    queue_message* unconfirmed_ = nullptr; // abandon messages
};

} // namespace flowguard::detail

#endif
