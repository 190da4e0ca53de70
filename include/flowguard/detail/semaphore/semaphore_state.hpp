// semaphore_state.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_SEMAPHORE_STATE_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_SEMAPHORE_STATE_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/rejections.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/detail/queue/wait_queue.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/context_links.hpp"
#include "flowguard/detail/semaphore/owner_rounds.hpp"
#include "flowguard/detail/semaphore/permit_word.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard::detail {

// The result of an attempt to wait.
enum class wait_start : std::uint8_t {
    queued, // the waiter is completed later, exactly once
    full,   // not queued: as many callers wait as are allowed
    closed  // not queued: the semaphore is closed
};

// Everything of a semaphore except its executor: permits, limit, and the queue of waiters.
//
// The queue is a plain list that only its *owner* touches: the first thread to need the queue while it has no owner.
// Every other thread pushes a message to the inbox and returns. No thread waits for the owner, except in abandon().
// (Combining of this kind: Hendler, Incze, Shavit, Tzafrir, "Flat Combining", SPAA 2010.)
//
// inbox_, one atomic word:
//
//   address   of the newest message, the top of a stack; the stack is only emptied as a whole, so there is no ABA
//   owned     some thread is the owner
//   dirty     permits were released, or the limit was changed, since the owner last looked
//   gate      two bits, one of four states. Unless it is open, no caller is queued, and none takes a permit:
//               open
//               draining  those who wait are served
//               closed    the owner ends those who wait
//               orphaned  for good: the handle was destroyed. The first owner that ends its ownership with no waiter
//                         left drops the handle's reference.
//
// *What the owner does.* It works in rounds of bounded length. In each round it grants permits, decides which waiters
// are shed, and completes all waiters that it has decided on. To complete a waiter is to post it to its executor: no
// handler runs in here. The thread calls observers when it does not own the queue any more.
//
// *Liveness.* A waiter that is granted a permit is completed in the same round. The owner sees a message, or `dirty`,
// at the end of the round in which it arrived, and acts on it in the next. So no party waits for more than two rounds,
// however many messages arrive.
// An owner that other threads have kept busy for many rounds gives up the queue, although the inbox holds messages: the
// next thread that needs the queue becomes the owner. If none has done so by the time the former owner has yielded
// once, the former owner takes the queue back.
//
// *Last touch.* The handler of a completed waiter may destroy the semaphore at once. While there is an owner, the state
// stays alive: the semaphore's destructor sets `orphaned`, and the owner drops the handle's reference when it ends its
// ownership. A former owner touches the state only with a reference of its own. A thread that releases permits holds a
// reference, too, from when other threads can see the permits until it has told the owner.
//
// *Drains.* A drain is a waiter that wants no permit; it is posted and changes the gate in one step. While the gate is
// not open, `contended` is set, so that each release goes through the owner. So the owner sees the last permit come
// back, and then completes the drains. Before the gate is closed, nothing of this costs anything. To open the gate
// again, a thread clears it, and posts a message that ends the drains posted before, in one step.
//
// tests/model/semaphore.pml checks all of this exhaustively, except for memory orders, contexts, callers that run
// alone, and bar(), which acts as a limit below what is held. tests/memory_model checks the memory orders, and has
// guards whose calls run alone.
//
// Aligned so that the atomic words and the counters share one cache line, with nothing else in it: a call that finds a
// free permit moves only that line between cores.
class alignas(64) semaphore_state {
public:
    explicit semaphore_state(std::size_t limit, wait_policy policy = {})
        : word_(limit), queue_(std::move(policy)), lets_run_alone_(queue_.lets_run_alone()) {}

    semaphore_state(const semaphore_state&) = delete;
    semaphore_state& operator=(const semaphore_state&) = delete;

