// misuse.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Errors of a program that are easy to make. Without these, a compiler reports them in many lines about something else.

#ifndef FLOWGUARD_DETAIL_BASE_MISUSE_HPP
#define FLOWGUARD_DETAIL_BASE_MISUSE_HPP

#include <type_traits>

namespace flowguard::detail {

// Always false, but only once the types are known.
template <class...>
inline constexpr bool never = false;

// Called by the move constructors of types that cannot be moved. So to the type traits, these types are movable.
template <class T>
constexpr void reject_move() noexcept {
    static_assert(
        never<T>,
        "a guard or semaphore stays where it is, since its callers refer to it: keep it in a std::deque or "
        "std::list, or keep a std::unique_ptr to it in the vector, or use guard_registry for one guard a key");
}

// Called by the constructors of a guard that take a number in place of a strategy.
template <class T>
constexpr void reject_number_for_strategy() noexcept {
    static_assert(never<T>, "a guard is made with a strategy, not with a number: write flow_guard{vegas_strategy{10}} "
                            "for a first limit of 10, or flow_guard{fixed_limit{10}} for a limit that stays");
}

} // namespace flowguard::detail

#endif
