// wait_spread.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_WAIT_SPREAD_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_WAIT_SPREAD_HPP

#include <algorithm>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// How much the wait at the resource varies. The variance of the RTT is that of the service time and that of the wait. A
// queue that becomes empty now and then makes waits that vary as much as they are long. If they vary less, the resource
// has always had work, and a shorter queue would do. That is so if many guards share the resource, and each keeps a
// small part of its queue.
class wait_spread {
public:
    // Windows in which demand set the concurrency say little about the queue.
    void learn(const measurement& m) noexcept {
        if (!m.has_rtt() || !m.bound)
            return;
        const double weight = rtt_ > 0 ? wait_memory : 1;
        rtt_ += weight * (m.rtt - rtt_);
        square_ += weight * (m.rtt * m.rtt * (1 + m.variation * m.variation) - square_);
    }

    // The standard deviation of the wait, as a share of the mean RTT; 1 while unknown.
    double share(const baseline& base) const noexcept {
        if (rtt_ <= 0)
            return 1;
        const double service = base.variation() * base.rtt();
        return math::sqrt((std::max)(0.0, square_ - rtt_ * rtt_ - service * service)) / rtt_;
    }

private:
    double rtt_ = 0; // mean, nanoseconds
    double square_ = 0; // mean of the squares
};

} // namespace flowguard::detail::vegas

#endif