    // Takes permits; with one reference, if they may outlive the handle. Fails if too few are available,
    // if a caller waits, or if the gate is not open. If MayRunAlone, it is for a caller that may run alone. Lock-free.
    template <bool MayRunAlone = false>
    bool try_take(std::size_t permits, bool with_reference) noexcept {
        // A waiter whose message is still in the inbox comes before this caller. Acquire: if the owner has taken the
        // messages, this thread also sees that `contended` was set before.
        if ((inbox_.load(std::memory_order_acquire) & ~(owned | dirty)) != 0)
            return false;
        return word_.try_take<MayRunAlone>(permits, with_reference);
    }

    // Releases permits that were taken with a reference. May destroy *this.
    void release_with_reference(std::size_t permits) noexcept {
        if (word_.try_release_with_reference(permits))
            return;
        if (try_own()) {
            run_as_owner(permits); // they go straight to the first waiter
            return;
        }
        word_.release(permits);
        tell_owner();
        drop_references(1);
    }

    // Releases permits. Returns false, and changes nothing, if fewer are held, or, if more may be released than were
    // taken, more than max_limit would be available.
    bool release(std::size_t permits, bool beyond_taken = false) noexcept {
        switch (word_.try_release(permits, beyond_taken, max_limit)) {
        case permit_word::released::done:
            return true;
        case permit_word::released::too_many:
            return false;
        case permit_word::released::contended:
            break;
        }
        if (try_own()) {
            refer_from_stock();
            run_as_owner(permits); // they go straight to the first waiter
            return true;
        }
        word_.release_and_refer(permits);
        tell_owner();
        drop_references(1);
        return true;
    }

    // Puts a waiter in line. It is then completed exactly once, perhaps before this returns; but it is posted to its
    // executor, so its handler never runs inside this call. If it is not queued, it remains the caller's, and a
    // cancellation has no effect from now on.
    [[nodiscard]] wait_start wait(waiter& w) noexcept {
        if (!reserve(w))
            return not_queued(w, wait_start::full);
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        for (;;) {
            if ((inbox & gate) != open) {
                free_reservations(1);
                return not_queued(w, wait_start::closed);
            }
            enqueue_message& message = w;
            if (try_post(inbox, &message)) {
                if ((inbox & owned) == 0)
                    run_as_owner(0, in_hand(inbox, &message));
                return wait_start::queued;
            }
        }
    }

    // Puts a drain beside the line, and closes the gate: for newcomers alone, or also for those who wait. The drain is
    // then completed exactly once, as a waiter is: with `granted` when no caller waits and no permit is held any more.
    void drain(waiter& w, bool ends_waiters) noexcept {
        enqueue_message& message = w;
        if (ends_waiters)
            post_or_own(&message, at_least<closed>{});
        else
            post_or_own(&message, at_least<draining>{});
    }

    // What wait() would return now for a waiter in that lane. This only looks, so that a rejected call costs little.
    [[nodiscard]] wait_start would_wait(lane_number lane) const noexcept {
        if (is_closed())
            return wait_start::closed;
        const bool full =
            queue_.is_bounded() && reserved_.load(std::memory_order_relaxed) >= queue_.most_waiters_with(lane);
        return full ? wait_start::full : wait_start::queued;
    }

    // Takes out of line a waiter that the caller has claimed.
    void cancel_claimed(waiter& w, wait_result why) noexcept {
        w.result = why;
        cancel_message& message = w;
        post_or_own(&message);
    }

    // Takes all present waiters out of line. Throws if there is no memory for the message.
    void cancel_all() { post_or_own(new queue_message(queue_message::kind::cancel_all)); }

    // The same for the waiters that are completed in that context, without drains.
    void cancel_all_of(const asio::execution_context& context) { post_or_own(new leaving(*this, context)); }

    // Takes all waiters out of line, and queues no other until reopen(). Idempotent.
    void close() noexcept { post_or_own(nullptr, at_least<closed>{}); }

