// waiter.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_WAITER_HPP
#define FLOWGUARD_DETAIL_WAITER_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/asio.hpp"

namespace flowguard::detail {

class waiter;

// What a thread leaves for the owner of the queue. Aligned so that the low bits of its address are
// free for the inbox's flags.
struct alignas(16) queue_message {
    enum class kind : std::uint8_t { enqueue, cancel, cancel_all };

    queue_message(kind message, waiter* who) noexcept : what(message), subject(who) {}

    kind what;
    waiter* subject;               // none for cancel_all, which the owner deletes
    queue_message* next = nullptr; // the message that was left before this one
};

enum class wait_result : std::uint8_t {
    granted, // with a permit and a reference to the semaphore's state
    aborted, // cancelled, or the semaphore was destroyed
    closed
};

// One caller in line. Its memory belongs to whoever queues it; the queue's owner alone touches the
// links, the result and the context.
class waiter {
public:
    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // Hands the result over to the waiter's executor, and gives up the waiter: called exactly once,
    // or else destroy() is.
    virtual void complete() noexcept = 0;

    // Ends a waiter whose context is being destroyed, its handler uncalled.
    virtual void destroy() noexcept = 0;

    // Decides, once, between being granted (or closed) and being cancelled. Relaxed: the loser does
    // nothing, and the winner goes on through the inbox or the executor, which synchronize.
    [[nodiscard]] bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_relaxed); }

    queue_message enqueue_message{queue_message::kind::enqueue, this};
    queue_message cancel_message{queue_message::kind::cancel, this};
    waiter* previous = nullptr;
    waiter* next = nullptr;
    asio::execution_context* context = nullptr; // the context of its executor, where that has one
    bool linked = false;
    wait_result result = wait_result::aborted;

protected:
    ~waiter() = default;

private:
    std::atomic<bool> claimed_{false};
};

// A first-in first-out list of waiters. Every step is O(1).
class waiter_list {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    bool has_only_one() const noexcept { return first_ != nullptr && first_ == last_; }
    waiter* front() const noexcept { return first_; }

    void push_back(waiter& w) noexcept {
        w.previous = last_;
        w.next = nullptr;
        (last_ != nullptr ? last_->next : first_) = &w;
        last_ = &w;
        w.linked = true;
    }

    void remove(waiter& w) noexcept {
        (w.previous != nullptr ? w.previous->next : first_) = w.next;
        (w.next != nullptr ? w.next->previous : last_) = w.previous;
        w.linked = false;
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

} // namespace flowguard::detail

#endif
