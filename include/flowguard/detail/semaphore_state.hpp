// semaphore_state.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_STATE_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_STATE_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/context_links.hpp"
#include "flowguard/detail/owner_rounds.hpp"
#include "flowguard/detail/permit_word.hpp"
#include "flowguard/detail/refusals.hpp"
#include "flowguard/detail/wait_queue.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard::detail {

// What became of a call that wanted to wait.
enum class wait_start : std::uint8_t {
    queued, // it is completed later, exactly once
    full,   // not queued: as many wait as may
    closed  // not queued: the semaphore is closed
};

// Everything of a semaphore but its executor: permits, limit, and the queue of waiters.
//
// The queue is a plain list that only its *owner* touches: the first thread to need the queue while it has no
// owner. Every other thread pushes a message to the inbox and returns; no thread waits for the owner.
// (Combining of this kind: Hendler, Incze, Shavit, Tzafrir, "Flat Combining", SPAA 2010.)
//
// inbox_, one atomic word:
//
//   address   the newest message, a stack; it is only ever emptied whole, so there is no ABA
//   owned     some thread is the owner
//   dirty     permits were released, or the limit was changed, since the owner last looked
//   closing   for good: no caller is queued any more
//   orphaned  for good: the handle is gone; the first owner to leave no waiter drops the handle's reference
//
// *What the owner does.* It works in rounds of bounded length. In each it grants permits, decides on those who are to
// be shed, and completes all waiters that it has decided on. Completing is posting: no handler runs in here. Observers
// are called when the thread does not own the queue any more.
//
// *Liveness.* A waiter that is granted a permit is completed in the round in which it was granted. A message, or
// `dirty`, is seen at the end of the round in which it came. So however many messages arrive, all that any party waits
// for is one round. An owner that has worked for many rounds, because other threads keep it busy, leaves the queue
// with messages in the inbox: the next thread that comes takes over. If none has come when the leaving thread has
// yielded once, it becomes the owner again.
//
// *Last touch.* A waiter that was completed may destroy the semaphore at once. While there is an owner, that leaves
// the state alive: it sets `orphaned`, and the owner drops the handle's reference on its way out. An owner that has
// left touches nothing without a reference of its own. A thread that releases a permit which others can see, before
// it has told the owner, holds a reference as well.
//
// All of it, but memory orders and contexts, is checked exhaustively: tests/model/semaphore.pml. The orders are checked
// by tests/memory_model.
//
// Aligned so that the atomic words and the counters share one cache line, with nothing else in it: a call that finds a
// permit moves that one line.
class alignas(64) semaphore_state {
public:
    explicit semaphore_state(std::size_t limit, wait_policy policy = {}) : word_(limit), queue_(std::move(policy)) {}

    semaphore_state(const semaphore_state&) = delete;
    semaphore_state& operator=(const semaphore_state&) = delete;

    // Takes permits; with one reference, if they may outlive the handle. Fails if too few are available,
    // if a caller waits, or after close(). Lock-free.
    bool try_take(std::size_t permits, bool with_reference) noexcept {
        // A caller whose message has not been read yet is ahead of us. Acquire: where the owner has
        // taken the messages, it had set `contended` before.
        if ((inbox_.load(std::memory_order_acquire) & ~(owned | dirty)) != 0)
            return false;
        return word_.try_take(permits, with_reference);
    }

    // Releases permits that were taken with a reference. May destroy *this.
    void give_with_reference(std::size_t permits) noexcept {
        if (word_.try_give_with_reference(permits))
            return;
        if (own_if_unowned()) {
            work(permits); // straight to the first waiter
            return;
        }
        word_.give(permits);
        tell_owner();
        drop_references(1);
    }

