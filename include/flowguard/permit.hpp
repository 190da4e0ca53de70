// permit.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_PERMIT_HPP
#define FLOWGUARD_PERMIT_HPP

#include <utility>

#include "flowguard/detail/semaphore_state.hpp"

namespace flowguard {

/// The right to run one unit of work, given back when this goes out of scope.
///
/// *Thread safety.* Distinct permits: safe, also of one semaphore. One permit: not safe.
///
/// *Lifetime.* A permit may outlive its semaphore, as happens when an io_context is destroyed with
/// coroutines in it after the semaphore: giving it back is then without effect.
class permit {
public:
    /// Holds nothing.
    permit() noexcept = default;

    permit(permit&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    permit& operator=(permit&& other) noexcept {
        permit(std::move(other)).swap(*this);
        return *this;
    }
    ~permit() { release(); }

    /// Whether a permit is held.
    explicit operator bool() const noexcept { return state_ != nullptr; }

    /// Gives the permit back now, to the first waiter if there is one; without effect if none is held.
    /// Lock-free; a waiter's handler never runs in here.
    void release() noexcept {
        if (auto* state = std::exchange(state_, nullptr))
            state->give_with_reference();
    }

    void swap(permit& other) noexcept { std::swap(state_, other.state_); }
    friend void swap(permit& a, permit& b) noexcept { a.swap(b); }

    /// For FlowGuard's own use: takes over a permit, with a reference, of a semaphore.
    explicit permit(detail::semaphore_state* adopted) noexcept : state_(adopted) {}

private:
    detail::semaphore_state* state_ = nullptr;
};

} // namespace flowguard

#endif
