// shared_claim.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_SHARED_CLAIM_HPP
#define FLOWGUARD_DETAIL_QUEUE_SHARED_CLAIM_HPP

#include <atomic>
#include <cstdint>
#include <new>

#include "flowguard/detail/asio/asio.hpp"

namespace flowguard::detail {

class semaphore_state;
class waiter;

// The claim of a waiter that has a cancellation slot: see waiter::claim().
//
// Two parties share it: the waiter, and the handler in its slot. The slot belongs to the owner of its signal, who may
// emit, reuse or destroy the signal at any time, on any thread, before or after the waiter has its result. So the
// waiter never touches its slot again, and the slot's handler touches the waiter only if it wins the claim. The last of
// the two parties frees the claim.
class shared_claim {
public:
    // Makes a claim with one reference, the waiter's. May throw std::bad_alloc. The memory does not come from the
    // handler's allocator, because what that allocated must be freed before the handler is called.
    static shared_claim* create(semaphore_state& state, waiter& w) {
        return ::new (static_cast<void*>(memory().allocate(1))) shared_claim(state, w);
    }

    shared_claim(const shared_claim&) = delete;
    shared_claim& operator=(const shared_claim&) = delete;

    // True for one caller. Relaxed, for the same reasons as waiter::claim().
    [[nodiscard]] bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_relaxed); }

    // Makes a later claim fail. Needed for a waiter that is destroyed without ever having been in line. Relaxed: that
    // happens in the initiating call, which the signal's owner makes.
    void void_claim() noexcept { claimed_.store(true, std::memory_order_relaxed); }

    // For the thread that has won the claim: the waiter is in line, therefore both exist.
    semaphore_state& state() const noexcept { return *state_; }
    waiter& claimed_waiter() const noexcept { return *waiter_; }

    // Relaxed: publishes nothing.
    void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

    // Release: the last party must see that the other one is done. Acquire: for the last party.
    void drop_reference() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            this->~shared_claim();
            memory().deallocate(this, 1);
        }
    }

private:
    shared_claim(semaphore_state& state, waiter& w) noexcept : state_(&state), waiter_(&w) {}
    ~shared_claim() = default;

    // Allocates from the memory that Asio keeps for a thread's next operation.
    static asio::recycling_allocator<shared_claim> memory() noexcept { return {}; }

    std::atomic<bool> claimed_{false};
    std::atomic<std::uint8_t> references_{1};
    semaphore_state* const state_;
    waiter* const waiter_;
};

} // namespace flowguard::detail

#endif
