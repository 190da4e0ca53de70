// waiter.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_WAITER_HPP
#define FLOWGUARD_DETAIL_QUEUE_WAITER_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/shared_claim.hpp"

namespace flowguard::detail {

class waiter;

// A message to the owner of the queue. Aligned so that the low bits of its address are free for the inbox's flags.
struct alignas(16) queue_message {
    enum class kind : std::uint8_t { enqueue, drain, cancel, cancel_all, cancel_context, abandon, reopen };

    explicit queue_message(kind message) noexcept : what(message) {}

    queue_message* older = nullptr; // the message that was pushed before this one
    const kind what;
};

struct enqueue_message : queue_message {
    // `message` is kind::enqueue or kind::drain.
    explicit enqueue_message(kind message) noexcept : queue_message(message) {}

    lane_number lane; // the waiter's; here, where alignment leaves room
};

struct cancel_message : queue_message {
    cancel_message() noexcept : queue_message(kind::cancel) {}
};

enum class wait_result : std::uint8_t {
    granted, // with the permits and a reference to the semaphore's state
    aborted, // cancelled, or the semaphore was destroyed
    timed_out,
    closed,
    shed,    // too many waited
    overdue, // shed as well: it waited for too long in a lane that stands
    no_permit, // shed as well: the call never waits
    abandoned // its context is being destroyed, its handler is not called
};

// What the semaphore calls on a waiter.
class waiter_end {
public:
    // Passes the result on to the waiter's executor. The caller does not touch the waiter afterwards. Either this or
    // destroy() is called, exactly once.
    virtual void complete() noexcept = 0;

    // Ends a waiter whose context is being destroyed, without calling its handler.
    virtual void destroy() noexcept = 0;

    // Called by the queue's owner when the limit was lowered for a limited time, and this waiter is in line. If the
    // semaphore is of a kind that needs it, starts a timer on the waiter's executor for the end of that time.
    virtual void watch() noexcept = 0;

    // The context in which the waiter is completed; null if its executor does not tell one.
    virtual asio::execution_context* context() = 0;

    waiter* previous = nullptr; // here, where alignment leaves room: there may be a million waiters

protected:
    ~waiter_end() = default;
};

// One caller in line, and the messages that it may have to send. Its memory belongs to the operation that queues it.
// Only the queue's owner touches the links. The thread that has claimed the waiter sets the result; if that is not the
// owner, it does so before it tells the owner.
class waiter : public waiter_end, public enqueue_message, public cancel_message {
    enum class claim_state : std::uint8_t { owners, free, taken };
    std::atomic<claim_state> claim_{claim_state::owners}; // declared first, to fit behind the messages

public:
    explicit waiter(std::size_t permits, queue_message::kind arrival = queue_message::kind::enqueue) noexcept
        : enqueue_message(arrival), wanted(static_cast<std::uint32_t>(permits)) {}
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // Called before the waiter is queued: lets its deadline claim it. Without this or share_claim(), only the queue's
    // owner claims it, once, and without an atomic step.
    void make_cancellable() noexcept { claim_.store(claim_state::free, std::memory_order_relaxed); }

    // Called before the waiter is queued: lets the handler in its cancellation slot claim it, and its deadline, too.
    // Takes over a reference.
    void share_claim(shared_claim& claim) noexcept { shared_claim_ = &claim; }

    // Decides, once, whether the waiter ends by a grant (or a close) or by a cancellation. Returns true to the winner.
    // Relaxed: the loser does nothing, and the winner goes on through the inbox or the executor, which synchronize.
    [[nodiscard]] bool claim() noexcept {
        if (shared_claim_ != nullptr)
            return shared_claim_->claim();
        return claim_.load(std::memory_order_relaxed) == claim_state::owners ||
               claim_.exchange(claim_state::taken, std::memory_order_relaxed) == claim_state::free;
    }

    wait_result result = wait_result::aborted;
    enum class position : std::uint8_t { nowhere, in_line, aside, back_in_line, draining };
    position where = position::nowhere; // as the queue's owner knows it

    // Whether this is a drain: it waits until the semaphore is idle, and wants no permit. For the queue's owner.
    bool is_drain() const noexcept { return where == position::draining; }

    const std::uint32_t wanted; // permits, all at once
    static constexpr std::chrono::nanoseconds never = (std::chrono::nanoseconds::min)();
    std::chrono::nanoseconds enqueued_at = never; // set only if the queue has a clock
    waiter* next = nullptr;

protected:
    ~waiter() {
        if (shared_claim_ == nullptr)
            return;
        shared_claim_->void_claim();
        shared_claim_->drop_reference();
    }

private:
    shared_claim* shared_claim_ = nullptr;
};

// A first-in first-out list of waiters. Every step is O(1).
class waiter_list {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    waiter* front() const noexcept { return first_; }
    waiter* back() const noexcept { return last_; }

    void push_back(waiter& w) noexcept {
        w.previous = last_;
        w.next = nullptr;
        (last_ != nullptr ? last_->next : first_) = &w;
        last_ = &w;
    }

    void push_front(waiter& w) noexcept {
        w.previous = nullptr;
        w.next = first_;
        (first_ != nullptr ? first_->previous : last_) = &w;
        first_ = &w;
    }

    void remove(waiter& w) noexcept {
        (w.previous != nullptr ? w.previous->next : first_) = w.next;
        (w.next != nullptr ? w.next->previous : last_) = w.previous;
    }

    waiter* pop_front() noexcept {
        waiter* w = first_;
        if (w != nullptr)
            remove(*w);
        return w;
    }

private:
    waiter* first_ = nullptr;
    waiter* last_ = nullptr;
};

// Asks the owner to take the waiters of a context out of line, as cancelled. The owner destroys it.
struct cancel_context_message : queue_message {
    explicit cancel_context_message(const asio::execution_context& of) noexcept
        : queue_message(kind::cancel_context), context(&of) {}
    virtual ~cancel_context_message() = default;

    // Called by the owner when it has taken them out.
    virtual void applied() noexcept {}

    const asio::execution_context* const context; // only compared: the context may be gone when the owner sees this
};

// Asks the owner to take the waiters of a context out of line, because the context is being destroyed. The message
// belongs to the thread that destroys the context; that thread waits for `applied`.
struct abandon_message : queue_message {
    explicit abandon_message(const asio::execution_context& gone) noexcept
        : queue_message(kind::abandon), context(gone) {}

    const asio::execution_context& context;
    waiter_list abandoned; // written by the owner
    std::atomic<bool> applied{false}; // set by the owner, with release, once it has completed all that it decided on
};

// Tells the owner that the semaphore was opened again. The owner destroys it.
struct reopen_message : queue_message {
    reopen_message() noexcept : queue_message(kind::reopen) {}
    virtual ~reopen_message() = default;

    // Called by the owner when it has ended what the message ends.
    virtual void applied() noexcept = 0;

    bool ends_waiters = false; // the semaphore was closed before, and not only draining
};

} // namespace flowguard::detail

#endif
