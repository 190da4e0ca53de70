// window_use.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_WINDOW_USE_HPP
#define FLOWGUARD_DETAIL_CONTROL_WINDOW_USE_HPP

#include <algorithm>
#include <cstddef>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

// Numbers from a window that are safe to calculate with, whatever is in the window.
namespace flowguard::detail {

inline double nanoseconds(duration d) noexcept {
    return (std::max)(0.0, static_cast<double>(d.count()));
}

// How many members tell something: all that were not ignored.
inline std::size_t telling_members(const window& w) noexcept {
    return w.admitted - (std::min)(w.ignored, w.admitted);
}

// The share of drops, in [0, 1]; 0 for a window without any sample.
inline double drop_share(const window& w) noexcept {
    const auto drops = static_cast<double>(w.dropped);
    return w.dropped == 0 ? 0 : drops / (drops + static_cast<double>(w.all.samples));
}

// Whether at least half of the limit was in flight on average.
inline bool half_used(const window& w) noexcept {
    // Just after a rise of the limit, the rate of admission overstates what is in flight; hence the caps. False for
    // NaN.
    const std::size_t limit = std::max<std::size_t>(w.limit, 1);
    const auto most = static_cast<double>((std::min)(w.max_in_flight, limit));
    return w.mean_in_flight > 0 && 2 * (std::min)(w.mean_in_flight, most) >= static_cast<double>(limit);
}

// Whether the limit, not demand, set what was in flight: it was reached, and not just by a rare burst.
inline bool limit_binds(const window& w) noexcept {
    return w.max_in_flight >= w.limit && half_used(w);
}

} // namespace flowguard::detail

#endif
