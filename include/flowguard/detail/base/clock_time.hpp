// clock_time.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_CLOCK_TIME_HPP
#define FLOWGUARD_DETAIL_BASE_CLOCK_TIME_HPP

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/base/visibility.hpp"

// Arithmetic on the times of any clock. Clocks may be set by hand, count from an epoch centuries ago, or tick once a
// second. If a type cannot hold a result, the result is the nearest value that it can hold.
namespace flowguard::detail {

template <class Rep, class Period>
constexpr std::chrono::duration<Rep, Period> saturated_sum(std::chrono::duration<Rep, Period> a,
                                                           std::chrono::duration<Rep, Period> b) noexcept {
    using sum = std::chrono::duration<Rep, Period>;
    if constexpr (!std::chrono::treat_as_floating_point_v<Rep>) {
        if (b > sum::zero() && a > (sum::max)() - b)
            return (sum::max)();
        if (b < sum::zero() && a < (sum::min)() - b)
            return (sum::min)();
    }
    return a + b;
}

template <class Rep, class Period>
FLOWGUARD_DETAIL_EACH_CALL constexpr std::chrono::duration<Rep, Period>
saturated_difference(std::chrono::duration<Rep, Period> a, std::chrono::duration<Rep, Period> b) noexcept {
    using difference = std::chrono::duration<Rep, Period>;
    if constexpr (!std::chrono::treat_as_floating_point_v<Rep>) {
        if (b < difference::zero() && a > (difference::max)() + b)
            return (difference::max)();
        if (b > difference::zero() && a < (difference::min)() + b)
            return (difference::min)();
    }
    return a - b;
}

// Converts to another unit. Between integers it rounds up, so that no wait becomes shorter.
template <class To, class Rep, class Period>
constexpr To saturated_cast(std::chrono::duration<Rep, Period> from) noexcept {
    using std::chrono::treat_as_floating_point_v;
    if constexpr (treat_as_floating_point_v<Rep> || treat_as_floating_point_v<typename To::rep>) {
        using real = std::chrono::duration<double, typename To::period>;
        const real exact = std::chrono::duration_cast<real>(from);
        if (!(exact < std::chrono::duration_cast<real>((To::max)())))
            return (To::max)();
        if (!(exact > std::chrono::duration_cast<real>((To::min)())))
            return (To::min)();
        return std::chrono::duration_cast<To>(exact);
    } else {
        using factor = std::ratio_divide<Period, typename To::period>;
        constexpr std::int64_t most = (std::numeric_limits<std::int64_t>::max)() / factor::num;
        const auto ticks = static_cast<std::int64_t>(from.count());
        if (ticks > most)
            return (To::max)();
        if (ticks < -most)
            return (To::min)();
        const std::int64_t scaled = ticks * factor::num;
        const std::int64_t rounded = scaled / factor::den + (scaled % factor::den > 0 ? 1 : 0);
        if (rounded > static_cast<std::int64_t>((To::max)().count()))
            return (To::max)();
        if (rounded < static_cast<std::int64_t>((To::min)().count()))
            return (To::min)();
        return To{static_cast<typename To::rep>(rounded)};
    }
}

// The time of a clock in nanoseconds, for differences. If the clock counts nanoseconds, it is the time since the
// clock's epoch. For any other clock, that may not fit in nanoseconds: it is the time since the first call for that
// clock in the program, at most 292 years, ahead or back.
template <class Clock>
FLOWGUARD_DETAIL_VISIBLE std::chrono::nanoseconds time_now() noexcept {
    const auto now = Clock::now().time_since_epoch();
    if constexpr (std::is_same_v<typename Clock::duration, std::chrono::nanoseconds>) {
        return now;
    } else {
        static const auto start = now;
        return saturated_cast<std::chrono::nanoseconds>(saturated_difference(now, start));
    }
}

// The clock that measures RTTs, windows and waits in line. A clock that may be set, such as system_clock, does not tell
// how long something took.
template <class Clock>
using measuring_clock = std::conditional_t<Clock::is_steady, Clock, std::chrono::steady_clock>;

// The clock whose time is the same on all hosts, more or less: the clock itself, unless it counts from the start of its
// host, as steady_clock does. A clock may name another one.
template <class Clock>
struct shared_clock {
    using type = std::conditional_t<std::is_same_v<Clock, std::chrono::steady_clock>, std::chrono::system_clock, Clock>;
};
template <class Clock>
    requires requires { typename Clock::shared_clock; }
struct shared_clock<Clock> {
    using type = typename Clock::shared_clock;
};
template <class Clock>
using shared_clock_of = typename shared_clock<Clock>::type;

} // namespace flowguard::detail

#endif
