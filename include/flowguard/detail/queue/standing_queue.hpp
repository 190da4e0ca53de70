// standing_queue.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_STANDING_QUEUE_HPP
#define FLOWGUARD_DETAIL_QUEUE_STANDING_QUEUE_HPP

#include <algorithm>
#include <chrono>

#include "flowguard/detail/base/clock_time.hpp"

namespace flowguard::detail {

// Tells a standing queue from a burst, by how long the first waiter has waited. A queue *stands* once that wait was
// longer than the target at every look for a whole interval, as in CoDel (K. Nichols, V. Jacobson et al.: RFC 8289,
// 2018). It stops standing once the wait was at most the target at every look for a whole interval. In CoDel a single
// short wait is enough. Here it is not, because shedding long waits makes some waits short even in the middle of an
// overload.
class standing_queue {
public:
    standing_queue(std::chrono::nanoseconds target, std::chrono::nanoseconds interval) noexcept
        : target_(target), interval_(interval) {}

    // Notes how long the first waiter has waited by now.
    void look(std::chrono::nanoseconds waited, std::chrono::nanoseconds now) noexcept {
        confirmed_at_ = std::min(confirmed_at_, now); // clocks may be set back: the interval begins anew
        if (is_too_long(waited) != stands_ && saturated_difference(now, confirmed_at_) >= interval_)
            stands_ = !stands_;
        if (is_too_long(waited) == stands_)
            confirmed_at_ = now;
    }

    bool stands() const noexcept { return stands_; }

    bool is_too_long(std::chrono::nanoseconds wait) const noexcept { return wait > target_; }

private:
    const std::chrono::nanoseconds target_;
    const std::chrono::nanoseconds interval_;
    // The time of the latest look that confirmed `stands_`. The first look begins the first interval.
    std::chrono::nanoseconds confirmed_at_ = std::chrono::nanoseconds::max();
    bool stands_ = false;
};

} // namespace flowguard::detail

#endif
