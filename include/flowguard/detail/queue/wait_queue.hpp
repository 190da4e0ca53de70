// wait_queue.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_WAIT_QUEUE_HPP
#define FLOWGUARD_DETAIL_QUEUE_WAIT_QUEUE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/rejections.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/queue/waiting_lanes.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard::detail {

// The rejection that a waiter's end counts as; none if the waiter was granted its permits, or is destroyed with its
// context.
inline std::optional<rejection> rejection_of(wait_result result) noexcept {
    switch (result) {
    case wait_result::granted:
    case wait_result::abandoned:
        break;
    case wait_result::aborted:
        return rejection::cancelled;
    case wait_result::timed_out:
        return rejection::timed_out;
    case wait_result::closed:
        return rejection::closed;
    case wait_result::shed:
        return rejection::queue_full;
    case wait_result::overdue:
        return rejection::overdue;
    case wait_result::no_permit:
        return rejection::no_permit;
    }
    return std::nullopt;
}

// The line of waiters, and the decision on each. Single-threaded (owner only), except for members that say otherwise;
// the only atomic operation is claiming a waiter. So every race between a grant, a cancellation and a close is an order
// of calls here, which a test can write down.
//
// The queue only decides. It puts each waiter that it has decided on into `done`, exactly once, and the owner completes
// the waiters there. Drains are the exception: see end_drain().
//
// *Aside.* Unless the policy lets it run alone, a waiter that wants more than the limit cannot be served, and must not
// block the others. It leaves the line, and waits *aside* until the limit, or permits that were released beyond it,
// suffice. Then it comes back to the front of the line, and has its turn. (Go's golang.org/x/sync/semaphore does this,
// too; its limit is fixed, so such a waiter is never served.) If the limit is 0, permits come from releases alone, and
// any waiter may be served one day.
//
// *Drains* are waiters that want no permit. They wait beside the line until the semaphore is idle: the owner tells
// when.
class wait_queue {
public:
    // Only `rejected` keeps the observer, because it can destroy the observer early.
    explicit wait_queue(wait_policy policy)
        : rejected(std::exchange(policy.on_rejection, {}), policy.shares.size()), lanes_(std::move(policy)) {}

    rejections rejected; // counted by the owner, and by other threads for callers that were not in line

    // Whether no waiter is in line. There may be some aside.
    bool empty() const noexcept { return lanes_.empty(); }

    // Whether a waiter is aside.
    bool has_aside() const noexcept { return !aside_.empty(); }

    // The waiter that is served next; null if no waiter is in line.
    waiter* next() const noexcept { return lanes_.next(); }

    std::size_t waiting_of(priority p) const noexcept { return lanes_.waiting_of(p); }

    // For any thread: whether the number of waiters is bounded, and how many may be in line or on their way to it, with
    // a newcomer to that lane.
    bool is_bounded() const noexcept { return lanes_.is_bounded(); }
    std::size_t most_waiters_with(lane_number lane) const noexcept { return lanes_.most_waiters_with(lane); }

    // For any thread: see waiting_lanes.
    void prepare_flows() { lanes_.prepare_flows(); }
    void set_times(const standing_times& t) noexcept { lanes_.set_times(t); }

    bool lets_run_alone() const noexcept { return lanes_.lets_run_alone(); }

    partitions& shares() noexcept { return lanes_.shares(); }
    const partitions& shares() const noexcept { return lanes_.shares(); }

    // Whether there is a drain that is not decided on.
    bool has_drains() const noexcept { return !drains_.empty(); }

    // How many waiters, without drains, are not decided on: in line, aside, or claimed by a cancellation whose message
    // has not arrived yet.
    std::size_t size() const noexcept { return size_; }

    // Applies a stack of messages, the oldest first, so that a waiter's enqueue comes before its cancel.
    void apply_all(queue_message* newest, waiter_list& done) noexcept {
        queue_message* oldest = nullptr;
        while (newest != nullptr) {
            queue_message* next = newest->older;
            newest->older = oldest;
            oldest = newest;
            newest = next;
        }
        while (oldest != nullptr) {
            queue_message* next = oldest->older; // reversed above: the next newer one
            apply(*oldest, done);
            oldest = next;
        }
    }