    // Releases permits; false, and nothing is changed, if more than max_limit would be available.
    bool give(std::size_t permits) noexcept {
        switch (word_.try_give(permits, max_limit)) {
        case permit_word::given::done:
            return true;
        case permit_word::given::too_many:
            return false;
        case permit_word::given::contended:
            break;
        }
        if (own_if_unowned()) {
            word_.refer();
            work(permits); // straight to the first waiter
            return true;
        }
        word_.give_and_refer(permits);
        tell_owner();
        drop_references(1);
        return true;
    }

    // Puts a waiter in line; it is then completed exactly once, perhaps before this returns, but for
    // its executor's sake never from inside. If it is not queued, it remains the caller's, and a cancellation is
    // without effect from now on.
    [[nodiscard]] wait_start wait(waiter& w) noexcept {
        if (!reserve(w))
            return not_queued(w, wait_start::full);
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        for (;;) {
            if ((inbox & closing) != 0) {
                free_reservations(1);
                return not_queued(w, wait_start::closed);
            }
            enqueue_message& message = w;
            if (try_leave(inbox, &message, 0)) {
                if ((inbox & owned) == 0)
                    work(0, in_hand(inbox, &message));
                return wait_start::queued;
            }
        }
    }

    // What wait() would say now, from a look: so that a call which is turned away costs little.
    [[nodiscard]] wait_start would_wait(const waiter& w) const noexcept {
        if (is_closed())
            return wait_start::closed;
        const bool full =
            queue_.is_bounded() && reserved_.load(std::memory_order_relaxed) >= queue_.most_waiters_with(w);
        return full ? wait_start::full : wait_start::queued;
    }

    // Takes a waiter out of line that the caller has claimed.
    void cancel_claimed(waiter& w, wait_result why) noexcept {
        w.result = why;
        cancel_message& message = w;
        leave_or_work(&message, 0);
    }

    // Takes all waiters out of line that are in it now. Throws if there is no memory for the message.
    void cancel_all() { leave_or_work(new queue_message(queue_message::kind::cancel_all), 0); }

    // Takes all waiters out of line, for good. Idempotent.
    void close() noexcept { leave_or_work(nullptr, closing); }

    // The handle is gone: ends all waits, the observer, and *this with the last permit.
    void orphan() noexcept {
        add_reference();
        leave_or_work(nullptr, closing | orphaned);
        refused().retire();
        drop_references(1);
    }

    bool is_closed() const noexcept { return (inbox_.load(std::memory_order_relaxed) & closing) != 0; }

    // Whether the handle is gone. Relaxed: nothing that its last owner wrote is read because of this.
    bool is_orphaned() const noexcept { return (inbox_.load(std::memory_order_relaxed) & orphaned) != 0; }

    // Waiters that a higher limit admits are granted their permits at once; nothing is taken from a holder.
    void set_limit(std::size_t limit) noexcept {
        if (word_.set_limit_and_refer(limit))
            tell_owner();
        drop_references(1);
    }

    std::size_t limit() const noexcept { return word_.limit(); }
    std::size_t available() const noexcept { return word_.available(); }
    std::size_t in_flight() const noexcept { return word_.held(); }
    std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }
    std::size_t waiting_of(priority rank) const noexcept { return queue_.waiting_of(rank); }

    // A call was not admitted: to be counted before its caller is told, and the observer told after it.
    void count_refusal(refusal why) noexcept { refused().count(why); }

    // The observer may destroy the semaphore: the caller touches *this afterwards only with a reference of its own.
    void tell_refusal(refusal why) noexcept {
        if (!refused().is_observed())
            return;
        add_reference();
        refused().tell(why);
        drop_references(1);
    }

    // Both, where the caller is told by what the function that calls this returns.
    void refuse(refusal why) noexcept {
        count_refusal(why);
        tell_refusal(why);
    }

    const refusals& refused() const noexcept { return queue_.refused; }

    partitions& shares() noexcept { return queue_.shares(); }
    const partitions& shares() const noexcept { return queue_.shares(); }

    // A reference keeps *this alive without its handle.
    void add_reference() noexcept { word_.refer(); }
    // Fails while *this is being destroyed.
    [[nodiscard]] bool try_add_reference() noexcept { return word_.try_refer(); }
    void drop_references(std::size_t references) noexcept {
        if (word_.drop(references))
            delete this;
    }

    // A context is being destroyed: ends the waiters whose handlers would run there, uncalled. The caller holds a
    // reference. When this returns, no thread completes a waiter there any more. Unlike everything else it waits for
    // the owner, if there is one: for two rounds at most.
    void abandon(const asio::execution_context& context) noexcept {
        abandon_message message(context);
        leave_or_work(&message, 0);
        while (!message.applied.load(std::memory_order_acquire)) // the owner has written the list
            std::this_thread::yield();
        while (waiter* w = message.abandoned.pop_front()) {
            free_reservations(1);
            w->destroy();
        }
        has_abandoned(context);
    }

    // The contexts whose callers have waited here.
    context_links& contexts() noexcept { return contexts_; }

