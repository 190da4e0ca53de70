// manual_clock.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_MANUAL_CLOCK_HPP
#define FLOWGUARD_SUPPORT_MANUAL_CLOCK_HPP

#include <chrono>

#include "flowguard/testing/manual_clock.hpp"
#include "support/asio.hpp"

namespace support {

// The public clock, whose time since its epoch can be set and read like a variable: `at`.
struct manual_clock : flowguard::manual_clock<> {
    struct variable {
        constexpr variable() noexcept = default;
        variable(const variable&) = delete; // `auto now = at` would not keep the time

        const variable& operator=(duration time) const noexcept {
            set(time_point(time));
            return *this;
        }
        const variable& operator+=(duration time) const noexcept { return *this = *this + time; }
        const variable& operator-=(duration time) const noexcept { return *this = *this - time; }
        operator duration() const noexcept { return now().time_since_epoch(); } // NOLINT(google-explicit-constructor)

        friend duration operator+(const variable& v, duration time) noexcept { return duration(v) + time; }
        friend duration operator-(const variable& v, duration time) noexcept { return duration(v) - time; }
        friend rep operator/(const variable& v, duration time) noexcept { return duration(v) / time; }
        friend bool operator<(const variable& v, duration time) noexcept { return duration(v) < time; }
        friend bool operator==(const variable& v, duration time) noexcept { return duration(v) == time; }
    };

    static constexpr variable at{};
};

// A clock of other units, or one that may be set back, for one thread. Each Tag has a time of its own. A guard measures
// RTTs with the clock if it calls itself steady.
template <class Duration, class Tag = void, bool IsSteady = true>
struct manual_clock_of {
    using duration = Duration;
    using rep = typename duration::rep;
    using period = typename duration::period;
    using time_point = std::chrono::time_point<manual_clock_of>;
    static constexpr bool is_steady = IsSteady;

    static time_point now() noexcept { return time_point(at); }

    static inline duration at{};
};

// Sets the clock forward, and runs the handlers that are ready then.
inline void pass(asio::io_context& context, manual_clock::duration time) {
    manual_clock::advance(time);
    context.restart();
    context.poll();
}

} // namespace support

#endif