    void apply(queue_message& message, waiter_list& done) noexcept {
        switch (message.what) {
        case queue_message::kind::enqueue:
            apply_enqueue(message);
            break;
        case queue_message::kind::drain: {
            auto& w = static_cast<waiter&>(static_cast<enqueue_message&>(message));
            drains_.push_back(w);
            w.where = waiter::position::draining;
            break;
        }
        case queue_message::kind::cancel: {
            auto& w = static_cast<waiter&>(static_cast<cancel_message&>(message));
            if (w.is_drain())
                end_drain(w, w.result);
            else
                decide(w, w.result, done); // the thread that claimed it has set the result
            break;
        }
        case queue_message::kind::cancel_all:
            end_all(wait_result::aborted, done);
            delete &message;
            break;
        case queue_message::kind::cancel_context: {
            auto& cancel = static_cast<cancel_context_message&>(message);
            end_waiters_of(cancel.context, wait_result::aborted, done);
            cancel.applied();
            delete &cancel;
            break;
        }
        case queue_message::kind::abandon: {
            auto& abandon = static_cast<abandon_message&>(message);
            end_those_of(abandon.context, abandon.abandoned);
            abandon.older = unconfirmed_;
            unconfirmed_ = &abandon;
            break;
        }
        case queue_message::kind::reopen: {
            auto& reopen = static_cast<reopen_message&>(message);
            if (reopen.ends_waiters) // unless the owner saw the semaphore closed, and has ended them
                end_all(wait_result::closed, done);
            end_drains(wait_result::aborted);
            reopen.applied();
            delete &reopen;
            break;
        }
        }
    }

    // Applies the message if it is a newcomer's; else returns false.
    bool apply_enqueue(queue_message& message) noexcept {
        if (message.what != queue_message::kind::enqueue)
            return false;
        lanes_.push_back(static_cast<waiter&>(static_cast<enqueue_message&>(message)));
        ++size_;
        return true;
    }

    // The next waiter, if it is all that matters: serve() would grant it one permit, and would do nothing without a
    // permit; shed() would do nothing. Else null.
    waiter* next_for_one() const noexcept {
        waiter* const w = lanes_.next_if_plain();
        return w != nullptr && w->wanted == 1 && aside_.empty() ? w : nullptr;
    }

    // Grants one permit to next_for_one(), if another one in its lane is the same then. Otherwise returns null, and has
    // changed nothing.
    waiter* try_grant_one() noexcept {
        waiter* const w = next_for_one();
        if (w == nullptr || w->next == nullptr || w->next->wanted != 1 || !w->claim())
            return nullptr;
        lanes_.remove(*w);
        --size_;
        w->result = wait_result::granted;
        return w;
    }

    // Called by the owner when it has completed all waiters that it has decided on. Tells the threads that destroy
    // contexts that no waiter of those contexts is left. This must not come earlier, because a waiter may have been
    // decided on just before its context was abandoned.
    void confirm_abandoned() noexcept {
        for (queue_message* m = std::exchange(unconfirmed_, nullptr); m != nullptr;) {
            queue_message* const next = m->older;
            // Release: the thread that waits for this sees the list, and what completing did. It may destroy the
            // message right afterwards.
            static_cast<abandon_message*>(m)->applied.store(true, std::memory_order_release);
            m = next;
        }
    }

    // Serves the waiters in line while there are permits, but at most `most` of them. Returns true if it stopped
    // because of `most`. `hand` is what the owner holds:
    // - `hand.take(n, last)` takes n permits for the next waiter, and returns whether it holds them now. `last` tells
    //   whether that waiter is the only one in line.
    // - `hand.grant()` passes these permits on to the waiter.
    // - `hand.reach()` is how many permits a waiter may want and still be served one day; at least one.
    // - `hand.has_some()` tells whether any permit is free.
    // - `hand.estimate_times()` is called as by waiting_lanes::look().
    // - `hand.note_aside()` is called when the first waiter goes aside, before `reach()` is called again.
    //
    // No waiter overtakes the one whose turn it is, however many permits that one wants. So it is served in the end.
    template <class Hand>
    bool serve(Hand& hand, waiter_list& done, std::size_t most) noexcept {
        lanes_.look([&hand] { return hand.estimate_times(); });
        for (;;) {
            bring_back(hand);
            waiter* const w = lanes_.next();
            if (w == nullptr)
                return false;
            if (most-- == 0)
                return true;
            if (hand.take(w->wanted, lanes_.has_only_one())) {
                if (w->claim()) {
                    hand.grant();
                    lanes_.count_turn(*w);
                    decide(*w, wait_result::granted, done);
                } else {
                    lanes_.remove(*w); // its cancel message is on its way; the permits are for the next one
                }
            } else if (w->wanted == 1) { // always within reach
                return false;
            } else if (w->wanted > hand.reach()) {
                put_aside(*w, hand);
            } else {
                if (hand.has_some())
                    lanes_.keep_turn(*w);
                return false;
            }
        }
    }

    // Sheds the waiters that are overdue, or exceed max_waiters. Returns true if another waiter is next now: permits
    // that did not suffice for the one before may suffice for it. This happens where a flow, without the waiter that
    // was shed, has its turn later.
    [[nodiscard]] bool shed(waiter_list& done) noexcept {
        if (!lanes_.may_shed())
            return false;
        const waiter* first = nullptr;
        const auto reject = [&](waiter& w, wait_result why) {
            if (first == nullptr)
                first = lanes_.next();
            reject_waiter(w, why, done);
        };
        while (waiter* w = lanes_.overdue())
            reject(*w, wait_result::overdue);
        while (lanes_.has_too_many())
            reject(*lanes_.least(), wait_result::shed);
        return first != nullptr && lanes_.next() != first;
    }

