// manual_clock.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_SUPPORT_MANUAL_CLOCK_HPP
#define FLOWGUARD_TESTS_SUPPORT_MANUAL_CLOCK_HPP

#include <chrono>

namespace support {

// A clock that stands still until a test sets it. For one thread.
struct manual_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<manual_clock>;
    static constexpr bool is_steady = false;

    static time_point now() noexcept { return time_point(at); }

    static inline duration at{};
};

} // namespace support

#endif
