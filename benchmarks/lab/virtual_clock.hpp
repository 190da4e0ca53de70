// virtual_clock.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_VIRTUAL_CLOCK_HPP
#define LAB_VIRTUAL_CLOCK_HPP

#include <chrono>

namespace lab {

/// The time in the simulation that runs on this thread: for a flow_guard's Clock.
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

using duration = virtual_clock::duration;
using time_point = virtual_clock::time_point;

inline constexpr time_point never = time_point::max();

inline duration seconds(double s) {
    return duration{static_cast<duration::rep>(s * 1e9)};
}
inline double in_seconds(duration d) {
    return static_cast<double>(d.count()) * 1e-9;
}

} // namespace lab

#endif
