// experiment.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_EXPERIMENT_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_EXPERIMENT_HPP

#include <limits>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

// What two measurements say, one with more in flight than the other.
namespace flowguard::detail::vegas {

// The RTT as a power of the concurrency: 0 where nothing queues, 1 where everything does.
inline double measured_exponent(const measurement& high, const measurement& low) noexcept {
    return math::log(high.rtt / low.rtt) / math::log(high.in_flight / low.in_flight);
}

// The same; NaN, which is on no side of any bound, if the two concurrencies are too close to tell.
inline double rtt_exponent(const measurement& high, const measurement& low) noexcept {
    if (high.rtt <= 0 || low.rtt <= 0 || low.in_flight <= 0 || high.in_flight < 1.5 * low.in_flight)
        return std::numeric_limits<double>::quiet_NaN();
    return measured_exponent(high, low);
}

// Whether the RTT fell nearly in proportion to the concurrency: then throughput did not fall, and only queue was taken
// away. The elasticity of throughput is then below 0.35.
inline bool only_queued(const measurement& high, const measurement& low) noexcept {
    return rtt_exponent(high, low) > queued_exponent;
}

// Whether the RTT hardly fell with the concurrency: then there was no queue to take away.
inline bool nothing_queued(const measurement& high, const measurement& low) noexcept {
    return math::absolute(rtt_exponent(high, low)) < flat_exponent;
}

// Whether the throughput was clearly higher with more requests in flight: by more than a power of 1 - grew_exponent of
// the concurrency.
inline bool throughput_grew(const measurement& high, const measurement& low) noexcept {
    return rtt_exponent(high, low) < grew_exponent;
}

// Whether the RTTs vary so much that their mean may be far from what it should be.
inline bool may_be_luck(const measurement& m) noexcept {
    return m.variation > lucky_error * math::sqrt(m.count);
}

} // namespace flowguard::detail::vegas

#endif
