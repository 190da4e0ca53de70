// semaphore_state.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_STATE_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_STATE_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/permit_word.hpp"
#include "flowguard/detail/refusals.hpp"
#include "flowguard/detail/wait_queue.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard::detail {

// Everything of a semaphore but its executor: permits, limit, and the queue of waiters.
//
// The queue is a plain list that only its *owner* touches: whichever thread found it unowned when it
// had something to say. Everybody else leaves a message in the inbox and goes; nobody waits for the
// owner. (Combining of this kind: Hendler, Incze, Shavit, Tzafrir, "Flat Combining", SPAA 2010.)
//
// inbox_, one atomic word:
//
//   address   newest message, a stack; it is only ever emptied whole, so there is no ABA
//   owned     some thread is the owner; messages and `dirty` only occur together with it
//   dirty     permits were given since the owner last looked
//   closing   for good: nobody is queued any more
//   orphaned  for good: the handle is gone, and its reference with the first owner to leave no waiter
//
// *Last touch.* A waiter that gets its permit may destroy the semaphore at once, while the thread
// that granted it is still on its way out. So an owner completes waiters only after it has left, and
// whoever gives a permit that others can see before it has told the owner holds a reference.
//
// All of it, but memory orders and contexts, is checked exhaustively: tests/model/semaphore.pml.
//
// Aligned so that the two words and the counters share one cache line, and with nothing of anybody else's:
// a call that finds a permit moves that one line.
class alignas(64) semaphore_state {
public:
    explicit semaphore_state(std::size_t limit, const wait_policy& policy = {})
        : word_(limit), limit_(static_cast<std::uint32_t>(limit)), queue_(policy) {}

    semaphore_state(const semaphore_state&) = delete;
    semaphore_state& operator=(const semaphore_state&) = delete;

    // Takes permits; with one reference, if they may outlive the handle. Fails if too few are available,
    // if somebody waits, or after close(). Lock-free.
    bool try_take(std::size_t permits, bool with_reference) noexcept {
        // Somebody whose message has not been read yet is ahead of us. Acquire: where the owner has
        // taken the messages, it had set `contended` before.
        if ((inbox_.load(std::memory_order_acquire) & ~(owned | dirty)) != 0)
            return false;
        return word_.try_take(permits, with_reference);
    }

    // Gives back permits that were taken with a reference. May destroy *this.
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

