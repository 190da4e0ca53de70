// suspected_rise.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_SUSPECTED_RISE_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_SUSPECTED_RISE_HPP

#include <algorithm>

#include "flowguard/strategies/vegas/constants.hpp"

namespace flowguard::detail::vegas {

// Whether the RTT without a queue has become longer. If this guard alone has less in flight, and the RTT stays long,
// either the service has become slower, or other guards keep the queue up. Only a probe in which they have less in
// flight as well can tell. Most guards probe at a common instant, but some may not. So it takes two probes with a long
// RTT, the last of them at a common instant. If a guard believed a single probe, it would take the queue of the others
// into its baseline, and so would each of them, and the queue would grow on and on.
class suspected_rise {
public:
    bool is_suspected() const noexcept { return probes_ > 0 || limit_before_ > 0; }
    bool is_believed() const noexcept { return probes_ >= believed_probes; }

    // The RTT did not follow when the concurrency fell from this limit.
    void suspect(double limit_before) noexcept { limit_before_ = (std::max)(limit_before_, limit_before); }
    // The highest limit that fell for nothing, if the rise is believed; 0: none did.
    double limit_before() const noexcept { return limit_before_; }

    // A probe has shown a long RTT.
    void see_probe() noexcept { ++probes_; }

    void clear() noexcept { *this = {}; }

private:
    double limit_before_ = 0;
    int probes_ = 0; // running, with a long RTT
};

} // namespace flowguard::detail::vegas

#endif
