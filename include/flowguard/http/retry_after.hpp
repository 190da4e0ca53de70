// retry_after.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_HTTP_RETRY_AFTER_HPP
#define FLOWGUARD_HTTP_RETRY_AFTER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/detail/base/split_mix.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"

namespace flowguard {

namespace detail {

// A random number in [0, 1). Each thread begins with another number, which depends on the time and on where the thread
// keeps its state: two processes, or threads, that begin at the same time should not tell their clients the same.
inline double jitter() noexcept {
    thread_local std::uint64_t state = 0;
    if (state == 0)
        state = split_mix(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) ^
                          reinterpret_cast<std::uintptr_t>(&state));
    state = split_mix(state);
    return in_unit_interval(state);
}

// The time to serve all present calls, (in flight + waiting) / limit × RTT.
inline double seconds_to_serve_all(const guard_stats& now) noexcept {
    const double turns =
        static_cast<double>(now.in_flight + now.waiting) / static_cast<double>((std::max)(now.limit, std::size_t{1}));
    return turns * std::chrono::duration<double>(now.rtt_mean).count();
}

} // namespace detail

/// When a rejected client should try again, in whole seconds, for Retry-After (RFC 9110, section 10.2.3).
///
/// The least value is the time to serve all present calls, (in flight + waiting) / limit × RTT, clamped to [1, 60],
/// since a longer guess is no better. `jitter`, a random number in [0, 1), spreads the values evenly between one and
/// three times that: clients that were rejected together should not come back together.
inline std::chrono::seconds retry_after(const guard_stats& now, double jitter) noexcept {
    const double least = std::clamp(detail::math::ceil(detail::seconds_to_serve_all(now)), 1.0, 60.0);
    return std::chrono::seconds(static_cast<std::chrono::seconds::rep>(least + jitter * (2 * least + 1)));
}

/// The same, with a random number from a generator of the calling thread.
inline std::chrono::seconds retry_after(const guard_stats& now) {
    return retry_after(now, detail::jitter());
}

} // namespace flowguard

#endif