    // Adds permits; false, and nothing is added, if more than max_limit would be available.
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
    // its executor's sake never from inside. False after close(): the waiter remains the caller's.
    [[nodiscard]] bool wait(waiter& w) noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        for (;;) {
            if ((inbox & closing) != 0) {
                static_cast<void>(w.claim()); // a cancellation comes too late from now on
                refused().add(refusal::closed);
                return false;
            }
            enqueue_message& message = w;
            if (try_leave(inbox, &message, 0)) {
                if ((inbox & owned) == 0)
                    work(0, &message);
                return true;
            }
        }
    }

    // Takes a waiter out of line that the caller has claimed.
    void cancel_claimed(waiter& w, wait_result why) noexcept {
        w.result = why;
        cancel_message& message = w;
        if (leave(&message, 0))
            work(0, &message);
    }

    // Takes everybody out of line who is in it now.
    void cancel_all() {
        auto* message = new queue_message(queue_message::kind::cancel_all);
        if (leave(message, 0))
            work(0, message);
    }

    // Takes everybody out of line, for good. Idempotent.
    void close() noexcept {
        if (leave(nullptr, closing))
            work(0);
    }

    // The handle is gone: ends whoever waits, and *this with the last permit.
    void orphan() noexcept {
        if (leave(nullptr, closing | orphaned))
            work(0);
    }

    bool is_closed() const noexcept { return (inbox_.load(std::memory_order_relaxed) & closing) != 0; }

    // Whether the handle is gone.
    bool is_orphaned() const noexcept { return (inbox_.load(std::memory_order_acquire) & orphaned) != 0; }

    void set_limit(std::size_t limit) noexcept {
        const auto next = static_cast<std::uint32_t>(limit);
        // Permits are withdrawn before the limit is lowered, and given after it is raised, so that they
        // never add up to more than the limit, whoever else sets it. Acquire and release: who raises
        // what we lowered gives after we withdrew.
        std::uint32_t before = limit_.load(std::memory_order_relaxed);
        for (;;) {
            if (next < before)
                word_.withdraw(before - next);
            const std::uint32_t seen = before;
            if (limit_.compare_exchange_strong(before, next, std::memory_order_acq_rel, std::memory_order_relaxed)) {
                if (next > seen)
                    give_limit(next - seen);
                return;
            }
            if (next < seen)
                give_limit(seen - next);
        }
    }

    std::size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }

    std::size_t available() const noexcept { return word_.available(); }

    std::size_t in_flight() const noexcept {
        return static_cast<std::size_t>(
            std::max<std::int64_t>(static_cast<std::int64_t>(limit()) - word_.balance(), 0));
    }

    std::size_t waiting_of(priority rank) const noexcept { return queue_.waiting_of(rank); }

    std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

    refusals& refused() noexcept { return queue_.refused; }
    const refusals& refused() const noexcept { return queue_.refused; }

    partitions& shares() noexcept { return queue_.shares(); }
    const partitions& shares() const noexcept { return queue_.shares(); }

    // A reference keeps *this alive without its handle.
    void add_reference() noexcept { word_.refer(); }
    void drop_references(std::size_t references) noexcept {
        if (word_.drop(references))
            delete this;
    }

    // Whether the handle is gone, and everybody who waited. Acquire: sees the last owner's writes.
    bool is_retired() const noexcept {
        return (inbox_.load(std::memory_order_acquire) & (owned | orphaned)) == orphaned && waiting() == 0;
    }

    // A context is being destroyed: ends those who wait in it, their handlers uncalled. Unlike
    // everything else it waits for the owner, for it must not return before they are gone.
    void abandon(asio::execution_context& context) noexcept {
        while (!own_if_unowned())
            std::this_thread::yield();
        work(0, nullptr, &context);
    }

    // Whether link() was called for a context which still exists.
    bool is_linked(const asio::execution_context& context) const noexcept {
        // Acquire: pairs with the release that published the entry.
        for (const linked_context* c = contexts_.load(std::memory_order_acquire); c != nullptr; c = c->next)
            if (c->context.load(std::memory_order_relaxed) == &context)
                return true;
        return false;
    }

    // Remembers a context, whose service remembers us. Lock-free.
    void link(asio::execution_context& context) {
        for (linked_context* c = contexts_.load(std::memory_order_acquire); c != nullptr; c = c->next) {
            asio::execution_context* none = nullptr;
            if (c->context.compare_exchange_strong(none, &context, std::memory_order_relaxed))
                return;
        }
        auto* added = new linked_context{{&context}, contexts_.load(std::memory_order_relaxed)};
        while (!contexts_.compare_exchange_weak(added->next, added, std::memory_order_release,
                                                std::memory_order_relaxed)) {
        }
    }

    void unlink(const asio::execution_context& context) noexcept {
        for (linked_context* c = contexts_.load(std::memory_order_acquire); c != nullptr; c = c->next)
            if (c->context.load(std::memory_order_relaxed) == &context)
                c->context.store(nullptr, std::memory_order_relaxed);
    }

protected:
    virtual ~semaphore_state() {
        for (linked_context* c = contexts_.load(std::memory_order_relaxed); c != nullptr;) {
            linked_context* next = c->next;
            delete c;
            c = next;
        }
    }