    // Opens the gate, and ends the present drains with `aborted`. Has no effect if the gate is open. Throws if there is
    // no memory for the message; nothing has changed then.
    void reopen() {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        if (!may_reopen(inbox))
            return;
        auto message = std::make_unique<reopening>(*this);
        do {
            if (!may_reopen(inbox))
                return;
            message->ends_waiters = (inbox & gate) == closed;
        } while (!try_post(inbox, message.get(), [](std::uintptr_t found) { return found & ~gate; }));
        queue_message* const posted = message.release();
        if ((inbox & owned) == 0)
            run_as_owner(0, in_hand(inbox, posted));
    }

    // Called when the handle is destroyed: ends all waits, and retires the observer. *this is destroyed with its last
    // reference.
    void orphan() noexcept {
        add_reference();
        post_or_own(nullptr, at_least<orphaned>{});
        rejected().retire();
        drop_references(1);
    }

    // Whether newcomers are rejected: the gate is not open.
    bool is_closed() const noexcept { return (inbox_.load(std::memory_order_relaxed) & gate) != open; }

    // Whether the handle was destroyed. Relaxed: a caller does not go on to read what the thread that destroyed the
    // handle wrote.
    bool is_orphaned() const noexcept { return (inbox_.load(std::memory_order_relaxed) & gate) == orphaned; }

    // Waiters that a higher limit admits are granted their permits at once; nothing is taken from a holder.
    void set_limit(std::size_t limit) noexcept { finish_change(begin_limit(limit)); }

    // The first half of set_limit(), which calls nothing outside, and so may be called under a lock. The caller passes
    // the result to finish_change(), and has a reference until then.
    [[nodiscard]] bool begin_limit(std::size_t limit) noexcept { return word_.set_limit_and_refer(limit); }

    // The same, but if the semaphore is barred, the limit has effect when that ends.
    [[nodiscard]] bool begin_limit_below_bar(std::size_t limit) noexcept {
        return word_.set_limit_below_bar_and_refer(limit);
    }

    // Ends a change for which the word took a reference: if callers wait, the owner looks at the permits.
    void finish_change(bool callers_wait) noexcept {
        if (callers_wait)
            tell_owner();
        drop_references(1);
    }

    // No permit is granted, whatever the limit, until unbar() or set_limit(). Nothing is taken from a holder. Returns
    // false if the semaphore was barred already.
    bool bar() noexcept { return word_.bar(); }

    // Returns false if the semaphore was not barred.
    bool unbar() noexcept {
        if (!word_.unbar())
            return false;
        finish_change(word_.refer_and_look());
        return true;
    }

    std::size_t limit() const noexcept { return word_.limit(); }
    std::size_t available() const noexcept { return word_.available(); }
    std::size_t in_flight() const noexcept { return word_.held(); }
    std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

    // Whether no permit is held, and no caller waits or is about to. Of the calls that began before, it misses none.
    bool is_idle() const noexcept {
        // Acquire: if there is no owner, this thread sees what the last one did with the messages before. An owner may
        // have taken a message, and not counted the waiter yet.
        if ((inbox_.load(std::memory_order_acquire) & ~gate) != 0)
            return false;
        // Acquire: a waiter that was granted its permit is missing in the one only after the permit is in the other.
        return waiting_.load(std::memory_order_acquire) == 0 && in_flight() == 0;
    }
    std::size_t waiting_of(priority p) const noexcept { return queue_.waiting_of(p); }

    // Counts a call that is not admitted. Count it before its caller is told; tell the observer after that.
    void count_rejection(rejection why, std::size_t partition) noexcept { rejected().count(why, partition); }

    // Calls the observer, which may destroy the semaphore: the caller touches *this afterwards only with a reference of
    // its own.
    void tell_rejection(rejection why) noexcept {
        if (!rejected().is_observed())
            return;
        add_reference();
        rejected().tell(why);
        drop_references(1);
    }

    // Does both, for a function that tells its caller by what it returns.
    void reject(rejection why, std::size_t partition) noexcept {
        count_rejection(why, partition);
        tell_rejection(why);
    }