    // Ends all waiters but drains, except those whose cancellation is on its way already.
    void end_all(wait_result result, waiter_list& done) noexcept {
        for_each([&](waiter& w) {
            if (w.claim())
                decide(w, result, done);
        });
    }

    // The same for drains.
    void end_drains(wait_result result) noexcept {
        for_each_of(drains_, [&](waiter& w) {
            if (w.claim())
                end_drain(w, result);
        });
    }

private:
    // Ends the waiters of a context but drains, except those whose cancellation is on its way already.
    void end_waiters_of(const asio::execution_context* context, wait_result result, waiter_list& ended) noexcept {
        for_each([&](waiter& w) {
            if (w.context() == context && w.claim())
                decide(w, result, ended);
        });
    }

    // Ends the waiters and the drains of a context that is being destroyed, with the same exception.
    void end_those_of(const asio::execution_context& context, waiter_list& abandoned) noexcept {
        end_waiters_of(&context, wait_result::abandoned, abandoned);
        for_each_of(drains_, [&](waiter& w) {
            if (w.context() == &context && w.claim()) {
                drains_.remove(w);
                w.result = wait_result::abandoned;
                abandoned.push_back(w);
            }
        });
    }

    // A drain is completed at once: no reservation is freed for it, and no observer is told.
    void end_drain(waiter& w, wait_result result) noexcept {
        drains_.remove(w);
        w.result = result;
        w.complete();
    }

    // `visit(w)` may remove w, and no other waiter.
    template <class F>
    void for_each(F visit) {
        lanes_.for_each(visit);
        for_each_of(aside_, visit);
    }

    template <class F>
    static void for_each_of(const waiter_list& list, F visit) {
        for (waiter* w = list.front(); w != nullptr;) {
            waiter* const next = w->next;
            visit(*w);
            w = next;
        }
    }

    template <class Hand>
    void put_aside(waiter& w, Hand& hand) noexcept {
        const bool was_first = w.where == waiter::position::back_in_line;
        lanes_.count_flow_turn(w);
        lanes_.remove(w);
        if (aside_.empty()) {
            hand.note_aside();
            least_aside_ = w.wanted;
        }
        least_aside_ = (std::min)(least_aside_, w.wanted);
        was_first ? aside_.push_front(w) : aside_.push_back(w); // it keeps its place before those that never came back
        w.where = waiter::position::aside;
    }

    // Brings one waiter back from aside to the front of the line: of those within `hand.reach()`, the one that went
    // aside first. It brings back one at a time, so that the next one does not overtake it. Complexity: O(1) if no
    // waiter aside is in reach, else linear in their number. (It is linear once more after the waiter that wanted least
    // is gone.)
    template <class Hand>
    void bring_back(Hand& hand) noexcept {
        if (aside_.empty())
            return;
        const std::size_t reach = hand.reach();
        if (reach < least_aside_)
            return;
        if (const waiter* first = lanes_.next(); first != nullptr && first->where == waiter::position::back_in_line)
            return;
        std::uint32_t least = (std::numeric_limits<std::uint32_t>::max)();
        for (waiter* w = aside_.front(); w != nullptr; w = w->next) {
            if (w->wanted <= reach) {
                aside_.remove(*w);
                lanes_.push_front(*w);
                w->where = waiter::position::back_in_line;
                return;
            }
            least = (std::min)(least, w->wanted);
        }
        least_aside_ = least;
    }

    void reject_waiter(waiter& w, wait_result why, waiter_list& done) noexcept {
        if (w.claim())
            decide(w, why, done);
        else
            lanes_.remove(w); // its cancel message is on its way
    }

    FLOWGUARD_DETAIL_EACH_CALL void decide(waiter& w, wait_result result, waiter_list& done) noexcept {
        switch (w.where) {
        case waiter::position::in_line:
        case waiter::position::back_in_line:
            lanes_.remove(w);
            break;
        case waiter::position::aside:
            aside_.remove(w);
            break;
        case waiter::position::draining: // no: see end_drain()
        case waiter::position::nowhere:
            break;
        }
        --size_;
        if (const std::optional<rejection> why = rejection_of(result))
            rejected.count(*why, w.lane.partition());
        w.result = result;
        done.push_back(w);
    }

    waiting_lanes lanes_;
    waiter_list aside_;
    waiter_list drains_;
    std::uint32_t least_aside_ = 0; // no waiter aside wants less
    std::size_t size_ = 0;
    queue_message* unconfirmed_ = nullptr; // abandon messages
};

} // namespace flowguard::detail

#endif
