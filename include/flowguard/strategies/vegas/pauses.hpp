// pauses.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_PAUSES_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_PAUSES_HPP

#include <algorithm>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// Whether the service stops again and again: a quota of its processor, a collection of garbage. A window that meets a
// pause has a long RTT and little throughput. The window before or after it, with the same limit, has neither. A queue
// does not come and go like that: it leaves the throughput as it is, and stays until less is in flight. So where pauses
// are usual, only the calmest of the latest windows tells how much queues.
class pauses {
public:
    // Takes each window that is no probe.
    void see(const measurement& now, const baseline& base) noexcept {
        if (now.rtt < before_.rtt)
            compare(now, before_, base);
        else
            compare(before_, now, base);
        before_ = now;
        ++since_calmest_;
        if (now.rtt <= calmest_.rtt || since_calmest_ >= calm_windows || !have_like_limits(now, calmest_)) {
            calmest_ = now;
            since_calmest_ = 0;
        }
        since_bound_ = now.bound ? 0 : since_bound_ + 1;
    }

    bool are_usual() const noexcept { return count_ > one_pause; }

    // The calmest of the latest windows, in place of the latest one. The limit binds if it did in any of them: also in
    // a pause, callers are rejected.
    measurement calmest() const noexcept {
        measurement m = calmest_;
        m.limit = before_.limit;
        m.bound = since_bound_ < calm_windows;
        m.reached = m.reached || m.bound;
        return m;
    }

private:
    // Two neighbours say something if one of them had no queue, although its limit was no lower.
    void compare(const measurement& calm, const measurement& other, const baseline& base) noexcept {
        if (!calm.has_rtt() || !base.is_met_by(calm) || other.limit > like_limits * calm.limit)
            return;
        const bool paused = other.rtt > pause_rtt * calm.rtt &&
                            pause_throughput * other.in_flight / other.rtt < calm.in_flight / calm.rtt;
        count_ = std::clamp(count_ + (paused ? 1 : -pauses_forgotten), 0.0, most_pauses);
    }

    static bool have_like_limits(const measurement& a, const measurement& b) noexcept {
        return (std::max)(a.limit, b.limit) <= like_limits * (std::min)(a.limit, b.limit);
    }

    double count_ = 0; // windows before or after a pause, less what speaks against pauses
    measurement before_; // the latest window
    measurement calmest_;
    double since_calmest_ = 0; // windows
    double since_bound_ = calm_windows; // windows
};

} // namespace flowguard::detail::vegas

#endif
