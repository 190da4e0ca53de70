// point_in_time.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_POINT_IN_TIME_HPP
#define FLOWGUARD_DETAIL_BASE_POINT_IN_TIME_HPP

#include <chrono>
#include <type_traits>

namespace flowguard::detail {

// A time point of that clock, as a parameter or a member. It takes a time point of another clock as well, only to
// reject it with one sentence: without that, a compiler would list all overloads of the function that does not match.
template <class Clock>
class point_in_time : public Clock::time_point {
    using time_point = typename Clock::time_point;

public:
    using time_point::time_point;
    constexpr point_in_time() noexcept = default;
    constexpr point_in_time(time_point time) noexcept : time_point(time) {} // NOLINT(google-explicit-constructor)

    template <class Other, class Duration>
        requires(!std::is_same_v<Other, typename time_point::clock>)
    point_in_time(std::chrono::time_point<Other, Duration>) { // NOLINT(google-explicit-constructor)
        static_assert(
            std::is_same_v<Other, typename time_point::clock>,
            "this time is of another clock: give it in the time of the guard's Clock, or of steady_clock for a "
            "semaphore, as in steady_clock::now() + (time - system_clock::now())");
    }
};

} // namespace flowguard::detail

#endif
