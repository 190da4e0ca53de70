// standing_queue.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_STANDING_QUEUE_HPP
#define FLOWGUARD_DETAIL_QUEUE_STANDING_QUEUE_HPP

#include <algorithm>
#include <chrono>

#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/queue/standing_times.hpp"

namespace flowguard::detail {

// Tells a standing queue from a burst, by how long the first waiter has waited. A queue *stands* once that wait was
// longer than the target at every look for a whole interval, as in CoDel (K. Nichols, V. Jacobson et al.: RFC 8289,
// 2018). It stops standing once the wait was at most the target at every look for a whole interval. In CoDel a single
// short wait is enough. Here it is not, because shedding long waits makes some waits short even in the middle of an
// overload.
class standing_queue {
public:
    // Notes how long the first waiter has waited by now. The times may differ from those of the look before.
    void look(std::chrono::nanoseconds waited, std::chrono::nanoseconds now, const standing_times& times) noexcept {
        const bool is_too_long = waited > times.target;
        confirmed_at_ = (std::min)(confirmed_at_, now); // clocks may be set back: the interval begins anew
        if (is_too_long != stands_ && saturated_difference(now, confirmed_at_) >= times.interval)
            stands_ = !stands_;
        if (is_too_long == stands_)
            confirmed_at_ = now;
    }

    bool stands() const noexcept { return stands_; }

private:
    // The time of the latest look that confirmed `stands_`. The first look begins the first interval.
    std::chrono::nanoseconds confirmed_at_ = (std::chrono::nanoseconds::max)();
    bool stands_ = false;
};

} // namespace flowguard::detail

#endif
