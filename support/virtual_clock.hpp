// virtual_clock.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_VIRTUAL_CLOCK_HPP
#define FLOWGUARD_SUPPORT_VIRTUAL_CLOCK_HPP

#include <chrono>

namespace support {

/// The Clock of a flow_guard in a simulation: the time of the simulation that runs on this thread.
struct virtual_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<virtual_clock, duration>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept { return current_; }
    static void set(time_point now) noexcept { current_ = now; }

private:
    static inline thread_local time_point current_{};
};

} // namespace support

#endif
