// windows.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_WINDOWS_HPP
#define FLOWGUARD_SUPPORT_WINDOWS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>

#include "flowguard/limit_strategy.hpp"

namespace support {

// When windows are closed unless a test says otherwise, on the clock that hosts share.
inline constexpr flowguard::duration usual_time = std::chrono::hours{24};

// A window in which the limit was fully used and each of 100 requests took `rtt`.
inline flowguard::window bound_window(std::size_t limit, flowguard::duration rtt) {
    flowguard::window w;
    w.admitted = w.all.samples = 100;
    w.all.mean = rtt;
    w.all.histogram.add(rtt, 100);
    w.limit = w.max_in_flight = limit;
    w.mean_in_flight = static_cast<double>(limit);
    w.length = w.admitting = std::chrono::milliseconds{10};
    w.closed_at = usual_time;
    return w;
}

// As bound_window(), with another use of the limit.
inline flowguard::window used_window(std::size_t limit, double mean, std::size_t most, flowguard::duration rtt) {
    flowguard::window w = bound_window(limit, rtt);
    w.mean_in_flight = mean;
    w.max_in_flight = most;
    return w;
}

// Turns some of the hundred requests of a window into drops.
inline flowguard::window with_drops(flowguard::window w, std::uint32_t dropped, flowguard::duration after) {
    w.dropped = dropped;
    w.all.samples = w.admitted - dropped;
    w.all.histogram = {};
    w.all.histogram.add(w.all.mean, 100 - dropped);
    if (w.all.samples == 0)
        w.all.mean = {};
    w.dropped_mean_rtt = after;
    return w;
}

// A window in which all requests were ignored.
inline flowguard::window empty_window(std::size_t limit) {
    flowguard::window w;
    w.admitted = w.ignored = 100;
    w.limit = w.max_in_flight = limit;
    w.mean_in_flight = static_cast<double>(limit);
    w.closed_at = usual_time;
    return w;
}

// A window that contradicts itself, with values as bad as their types allow.
inline flowguard::window hostile_window(std::mt19937_64& random, std::size_t limit) {
    const auto any = [&]<class T>(std::initializer_list<T> values) { return values.begin()[random() % values.size()]; };
    const auto real = static_cast<double>(limit);
    const auto some = [&] { return any({std::size_t{0}, std::size_t{1}, std::size_t{100}, SIZE_MAX}); };
    const auto in_flight = [&] { return any({std::size_t{0}, limit / 2, limit, limit, SIZE_MAX}); };
    const auto rtt = [&] {
        using namespace std::chrono_literals;
        using flowguard::duration;
        return any(
            {duration{0}, duration{1}, duration{10ms}, duration{20ms}, duration{3h}, duration::min(), duration::max()});
    };
    constexpr double infinity = std::numeric_limits<double>::infinity();
    flowguard::window w;
    w.admitted = some();
    w.all.samples = some();
    w.dropped = any({std::size_t{0}, std::size_t{0}, std::size_t{1}, SIZE_MAX});
    w.ignored = some();
    w.all.mean = rtt();
    w.dropped_mean_rtt = rtt();
    w.limit = in_flight();
    w.max_in_flight = in_flight();
    w.mean_in_flight = any({0.0, real, real, -1.0, std::numeric_limits<double>::denorm_min(), 1e300, infinity,
                            -infinity, std::numeric_limits<double>::quiet_NaN()});
    w.length = rtt();
    w.admitting = rtt();
    w.closed_at = rtt();
    w.spacing = any({flowguard::duration{0}, flowguard::duration{0}, rtt()});
    for (flowguard::kind_summary& k : w.all.kinds)
        k = {some(), rtt()};
    return w;
}

} // namespace support

#endif
