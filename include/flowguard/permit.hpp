// permit.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_PERMIT_HPP
#define FLOWGUARD_PERMIT_HPP

#include <cstddef>
#include <stdexcept>
#include <utility>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"

namespace flowguard {

template <class Executor>
class basic_dynamic_semaphore;

/// The right to run one unit of work, or several. The destructor releases it: so compilers warn if it is not kept.
///
/// *Thread safety.* Distinct permits: safe, also of one semaphore. One permit: not safe.
///
/// *Lifetime.* A permit may outlive its semaphore, for example in a coroutine that is destroyed with its io_context,
/// after the semaphore. Releasing it then has no effect.
class [[nodiscard]] permit {
public:
    /// Holds nothing.
    permit() noexcept = default;

    permit(permit&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    permit& operator=(permit&& other) noexcept {
        permit(std::move(other)).swap(*this);
        return *this;
    }
    ~permit() { release(); }

    /// Whether a permit is held.
    explicit operator bool() const noexcept { return state_ != nullptr; }

    /// How many of the semaphore's permits are held here.
    std::size_t count() const noexcept { return count_; }

    /// Releases all that is held: the first waiters get it, if any wait. Has no effect if nothing is held. Lock-free. A
    /// waiter's handler never runs inside this call.
    void release() noexcept {
        if (auto* state = std::exchange(state_, nullptr))
            state->release_with_reference(std::exchange(count_, 0));
    }

    /// Moves `n` of the permits that are held here to a permit of their own, for example to release them earlier. `n`
    /// must be in [1, count()]; else throws std::invalid_argument. Changes no counter of the semaphore.
    [[nodiscard]] permit split(std::size_t n) {
        if (count_ == 0)
            throw std::invalid_argument("flowguard: an empty permit cannot be split");
        detail::check_range("n", n, 1, count_);
        if (n == count_)
            return std::move(*this);
        state_->add_reference();
        count_ -= n;
        return {*state_, n};
    }

    void swap(permit& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(count_, other.count_);
    }
    friend void swap(permit& a, permit& b) noexcept { a.swap(b); }

private:
    template <class Executor>
    friend class basic_dynamic_semaphore;

    // Takes over `count` permits of a semaphore, at least one, with a reference.
    permit(detail::semaphore_state& of, std::size_t count) noexcept : state_(&of), count_(count) {}

    detail::semaphore_state* state_ = nullptr;
    std::size_t count_ = 0;
};

} // namespace flowguard

#endif
