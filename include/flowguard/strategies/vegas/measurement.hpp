// measurement.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_MEASUREMENT_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_MEASUREMENT_HPP

#include <algorithm>
#include <cstddef>

#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail::vegas {

// A window in numbers that are safe to calculate with. Times are in nanoseconds.
struct measurement {
    double rtt = 0; // mean; a drop that took longer than the successes counts as a lower bound of its RTT
    double success_rtt = 0; // mean, of the successes alone
    double count = 0; // of RTTs; 0 when nothing succeeded, so that the RTT is unknown
    double variation = 0; // standard deviation of the RTTs over their mean
    double ended = 0; // successes and drops
    double drops = 0; // share of drops
    double limit = 1;
    double in_flight = 0; // mean
    bool bound = false; // the limit, not demand, set what was in flight
    bool reached = false; // callers were rejected, or nearly so
    double length = 0;
    double cost = 1; // RTTs are over so much, if there are kinds of calls: see kind_weights

    bool has_rtt() const noexcept { return count > 0; }
};

// The share of drops, by their number or by the time for which they held permits, whichever is less: a permit that
// meets many prompt refusals is still one permit.
inline double share_of_drops(const window& w) noexcept {
    const double by_number = drop_share(w);
    const double dropped = static_cast<double>(w.dropped) * nanoseconds(w.dropped_mean_rtt);
    const double succeeded = static_cast<double>(w.all.samples) * nanoseconds(w.all.mean);
    return dropped + succeeded > 0 ? (std::min)(by_number, dropped / (dropped + succeeded)) : by_number;
}

// With a spacing, it is what was in flight on average at most: less than one.
inline double limit_of(const window& w) noexcept {
    if (w.spacing <= duration{})
        return static_cast<double>(std::max<std::size_t>(w.limit, 1));
    const duration rtt = w.all.samples > 0 ? w.all.mean : w.dropped_mean_rtt;
    return std::clamp(nanoseconds(rtt) / nanoseconds(w.spacing), least_limit, 1.0);
}

inline measurement measure(const window& w) noexcept {
    measurement m;
    m.ended = static_cast<double>(w.all.samples) + static_cast<double>(w.dropped);
    m.drops = share_of_drops(w);
    if (w.all.samples > 0) {
        // The RTT of a call that timed out would have been at least as long; a prompt refusal says nothing about the
        // RTT.
        m.success_rtt = nanoseconds(w.all.mean);
        m.rtt = m.success_rtt + m.drops * (std::max)(0.0, nanoseconds(w.dropped_mean_rtt) - m.success_rtt);
        m.count = m.ended;
        m.variation = w.all.variation();
    }
    m.limit = limit_of(w);
    // Just after a rise of the limit the rate of admission overstates what is in flight; hence the caps.
    if (w.mean_in_flight > 0)
        m.in_flight = (std::min)({w.mean_in_flight, static_cast<double>(w.max_in_flight), m.limit});
    m.bound = w.spacing > duration{} ? 2 * w.mean_in_flight >= m.limit : limit_binds(w);
    // Calls come at random. So a low limit is reached long before half of it is in flight on average: a limit of one
    // rejects each call that comes while another is in flight.
    m.reached = m.bound || (w.spacing <= duration{} && w.max_in_flight >= w.limit && 2 * m.in_flight + 1 >= m.limit);
    m.length = nanoseconds(w.length);
    return m;
}

// The successes that were admitted while few were in flight.
inline measurement measure_low(const window& w) noexcept {
    return {.rtt = nanoseconds(w.low.mean),
            .count = static_cast<double>(w.low.samples),
            .variation = w.low.variation(),
            .in_flight = static_cast<double>(std::max<std::size_t>(w.limit / 3, 1))};
}

// Takes the samples of another measurement into the means.
inline void add(measurement& sum, const measurement& m) noexcept {
    sum.count += m.count;
    const double share = m.count / sum.count;
    sum.rtt += (m.rtt - sum.rtt) * share;
    sum.variation += (m.variation - sum.variation) * share;
    sum.in_flight += (m.in_flight - sum.in_flight) * share;
}

// Two of the same RTT, as one with the lower concurrency.
inline measurement pooled(const measurement& high, const measurement& low) noexcept {
    measurement both = low;
    add(both, high);
    both.in_flight = low.in_flight;
    return both;
}

} // namespace flowguard::detail::vegas

#endif
