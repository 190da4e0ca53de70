// thread_stripe.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_THREAD_STRIPE_HPP
#define FLOWGUARD_DETAIL_BASE_THREAD_STRIPE_HPP

#include <cstddef>

#include "flowguard/detail/base/thread_number.hpp"

namespace flowguard::detail {

// A counter that many cores add to can be *striped*: it has several parts, each in a cache line of its own, and its
// value is their sum. A thread adds to the part of its own number. So the threads do not take the line from each other.
// Two threads may have the same part, which costs time and nothing else.
inline constexpr std::size_t stripes = 4;

struct use_of_stripes;

// The number of the calling thread's stripe.
inline std::size_t thread_stripe() noexcept {
    return thread_number<use_of_stripes>() % stripes;
}

} // namespace flowguard::detail

#endif
