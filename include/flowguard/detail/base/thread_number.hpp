// thread_number.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_THREAD_NUMBER_HPP
#define FLOWGUARD_DETAIL_BASE_THREAD_NUMBER_HPP

#include <atomic>
#include <cstddef>
#include <limits>

namespace flowguard::detail {

template <class Purpose>
inline std::size_t next_thread_number() noexcept {
    static constinit std::atomic<std::size_t> threads{0};
    return threads.fetch_add(1, std::memory_order_relaxed); // relaxed: any number will do
}

// The number of the calling thread. Threads get their numbers when they first ask, in turn from 0. Each Purpose has
// numbers of its own: so the threads that ask for one Purpose leave no gaps in the numbers of another.
template <class Purpose>
inline std::size_t thread_number() noexcept {
    constexpr std::size_t none = (std::numeric_limits<std::size_t>::max)();
    static constinit thread_local std::size_t number = none;
    if (number == none)
        number = next_thread_number<Purpose>();
    return number;
}

} // namespace flowguard::detail

#endif
