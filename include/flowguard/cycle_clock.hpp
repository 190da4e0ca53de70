// cycle_clock.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For guards that are called very often. Not part of flowguard.hpp.

#ifndef FLOWGUARD_CYCLE_CLOCK_HPP
#define FLOWGUARD_CYCLE_CLOCK_HPP

#include <chrono>

#include "flowguard/detail/base/counter_time.hpp"

namespace flowguard {

/// A clock that costs less than std::chrono::steady_clock, for guards that each thread calls more than some 20,000
/// times a second.
///
///     flowguard::flow_guard<flowguard::vegas_strategy, flowguard::cycle_clock> guard;
///
///     co_await guard.run(task, {.deadline = flowguard::cycle_clock::now() + 50ms});
///
/// It shows the time of steady_clock, from the same epoch. Each thread reads steady_clock once in 100 µs. For the times
/// between two such readings, it reads the processor's counter instead, which takes less than half the time. A thread
/// that asks more rarely reads both, and saves nothing. docs/results.md says what a guard saves.
///
/// *Where it uses the counter:* on x86-64 Linux, with g++ or clang, if the processor says that its counter is
/// invariant, and the kernel itself keeps its time by it (clocksource `tsc`, `kvm-clock` or
/// `hyperv_clocksource_tsc_page`). Everywhere else it is steady_clock under another name. The first call in the program
/// looks for that, in a file of the kernel's, and keeps the answer.
///
/// *Calibration.* No call waits for it. Each thread finds the rate of the counter from two of its readings of
/// steady_clock, about a millisecond apart at first, and anew each second. Until then the clock is steady_clock. A
/// thread that reads it less than once a second never gets there.
///
/// *Accuracy.* A time is early by less than 7 µs, and mostly by less than 0.5 µs. Errors do not add up: a thread that
/// reads steady_clock corrects them. So the clock follows a steady_clock that a time server slows down or speeds up. If
/// the counter was reset, as on a machine that was suspended, the thread reads steady_clock at once.
///
/// *Steadiness.* For each thread, the clock never goes back. A time that one thread has read may be later than one that
/// another thread reads afterwards, by the error above. A guard takes an RTT that is negative by that for 0.
///
/// *Thread safety.* Any thread may call all functions at any time. They take no lock, except for the first call.
struct cycle_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<cycle_clock>;
    static constexpr bool is_steady = true;

    /// The clock of window::closed_at, since cycle_clock counts from the start of its host.
    using shared_clock = std::chrono::system_clock;

    static time_point now() noexcept { return time_point(duration(detail::counter_time())); }

    /// Whether the clock uses the counter here. If not, it is steady_clock.
    static bool uses_counter() noexcept { return detail::has_counter(); }
};

} // namespace flowguard

#endif