    const rejections& rejected() const noexcept { return queue_.rejected; }

    // Any thread may call it: see waiting_lanes::set_times().
    void set_times(const standing_times& t) noexcept { queue_.set_times(t); }

    // Called before wait() for a waiter of a flow: see waiting_lanes. May throw std::bad_alloc.
    void prepare_flows() { queue_.prepare_flows(); }

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

    // Called when a context is being destroyed: ends the waiters whose handlers would run there, without calling the
    // handlers. The caller holds a reference. After this returns, no thread completes a waiter there any more. Unlike
    // all other functions, this one waits for the owner, if there is one, for two rounds at most.
    void abandon(const asio::execution_context& context) noexcept {
        abandon_message message(context);
        post_or_own(&message);
        while (!message.applied.load(std::memory_order_acquire)) // the owner has written the list
            std::this_thread::yield();
        while (waiter* w = message.abandoned.pop_front()) {
            if (!w->is_drain())
                free_reservations(1);
            w->destroy();
        }
        has_left(&context);
    }

    // Called when the limit was lowered, or the semaphore was barred, for a limited time. As soon as there is a waiter,
    // the owner asks the first one to watch() for the end of that time. Release: the waiter must see what there is to
    // watch. An exchange: the waiter must see it also of a thread that has called this just before.
    void want_watch() noexcept {
        wants_watch_.exchange(true, std::memory_order_release);
        finish_change(word_.refer_and_look());
    }

    // The contexts whose callers have waited here.
    context_links& contexts() noexcept { return contexts_; }

protected:
    virtual ~semaphore_state() = default;

    // Called when a context is being destroyed, or its waiters were cancelled, and none is here any more. A derived
    // class then ends what else it has in that context. The context is only compared, and may be gone.
    virtual void has_left(const asio::execution_context*) noexcept {}

    // Called by the owner during a drain, when no caller waits and no permit is held. Returns whether nothing else is
    // in flight either. If it returns false, the derived class calls tell_owner() when that has changed. If it returns
    // true, it must stay true until has_reopened().
    virtual bool is_idle_beside() noexcept { return true; }

    // Called by the owner when the gate was opened again.
    virtual void has_reopened() noexcept {}

    // The owner may hold several permits for a waiter. These are called before it holds them, and after it has put them
    // back; the second is not called if a waiter was granted them.
    virtual void will_hold_several(std::size_t /*permits*/) noexcept {}
    virtual void has_put_back_several(std::size_t /*permits*/) noexcept {}

    void tell_owner() noexcept { post_or_own(nullptr); }

    // Called by the owner, if the policy wants set_times() and nobody has called it yet: see waiting_lanes::look().
    virtual standing_times estimate_times() const noexcept { return {}; }

private:
    static constexpr std::uintptr_t owned = 1;
    static constexpr std::uintptr_t dirty = 2;
    static constexpr std::uintptr_t gate = 4 | 8; // the states, in an order:
    static constexpr std::uintptr_t open = 0;
    static constexpr std::uintptr_t draining = 4;
    static constexpr std::uintptr_t closed = 8;
    static constexpr std::uintptr_t orphaned = 4 | 8;
    static constexpr std::uintptr_t flags = owned | dirty | gate;
    static_assert(alignof(queue_message) > flags);

    // Changes of the gate, as functions of the inbox: none, and to a later state.
    struct as_it_is {
        std::uintptr_t operator()(std::uintptr_t inbox) const noexcept { return inbox; }
    };
    template <std::uintptr_t State>
    struct at_least {
        std::uintptr_t operator()(std::uintptr_t inbox) const noexcept {
            return (inbox & ~gate) | (std::max)(inbox & gate, State);
        }
    };

    static bool may_reopen(std::uintptr_t inbox) noexcept {
        return (inbox & gate) != open && (inbox & gate) != orphaned;
    }