private:
    static constexpr std::uintptr_t owned = 1;
    static constexpr std::uintptr_t dirty = 2;
    static constexpr std::uintptr_t closing = 4;
    static constexpr std::uintptr_t orphaned = 8;
    static constexpr std::uintptr_t for_good = closing | orphaned;
    static constexpr std::uintptr_t flags = owned | dirty | for_good;
    static_assert(alignof(queue_message) > flags);

    // Contexts whose callers have waited here: few, and found again by each wait.
    struct linked_context {
        std::atomic<asio::execution_context*> context; // null when that context is gone
        linked_context* next;
    };

    static queue_message* newest(std::uintptr_t inbox) noexcept {
        return reinterpret_cast<queue_message*>(inbox & ~flags); // NOLINT(performance-no-int-to-ptr)
    }

    // One attempt to become the owner, or else to leave a message, or `dirty` when there is none.
    // Afterwards `inbox` is what was found. Acquire, for an owner sees what the last one did; release,
    // for the owner must see what was done before this. A mere `dirty` is written even where it is set
    // already: the owner reads what we did from our write, not from an older one.
    bool try_leave(std::uintptr_t& inbox, queue_message* message, std::uintptr_t sticky) noexcept {
        std::uintptr_t desired = inbox | sticky;
        if ((inbox & owned) == 0) {
            desired |= owned;
        } else if (message != nullptr) {
            message->next = newest(inbox);
            desired = reinterpret_cast<std::uintptr_t>(message) | (desired & flags);
        } else {
            desired |= dirty;
        }
        return inbox_.compare_exchange_weak(inbox, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
    }

    // True if the caller is the owner now, and has to do itself what it came for. Else somebody else
    // does it, and this was the caller's last touch.
    [[nodiscard]] bool leave(queue_message* message, std::uintptr_t sticky) noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while (!try_leave(inbox, message, sticky)) {
        }
        return (inbox & owned) == 0;
    }

    [[nodiscard]] bool own_if_unowned() noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while ((inbox & owned) == 0)
            if (try_leave(inbox, nullptr, 0))
                return true;
        return false;
    }

    void give_limit(std::size_t permits) noexcept {
        word_.give_and_refer(permits);
        if (word_.contended())
            tell_owner();
        drop_references(1);
    }

    void tell_owner() noexcept {
        if (leave(nullptr, 0))
            work(0);
    }

    // What an owner has in hand, and to do when it is out of here.
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

        void put_back() noexcept {
            if (permits_ == 0)
                return;
            word_.give(permits_);
            permits_ = 0;
            ++references;
        }

        waiter_list done;           // to be completed
        waiter_list doomed;         // to be destroyed
        std::size_t references = 0; // to be dropped
        std::uintptr_t inbox = 0;   // its flags, when last seen

    private:
        permit_word& word_;
        std::size_t permits_; // with one reference, unless 0
    };

    // The owner's work. The caller has just become the owner, to bring permits with a reference, or a
    // message, or because a context is being destroyed, or just to look.
    void work(std::size_t permits, queue_message* message = nullptr,
              const asio::execution_context* context = nullptr) noexcept {
        ownership o(word_, permits);
        if (permits != 0 && word_.balance() < 0)
            o.put_back(); // debt comes first
        if (message != nullptr)
            queue_.apply(*message, o.done);
        if (context != nullptr)
            queue_.doom(*context, o.doomed);

        for (o.inbox = inbox_.load(std::memory_order_relaxed);;) {
            if ((o.inbox & closing) != 0) {
                word_.set_contended(); // no short cuts any more
                queue_.end_all((o.inbox & orphaned) != 0 ? wait_result::aborted : wait_result::closed, o.done);
            } else {
                queue_.serve(o, o.done);
                queue_.shed(o.done);
            }
            o.put_back();
            if (queue_.empty() && (o.inbox & closing) == 0 && word_.contended())
                word_.clear_contended();
            waiting_.store(queue_.size(), std::memory_order_relaxed);
            if (try_to_go(o))
                break;
        }

        if (o.references > 0)
            drop_references(o.references);
        while (waiter* w = o.done.pop_front())
            w->complete();
        while (waiter* w = o.doomed.pop_front())
            w->destroy();
    }

    // Ends the ownership, and true; or takes what was left meanwhile.
    bool try_to_go(ownership& o) noexcept {
        // The handle's reference is dropped once, when nobody can come back to the queue any more.
        const bool last = (o.inbox & orphaned) != 0 && !handle_dropped_ && waiting() == 0;
        std::uintptr_t idle = (o.inbox & for_good) | owned;
        // Release: the next owner must see the queue as we leave it.
        if (last)
            handle_dropped_ = true;
        if (inbox_.compare_exchange_strong(idle, idle & ~owned, std::memory_order_release, std::memory_order_relaxed)) {
            o.references += last ? 1 : 0;
            return true;
        }
        if (last)
            handle_dropped_ = false;
        // Before their messages are out of sight, those who have just come must be seen to wait; see
        // try_take, with whose acquire the release pairs. Acquire: we read the messages.
        // Whoever comes between the look and the taking makes it fail, and is seen the next time.
        std::uintptr_t taken = idle;
        do {
            if (newest(taken) != nullptr && queue_.empty())
                word_.set_contended();
        } while (!inbox_.compare_exchange_weak(taken, taken & (for_good | owned), std::memory_order_acq_rel,
                                               std::memory_order_relaxed));
        o.inbox = taken & flags;
        queue_.apply_all(newest(taken), o.done);
        return false;
    }

    permit_word word_;
    std::atomic<std::uintptr_t> inbox_{0};
    std::atomic<std::uint32_t> limit_;
    std::atomic<std::size_t> waiting_{0}; // written by the owner alone
    std::atomic<linked_context*> contexts_{nullptr};
    wait_queue queue_;            // the owner's
    bool handle_dropped_ = false; // the owner's
};

} // namespace flowguard::detail

#endif
