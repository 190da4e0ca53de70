// scheduled_window.hpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_SCHEDULED_WINDOW_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_SCHEDULED_WINDOW_HPP

#include <algorithm>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/constants.hpp"

// When a window with a limit of its own begins, and how long it may last. Times are in nanoseconds.
namespace flowguard::detail::vegas {

inline constexpr double longest_interval = 1e15; // 12 days

// How long it is until the next such window, from a time on the clock that all hosts share. Such windows begin at
// multiples of 2^k ns of that clock, about an interval apart. So guards of one server, each with an interval of its
// own, have common instants. The latest window was `since` ago, and the next one is at least half a period after it.
inline double until_common_instant(double interval, double time, double since) noexcept {
    const double period = math::exp2(math::round(math::log2(std::clamp(interval, 1.0, longest_interval))));
    const double wait = (math::floor(time / period) + 1) * period - time;
    return since + wait < least_distance * period ? wait + period : wait;
}

// Three times what so many rounds of calls should take, and ten RTTs for the calls in flight to end; at least what a
// guard grants stragglers.
inline duration longest_window(double rounds, double rtt) noexcept {
    return duration{static_cast<duration::rep>(std::clamp((3 * rounds + 10) * rtt, 1e6, 1e18))};
}

} // namespace flowguard::detail::vegas

#endif