    class leaving final : public cancel_context_message {
    public:
        leaving(semaphore_state& state, const asio::execution_context& of) noexcept
            : cancel_context_message(of), state_(state) {}
        void applied() noexcept override { state_.has_left(context); }

    private:
        semaphore_state& state_;
    };

    class reopening final : public reopen_message {
    public:
        explicit reopening(semaphore_state& state) noexcept : state_(state) {}
        void applied() noexcept override { state_.has_reopened(); }

    private:
        semaphore_state& state_;
    };

    static queue_message* newest(std::uintptr_t inbox) noexcept {
        return reinterpret_cast<queue_message*>(inbox & ~flags); // NOLINT(performance-no-int-to-ptr)
    }

    rejections& rejected() noexcept { return queue_.rejected; }

    // Reserves one of the max_waiters slots. Relaxed: it is a count, and publishes nothing.
    [[nodiscard]] bool reserve(const waiter& w) noexcept {
        if (!queue_.is_bounded())
            return true;
        std::size_t n = reserved_.load(std::memory_order_relaxed);
        const std::size_t most = queue_.most_waiters_with(w.lane);
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

    // Tries once to become the owner; if there is one, tries to push the message instead, or to set `dirty` if there is
    // no message. If the last owner left messages in the inbox, a new owner pushes its own as well, and reads it in its
    // turn: see in_hand(). Afterwards `inbox` is the value that was found. Acquire: a new owner must see what the last
    // one did. Release: the owner must see what this thread did before. Write `dirty` even if it is set already: the
    // owner must synchronize with this write, not with an earlier one.
    template <class Change = as_it_is>
    bool try_post(std::uintptr_t& inbox, queue_message* message, Change changed = {}) noexcept {
        std::uintptr_t desired = changed(inbox) | owned;
        if (message != nullptr && !is_idle(inbox)) {
            message->older = newest(inbox);
            desired = reinterpret_cast<std::uintptr_t>(message) | (desired & flags);
        } else if (message == nullptr && (inbox & owned) != 0) {
            desired |= dirty;
        }
        return inbox_.compare_exchange_weak(inbox, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
    }

    // Whether there is no owner, and no message. The next thread then becomes the owner, and keeps its message in hand
    // instead of pushing it.
    static bool is_idle(std::uintptr_t inbox) noexcept { return (inbox & owned) == 0 && newest(inbox) == nullptr; }

    // For a thread that has just become the owner: the message that it must apply itself; null if it has pushed the
    // message to the inbox. `found` is the value of the inbox that it found.
    static queue_message* in_hand(std::uintptr_t found, queue_message* message) noexcept {
        return is_idle(found) ? message : nullptr;
    }

    // The calling thread becomes the owner and does the work, or else tells the owner, and does not touch *this
    // afterwards.
    template <class Change = as_it_is>
    void post_or_own(queue_message* message, Change changed = {}) noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while (!try_post(inbox, message, changed)) {
        }
        if ((inbox & owned) == 0)
            run_as_owner(0, in_hand(inbox, message));
    }

    [[nodiscard]] bool try_own() noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while ((inbox & owned) == 0)
            if (try_post(inbox, nullptr))
                return true;
        return false;
    }

    // The same, but only if the last owner has left work.
    [[nodiscard]] bool try_own_leftovers() noexcept {
        std::uintptr_t inbox = inbox_.load(std::memory_order_relaxed);
        while ((inbox & owned) == 0 && (inbox & ~gate) != 0)
            if (try_post(inbox, nullptr))
                return true;
        return false;
    }

    // What a thread holds while it is the owner.
    class ownership {
    public:
        ownership(semaphore_state& state, std::size_t permits) noexcept : state_(state), permits_(permits) {
            if (permits > 1) [[unlikely]]
                state_.will_hold_several(permits);
        }

