// suspected_rise.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_SUSPECTED_RISE_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_SUSPECTED_RISE_HPP

#include <algorithm>

#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// Whether the RTT without a queue has become longer. If this guard alone has less in flight, and the RTT stays long,
// either the service has become slower, or other guards keep the queue up. Only a probe in which they have less in
// flight as well can tell. Most guards probe at a common instant, but some may not. So it takes two probes with a long
// RTT, the last of them at a common instant. If a guard believed a single probe, it would take the queue of the others
// into its baseline, and so would each of them, and the queue would grow on and on.
//
// A probe has few samples. Where RTTs vary much, one alone seldom proves a rise, even of a service that became three
// times slower. So all probes of a suspicion count together.
class suspected_rise {
public:
    bool is_suspected() const noexcept { return probes_ > 0 || limit_before_ > 0; }
    bool is_believed() const noexcept { return probes_ >= believed_probes; }

    // The RTT did not follow when the concurrency fell from this limit, and was this long.
    void suspect(double limit_before, double rtt) noexcept {
        limit_before_ = (std::max)(limit_before_, limit_before);
        note(rtt);
    }
    // The highest limit that fell for nothing, if the rise is believed; 0: none did.
    double limit_before() const noexcept { return limit_before_; }

    // Whether a probe speaks for the suspicion: its RTT is nearer to the suspected one than to the baseline.
    bool is_supported_by(const measurement& probe, double baseline_rtt) const noexcept {
        return is_suspected() && probe.rtt * probe.rtt > suspected_rtt_ * baseline_rtt;
    }

    // All probes of the suspicion, with the newest.
    measurement with_earlier(const measurement& probe) const noexcept {
        measurement all = probe;
        all.count = earlier_.count;
        all.rtt = earlier_.rtt;
        all.variation = earlier_.variation;
        add(all, probe);
        return all;
    }

    // A probe speaks for the suspicion. `is_long`: alone or with the earlier ones, it is clearly above the baseline.
    void see_probe(const measurement& probe, bool is_long) noexcept {
        const measurement all = with_earlier(probe);
        earlier_ = {.rtt = all.rtt, .variation = all.variation, .count = all.count};
        note(probe.rtt);
        if (is_long)
            ++probes_;
    }

    void clear() noexcept { *this = {}; }

private:
    // The part of a measurement that is needed: a guard that is not in use yet must be small.
    struct summary {
        double rtt = 0;
        double variation = 0;
        double count = 0;
    };

    // The first long RTT is the suspected one.
    void note(double rtt) noexcept {
        if (suspected_rtt_ <= 0)
            suspected_rtt_ = rtt;
    }

    double limit_before_ = 0;
    double suspected_rtt_ = 0; // nanoseconds
    summary earlier_; // probes
    int probes_ = 0; // running, with a long RTT
};

} // namespace flowguard::detail::vegas

#endif