protected:
    virtual ~semaphore_state() = default;

    // A context is being destroyed, and has no waiters any more: for what else there may be of it.
    virtual void has_abandoned(const asio::execution_context&) noexcept {}

    // The limit was lowered for some time only. The owner will ask the first waiter to watch() for the end of that, as
    // soon as there is one. Relaxed: published by the next step.
    void want_watch() noexcept {
        wants_watch_.store(true, std::memory_order_relaxed);
        if (word_.refer_and_look())
            tell_owner();
        drop_references(1);
    }

private:
    static constexpr std::uintptr_t owned = 1;
    static constexpr std::uintptr_t dirty = 2;
    static constexpr std::uintptr_t closing = 4;
    static constexpr std::uintptr_t orphaned = 8;
    static constexpr std::uintptr_t for_good = closing | orphaned;
    static constexpr std::uintptr_t flags = owned | dirty | for_good;
    static_assert(alignof(queue_message) > flags);

    static queue_message* newest(std::uintptr_t inbox) noexcept {
        return reinterpret_cast<queue_message*>(inbox & ~flags); // NOLINT(performance-no-int-to-ptr)
    }

    refusals& refused() noexcept { return queue_.refused; }

    // Reserves one of the max_waiters places. Relaxed: it is a count, and publishes nothing.
    [[nodiscard]] bool reserve(const waiter& w) noexcept {
        if (!queue_.is_bounded())
            return true;
        std::size_t n = reserved_.load(std::memory_order_relaxed);
        const std::size_t most = queue_.most_waiters_with(w);
        while (n < most)
            if (reserved_.compare_exchange_weak(n, n + 1, std::memory_order_relaxed, std::memory_order_relaxed))
                return true;
        return false;
    }

    void free_reservations(std::size_t n) noexcept {
        if (queue_.is_bounded())
            reserved_.fetch_sub(n, std::memory_order_relaxed);
    }

    static wait_start not_queued(waiter& w, wait_start why) noexcept {
        static_cast<void>(w.claim());
        return why;
    }

    // One attempt to become the owner, or else to leave a message, or `dirty` when there is none. Where the last
    // owner has left messages behind, the new one leaves its own behind them and reads it in its turn: see in_hand().
    // Afterwards `inbox` is what was found. Acquire, for an owner sees what the last one did; release,
    // for the owner must see what was done before this. Write `dirty` even where it is set already: the owner must
    // synchronize with this write, not with an earlier one.
    bool try_leave(std::uintptr_t& inbox, queue_message* message, std::uintptr_t sticky) noexcept {
        std::uintptr_t desired = inbox | sticky | owned;
        if (message != nullptr && !is_idle(inbox)) {
            message->next = newest(inbox);
            desired = reinterpret_cast<std::uintptr_t>(message) | (desired & flags);
        } else if (message == nullptr && (inbox & owned) != 0) {
            desired |= dirty;
        }
        return inbox_.compare_exchange_weak(inbox, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
    }

    // No owner, and no message: a thread that comes becomes the owner with its message in its hand.
    static bool is_idle(std::uintptr_t inbox) noexcept { return (inbox & owned) == 0 && newest(inbox) == nullptr; }

    // What is left to be applied of the message of a thread that has just become the owner, from what it found.
    static queue_message* in_hand(std::uintptr_t found, queue_message* message) noexcept {
        return is_idle(found) ? message : nullptr;
    }

    // The caller becomes the owner and does the work, or leaves it to the owner; then this is its last touch.
    void leave_or_work(queue_message* message, std::uintptr_t sticky) noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while (!try_leave(inbox, message, sticky)) {
        }
        if ((inbox & owned) == 0)
            work(0, in_hand(inbox, message));
    }

    void tell_owner() noexcept { leave_or_work(nullptr, 0); }

    [[nodiscard]] bool own_if_unowned() noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while ((inbox & owned) == 0)
            if (try_leave(inbox, nullptr, 0))
                return true;
        return false;
    }

    // The same, but only if the last owner has left something to do.
    [[nodiscard]] bool own_what_is_left() noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while ((inbox & owned) == 0 && (inbox & ~for_good) != 0)
            if (try_leave(inbox, nullptr, 0))
                return true;
        return false;
    }

    // What an owner has in hand.
    class ownership {
    public:
        ownership(permit_word& word, std::size_t permits) noexcept : word_(word), permits_(permits) {}

        // For wait_queue::serve().
        bool take(std::size_t permits, bool last_in_line) noexcept {
            if (permits_ == permits)
                return true;
            put_back();
            if (word_.take_or_contend(permits, last_in_line))
                permits_ = permits;
            return permits_ != 0;
        }
        void give_away() noexcept { permits_ = 0; } // and their reference
        std::size_t reach() const noexcept {
            const std::size_t limit = word_.limit();
            if (limit == 0)
                return max_limit;
            const std::int64_t free = word_.balance() + static_cast<std::int64_t>(permits_);
            return std::max(limit, static_cast<std::size_t>(std::max<std::int64_t>(free, 0)));
        }
        void note_aside() noexcept { word_.set_aside(); }

        void put_back() noexcept {
            if (permits_ == 0)
                return;
            word_.give(permits_);
            permits_ = 0;
            ++references;
        }

        waiter_list done;           // to be completed
        refusal_tally untold;       // of which the observer is to be told afterwards
        bool observes = false;      // there are some; with a reference
        std::size_t references = 0; // to be dropped
        std::uintptr_t inbox = 0;   // its flags, when last seen

    private:
        permit_word& word_;
        std::size_t permits_; // with one reference, unless 0
    };

    // The owner's work. The caller has just become the owner, to bring permits with a reference, or a
    // message, or just to look.
    void work(std::size_t permits, queue_message* message = nullptr) noexcept {
        ownership o(word_, permits);
        if (permits != 0 && word_.balance() < 0)
            o.put_back(); // debt comes first
        if (message != nullptr)
            queue_.apply(*message, o.done);

        o.inbox = inbox_.load(std::memory_order_relaxed);
        for (int rounds = 1;; ++rounds) {
            const bool is_through = do_round(o);
            if (is_through && try_to_go(o))
                break;
            if (rounds >= owner_rounds::most_rounds) {
                if (hand_on(o))
                    break;
                rounds = 0;
            }
            take_messages(o);
        }

        if (o.observes)
            o.untold.for_each([this](refusal why) { refused().tell(why); });
        if (o.references > 0)
            drop_references(o.references);
    }

    // False if there is more to do although no message comes.
    bool do_round(ownership& o) noexcept {
        bool more = false;
        if ((o.inbox & closing) != 0) {
            word_.set_contended(); // no short cuts any more
            queue_.end_all((o.inbox & orphaned) != 0 ? wait_result::aborted : wait_result::closed, o.done);
        } else {
            more = queue_.serve(o, o.done, owner_rounds::most_grants);
            queue_.shed(o.done);
        }
        o.put_back();
        // From here until the next round, `contended` is set just if a waiter is in line, or the semaphore is closed.
        const bool contends = !queue_.empty() || (o.inbox & closing) != 0;
        if (contends != word_.contended())
            contends ? word_.set_contended() : word_.clear_contended();
        if (!queue_.has_aside() && word_.has_aside())
            word_.clear_aside();
        waiting_.store(queue_.size(), std::memory_order_relaxed);
        if (wants_watch_.load(std::memory_order_relaxed))
            ask_for_watch();
        complete(o);
        queue_.confirm_abandoned();
        return !more;
    }

    void ask_for_watch() noexcept {
        waiter* const w = queue_.next();
        if (w == nullptr)
            return;
        wants_watch_.store(false, std::memory_order_relaxed);
        w->watch();
    }

    // Completes the waiters that were decided on. They may destroy the semaphore; the owner keeps the state.
    void complete(ownership& o) noexcept {
        while (waiter* w = o.done.pop_front()) {
            free_reservations(1);
            if (refused().is_observed())
                note_refusal(w->result, o);
            w->complete();
        }
    }

    void note_refusal(wait_result result, ownership& o) noexcept {
        const std::optional<refusal> why = refusal_of(result);
        if (!why)
            return;
        o.untold.add(*why);
        if (!std::exchange(o.observes, true)) {
            add_reference();
            ++o.references;
        }
    }

    // Ends the ownership, and true, unless something was left meanwhile.
    bool try_to_go(ownership& o) noexcept {
        // The handle's reference is dropped once, when no thread can come back to the queue any more.
        const bool last = (o.inbox & orphaned) != 0 && !handle_dropped_ && waiting() == 0;
        std::uintptr_t idle = (o.inbox & for_good) | owned;
        if (last)
            handle_dropped_ = true;
        // Release: the next owner must see the queue as we leave it.
        if (inbox_.compare_exchange_strong(idle, idle & ~owned, std::memory_order_release, std::memory_order_relaxed)) {
            o.references += last ? 1 : 0;
            return true;
        }
        if (last)
            handle_dropped_ = false;
        return false;
    }

    // Takes what was left in the inbox, and applies it.
    void take_messages(ownership& o) noexcept {
        // `contended` must be set before the messages are out of sight, so that try_take cannot overtake the waiters
        // in them; the release pairs with its acquire. Acquire: we read the messages. Where there is no message, one
        // may come between the look and the taking; then the exchange fails.
        std::uintptr_t taken = inbox_.load(std::memory_order_relaxed);
        if (newest(taken) != nullptr ||
            !inbox_.compare_exchange_strong(taken, taken & (for_good | owned), std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
            if (!word_.contended())
                word_.set_contended();
            taken = inbox_.fetch_and(for_good | owned, std::memory_order_acq_rel);
        }
        o.inbox = taken & flags;
        queue_.apply_all(newest(taken), o.done);
    }

    // Other threads have kept the owner busy for long. Leaves the queue to the next thread that comes; true if one has
    // come, or has done all that there was.
    bool hand_on(ownership& o) noexcept {
        if (o.references == 0) { // for the look afterwards
            add_reference();
            ++o.references;
        }
        // Relaxed: read with the next step. The next owner has to look at the permits, too.
        inbox_.fetch_or(dirty, std::memory_order_relaxed);
        // Release: the next owner must see the queue as we leave it.
        inbox_.fetch_and(~owned, std::memory_order_release);
        std::this_thread::yield();
        return !own_what_is_left();
    }

    permit_word word_;
    std::atomic<std::uintptr_t> inbox_{0};
    std::atomic<std::size_t> waiting_{0};  // written by the owner alone
    std::atomic<std::size_t> reserved_{0}; // of max_waiters places, if bounded: waiters in line or on their way
    context_links contexts_;
    wait_queue queue_;            // the owner's
    bool handle_dropped_ = false; // the owner's
    std::atomic<bool> wants_watch_{false};
};

} // namespace flowguard::detail

#endif