        // The next six are called by wait_queue::serve().
        standing_times estimate_times() const noexcept { return state_.estimate_times(); }
        bool take(std::size_t permits, bool last_in_line) noexcept {
            if (permits_ == permits)
                return true;
            put_back();
            if (permits > 1) [[unlikely]]
                return take_several(permits, last_in_line);
            if (state_.word_.take_or_contend(1, last_in_line, state_.lets_run_alone_))
                permits_ = 1;
            return permits_ != 0;
        }
        void grant() noexcept { permits_ = 0; } // the waiter has them, and their reference
        std::size_t reach() const noexcept {
            const std::size_t limit = state_.word_.limit();
            if (limit == 0 || state_.lets_run_alone_)
                return max_limit;
            const std::int64_t free = state_.word_.balance() + static_cast<std::int64_t>(permits_);
            return (std::max)(limit, static_cast<std::size_t>(std::max<std::int64_t>(free, 0)));
        }
        bool has_some() const noexcept { return permits_ != 0 || state_.word_.balance() > 0; }
        void note_aside() noexcept { state_.word_.set_aside(); }

        void put_back() noexcept {
            if (permits_ == 0)
                return;
            state_.word_.release(permits_);
            if (permits_ > 1) [[unlikely]]
                state_.has_put_back_several(permits_);
            permits_ = 0;
            ++references;
        }

        waiter_list done; // to be completed
        std::optional<rejection_tally> untold; // the observer is told of these afterwards; with one of `references`
        std::size_t references = 0; // to be dropped
        std::uintptr_t inbox = 0; // its flags, when the owner last saw them

    private:
        FLOWGUARD_DETAIL_RARE bool take_several(std::size_t permits, bool last_in_line) noexcept {
            state_.will_hold_several(permits);
            if (state_.word_.take_or_contend(permits, last_in_line, state_.lets_run_alone_))
                permits_ = permits;
            else
                state_.has_put_back_several(permits);
            return permits_ != 0;
        }

        semaphore_state& state_;
        std::size_t permits_; // with one reference, unless 0
    };

    // For the owner: takes a reference for permits that are released without one. It comes from a stock that belongs to
    // the owner, so most takes are no atomic step. The handle exists while this is called, and its reference is dropped
    // together with the stock.
    static constexpr std::size_t stocked_at_once = 64;
    void refer_from_stock() noexcept {
        if (stock_ == 0) {
            stock_ = stocked_at_once;
            word_.refer(stock_);
        }
        --stock_;
    }

    // The owner's work. The calling thread has just become the owner. It brings permits with one reference, or a
    // message, or neither.
    void run_as_owner(std::size_t permits, queue_message* message = nullptr) noexcept {
        const bool is_through = do_short_round(permits, message);
        if (!is_through || !try_leave(open | owned))
            run_rounds(permits, message, is_through);
    }

    // The first round, if it has only to do what most rounds have: a caller joins the line behind others, or the permit
    // in hand goes to the next waiter; and no other permit is free. The steps are those of a round that finds the same,
    // without the looks for anything else. Otherwise this returns false, and a round is needed for the permits and the
    // message that are left.
    //
    // One look at the word is enough. As `contended` is set, the inbox tells of all that changes later.
    FLOWGUARD_DETAIL_EACH_CALL bool do_short_round(std::size_t& permits, queue_message*& message) noexcept {
        if (inbox_.load(std::memory_order_relaxed) != (open | owned) || permits > 1 || !word_.is_used_up() ||
            wants_watch_.load(std::memory_order_relaxed))
            return false;
        if (message != nullptr && queue_.apply_enqueue(*message))
            message = nullptr;
        waiter* const w = permits != 0 ? queue_.try_grant_one() : queue_.next_for_one();
        if (w == nullptr || message != nullptr)
            return false;
        count_waiting();
        if (std::exchange(permits, 0) != 0)
            w->complete();
        return true;
    }

