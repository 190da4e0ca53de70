// manual_clock.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_MANUAL_CLOCK_HPP
#define FLOWGUARD_SUPPORT_MANUAL_CLOCK_HPP

#include <chrono>
#include <system_error>

#include "support/asio.hpp"

namespace support {

// A clock that stands still until a test sets it. For one thread. Each Tag has a time of its own. A guard measures RTTs
// with the clock if it calls itself steady.
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

using manual_clock = manual_clock_of<std::chrono::nanoseconds>;

// Sets the clock forward, and runs the handlers that are ready then.
inline void pass(asio::io_context& context, manual_clock::duration time) {
    manual_clock::at += time;
    // A context waits for its earliest timer in real time. But it looks at its timers when an earlier one is added.
    asio::basic_waitable_timer<manual_clock> earliest{context, manual_clock::time_point{}};
    earliest.async_wait([](const flowguard::error_code&) {});
    context.restart();
    context.poll();
}

} // namespace support

#endif
