// thread_stripe.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_THREAD_STRIPE_HPP
#define FLOWGUARD_DETAIL_BASE_THREAD_STRIPE_HPP

#include <atomic>
#include <cstddef>

namespace flowguard::detail {

// A counter that many cores add to can be *striped*: it has several parts, each in a cache line of its own, and its
// value is their sum. A thread adds to the part of its own number. So the threads do not take the line from each other.
// Two threads may have the same number: then they share a part, which costs time and nothing else.
inline constexpr std::size_t stripes = 4;

inline std::size_t next_thread_stripe() noexcept {
    static constinit std::atomic<std::size_t> threads{0};
    return threads.fetch_add(1, std::memory_order_relaxed) % stripes; // relaxed: any number will do
}

// The number of the calling thread, less than `stripes`. Threads get their numbers in turn.
inline std::size_t thread_stripe() noexcept {
    static constinit thread_local std::size_t number = stripes; // none yet
    if (number == stripes)
        number = next_thread_stripe();
    return number;
}

} // namespace flowguard::detail

#endif