    // The rounds, after a short one or without it.
    void run_rounds(std::size_t permits, queue_message* message, bool after_short_round) noexcept {
        ownership o(*this, permits);
        if (permits != 0 && word_.balance() < 0)
            o.put_back(); // they pay off debt first
        if (message != nullptr)
            queue_.apply(*message, o.done);

        if (after_short_round)
            take_messages(o);
        else
            o.inbox = inbox_.load(std::memory_order_relaxed);
        for (int rounds = 1;; ++rounds) {
            const bool is_through = do_round(o);
            if (is_through && try_release_ownership(o))
                break;
            if (rounds >= owner_rounds::most_rounds) {
                if (hand_on(o))
                    break;
                rounds = 0;
            }
            take_messages(o);
        }

        if (o.untold)
            o.untold->for_each([this](rejection why) { rejected().tell(why); });
        if (o.references > 0)
            drop_references(o.references);
    }

    // Returns false if there is more to do, even if no message arrives. Afterwards, until the next round, `contended`
    // is set exactly if a waiter is in line, or the gate is not open.
    bool do_round(ownership& o) noexcept {
        if ((o.inbox & gate) != open) [[unlikely]]
            return do_shut_round(o);
        const bool more = serve(o);
        if (const bool contends = !queue_.empty(); contends != word_.contended())
            contends ? word_.set_contended() : word_.clear_contended();
        complete_round(o);
        queue_.confirm_abandoned();
        return !more;
    }

    // The same if the gate is not open. Ends the waiters, unless they are served, and the drains, if their time has
    // come.
    FLOWGUARD_DETAIL_RARE bool do_shut_round(ownership& o) noexcept {
        const std::uintptr_t state = o.inbox & gate;
        bool more = false;
        if (state == draining) {
            more = serve(o);
            word_.set_contended(); // the grant to an only waiter has cleared it
        } else {
            word_.set_contended();
            queue_.end_all(state == orphaned ? wait_result::aborted : wait_result::closed, o.done);
            o.put_back();
        }
        complete_round(o);
        // `contended` is set: no caller bypasses the queue any more, and each permit that is held comes back through
        // the owner. So if none is held now, the semaphore is idle; else the owner looks again when one comes back.
        if (state == orphaned)
            queue_.end_drains(wait_result::aborted);
        // NOLINTNEXTLINE(readability-container-size-empty): size() counts the waiters aside, empty() does not
        else if (queue_.has_drains() && queue_.size() == 0 && word_.is_idle() && is_idle_beside())
            queue_.end_drains(wait_result::granted);
        queue_.confirm_abandoned();
        return !more;
    }

    bool serve(ownership& o) noexcept {
        const bool has_more = queue_.serve(o, o.done, owner_rounds::most_grants);
        const bool has_another_next = queue_.shed(o.done);
        o.put_back();
        return has_more || has_another_next;
    }

    FLOWGUARD_DETAIL_EACH_CALL void complete_round(ownership& o) noexcept {
        if (!queue_.has_aside() && word_.has_aside())
            word_.clear_aside();
        count_waiting();
        if (wants_watch_.load(std::memory_order_relaxed))
            ask_for_watch();
        complete(o);
    }

    // Release: is_idle() must see the permits of the waiters that it does not see any more.
    void count_waiting() noexcept { waiting_.store(queue_.size(), std::memory_order_release); }

    void ask_for_watch() noexcept {
        waiter* const w = queue_.next();
        if (w == nullptr)
            return;
        // Acquire, and an exchange: a thread that wants a watch just now is heeded here, or its flag stays.
        wants_watch_.exchange(false, std::memory_order_acquire);
        w->watch();
    }

    // Completes the waiters that were decided on. Their handlers may destroy the semaphore, but not its state, which
    // exists while there is an owner.
    void complete(ownership& o) noexcept {
        while (waiter* w = o.done.pop_front()) {
            free_reservations(1);
            if (rejected().is_observed())
                note_rejection(w->result, o);
            w->complete();
        }
    }

