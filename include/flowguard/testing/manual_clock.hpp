// manual_clock.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTING_MANUAL_CLOCK_HPP
#define FLOWGUARD_TESTING_MANUAL_CLOCK_HPP

#include <atomic>
#include <chrono>
#include <concepts>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/visibility.hpp"

namespace flowguard {

namespace detail {

// The base of a clock whose timers ask it for the time at each poll().
struct set_by_hand {};

} // namespace detail

/// A clock for tests: it stands still until the test sets it forward. Give it to a guard, and to the service's own
/// timers.
///
///     using clock = flowguard::manual_clock<>;
///     flowguard::flow_guard<flowguard::fixed_limit, clock> guard{flowguard::fixed_limit{1}, {.max_wait = 10ms}};
///     asio::basic_waitable_timer<clock> timer{context};
///     ...
///     clock::advance(11ms);
///     context.poll(); // ends the waits whose time has come
///
/// Its time is a static variable, as any clock's, and is 0 at first. Each Tag, which may be any type, even an
/// incomplete one, has a time of its own: so a program may have several clocks that are independent.
///
/// *Timers.* A timer of this clock is compared with the clock whenever its io_context looks for work. So an
/// io_context::poll() after advance() calls the handlers of all timers that have expired by then. A timer that such a
/// handler starts may need another poll(). A context that another thread runs notices the new time by itself. But it
/// asks for the time again and again while any timer of this clock is waited for, which keeps one processor busy. So
/// it is best to use poll() alone, which never waits: `run()` does not return before the last wait has ended.
///
/// *Thread safety.* All functions may be called on any thread at any time.
template <class Tag = void>
class manual_clock : public detail::set_by_hand {
public:
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<manual_clock>;
    static constexpr bool is_steady = true; // so that a guard measures with it

    static time_point now() noexcept { return time_point(duration(time_.load(std::memory_order_relaxed))); }

    /// Sets the clock forward. `by` must be at least 0; else throws std::invalid_argument. The clock stops at
    /// time_point::max().
    static void advance(duration by) {
        detail::check_least("manual_clock: the time to advance", by, 0);
        // Relaxed: the clock publishes nothing but its time, and never runs backwards for any thread.
        rep before = time_.load(std::memory_order_relaxed);
        while (!time_.compare_exchange_weak(before, detail::saturated_sum(duration(before), by).count(),
                                            std::memory_order_relaxed)) {
        }
    }

    /// Sets the clock to a time, so that each test begins at the same one. While a guard measures with
    /// the clock, set it only forward: guards take it for steady.
    static void set(time_point time) noexcept {
        time_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
    }

private:
    FLOWGUARD_DETAIL_VISIBLE static inline std::atomic<rep> time_{0};
};

} // namespace flowguard

/// How long Asio waits in real time before it compares a timer of the clock with the clock again: not at all.
template <class Clock>
    requires std::derived_from<Clock, flowguard::detail::set_by_hand>
struct flowguard::asio::wait_traits<Clock> {
    static typename Clock::duration to_wait_duration(const typename Clock::duration&) noexcept { return {}; }
    static typename Clock::duration to_wait_duration(const typename Clock::time_point&) noexcept { return {}; }
};

#endif
