// target.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_TARGET_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_TARGET_HPP

#include <algorithm>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

// How many requests queue at the resource, and how many should.
namespace flowguard::detail::vegas {

// J. Little: A Proof for the Queuing Formula L = λW. Operations Research 9(3), 1961.
inline double queue_in(const measurement& m, const baseline& base) noexcept {
    return m.rtt > base.rtt() ? m.in_flight * (1 - base.rtt() / m.rtt) : 0;
}

// What is in flight, at most the limit; the limit while it is not known.
inline double in_use(double limit, double in_flight) noexcept {
    return in_flight > 0 ? (std::min)(in_flight, limit) : limit;
}

// The queue that is wanted. Work that always takes the same time needs next to none. Neither does a resource whose
// queue hardly varies, because it is that of many guards: it never becomes empty. `varying_wait` is the standard
// deviation of the wait, as a share of the RTT.
inline double wanted_queue(double limit, double queue, double in_flight, const baseline& base, double varying_wait,
                           const vegas_options& o) noexcept {
    const double busy = (std::max)(0.0, limit - queue);
    const double varying = o.slack_floor + o.slack_factor * math::sqrt(busy) + linear_slack * busy;
    const double v = base.is_known() ? (std::min)(1.0, base.variation()) : 1;
    const double used = in_use(limit, in_flight);
    return (std::min)({(1 - v) + v * varying,
                       (std::max)(most_slack * used, (std::min)(most_slack * limit, least_slack)),
                       (std::max)(steady_slack, varying_wait) * used + steady_request});
}

} // namespace flowguard::detail::vegas

#endif