    FLOWGUARD_DETAIL_RARE void note_rejection(wait_result result, ownership& o) noexcept {
        const std::optional<rejection> why = rejection_of(result);
        if (!why)
            return;
        if (!o.untold) {
            o.untold.emplace();
            add_reference();
            ++o.references;
        }
        o.untold->add(*why);
    }

    // Ends the ownership and returns true, unless a message or `dirty` has arrived meanwhile.
    bool try_release_ownership(ownership& o) noexcept {
        // The handle's reference is dropped once: by the first owner that finds the handle gone and no waiter left.
        const bool last = (o.inbox & closed) != 0 && (o.inbox & gate) == orphaned && !handle_dropped_ &&
                          waiting() == 0 && !queue_.has_drains();
        const std::size_t dropped = last ? 1 + stock_ : 0;
        if (last)
            handle_dropped_ = true;
        if (try_leave((o.inbox & gate) | owned)) {
            o.references += dropped;
            return true;
        }
        if (last)
            handle_dropped_ = false;
        return false;
    }

    // The same if the inbox holds nothing but that gate. Release: the next owner must see the queue as this one leaves
    // it.
    bool try_leave(std::uintptr_t idle) noexcept {
        return inbox_.compare_exchange_strong(idle, idle & ~owned, std::memory_order_release,
                                              std::memory_order_relaxed);
    }

    // Takes the messages from the inbox, and applies them.
    void take_messages(ownership& o) noexcept {
        // Set `contended` before emptying the inbox, so that try_take cannot overtake the waiters in it; the release
        // pairs with the acquire of try_take. Acquire: this thread reads the messages next. If the load finds no
        // message, one may arrive before the exchange; the exchange then fails.
        std::uintptr_t taken = inbox_.load(std::memory_order_relaxed);
        if (newest(taken) != nullptr ||
            !inbox_.compare_exchange_strong(taken, taken & (gate | owned), std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
            if (!word_.contended())
                word_.set_contended();
            taken = inbox_.fetch_and(gate | owned, std::memory_order_acq_rel);
        }
        o.inbox = taken & flags;
        queue_.apply_all(newest(taken), o.done);
    }

    // Called when other threads have kept the owner busy for long. Gives up the queue to the next thread that needs it.
    // Returns true if another thread has become the owner, or was and has done all the work; false if this thread is
    // the owner again.
    bool hand_on(ownership& o) noexcept {
        if (o.references == 0) { // for the look afterwards
            add_reference();
            ++o.references;
        }
        // The next owner must look at the permits, too. Relaxed: the next step publishes it.
        inbox_.fetch_or(dirty, std::memory_order_relaxed);
        // Release: the next owner must see the queue as this one leaves it.
        inbox_.fetch_and(~owned, std::memory_order_release);
        std::this_thread::yield();
        return !try_own_leftovers();
    }

    permit_word word_;
    std::atomic<std::uintptr_t> inbox_{0};
    std::atomic<std::size_t> waiting_{0}; // written by the owner alone
    std::atomic<std::size_t> reserved_{0}; // slots of max_waiters, if bounded: of waiters in line or on their way
    context_links contexts_;
    alignas(64) wait_queue queue_; // the owner's; and the counts of rejections
    const bool lets_run_alone_; // see wait_policy
    bool handle_dropped_ = false; // the owner's
    std::size_t stock_ = 0; // references; the owner's
    std::atomic<bool> wants_watch_{false};
};

// Keeps a semaphore's state alive, even if its handle is destroyed.
class keep_alive {
public:
    explicit keep_alive(semaphore_state& state) noexcept : state_(state) { state_.add_reference(); }
    keep_alive(const keep_alive&) = delete;
    keep_alive& operator=(const keep_alive&) = delete;
    ~keep_alive() { state_.drop_references(1); }

private:
    semaphore_state& state_;
};

} // namespace flowguard::detail

#endif
