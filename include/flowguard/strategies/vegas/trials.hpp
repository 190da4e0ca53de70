// trials.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_TRIALS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_TRIALS_HPP

#include <algorithm>
#include <cstddef>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/experiment.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"
#include "flowguard/strategies/vegas/scheduled_window.hpp"

namespace flowguard::detail::vegas {

// Now and then, half as much again is in flight for one window: a *trial*. An RTT above the baseline need not be a
// queue. Requests may also slow each other down, by locks, caches, or a quota of the processor. A trial tells the two
// apart: behind a queue, more requests in flight only wait longer, and otherwise more of them are done. If a trial
// shows more throughput, the limit stays at that of the trial, and what seemed to queue there is allowed from now on.
//
// All guards of a server begin their trials at common instants, as they do with probes. If one guard tried alone, it
// would win throughput from the others, and each of them would do so in turn.
class trials {
public:
    explicit trials(const vegas_options& o) noexcept
        : share_(o.probe_share), highest_(static_cast<double>(o.max_limit)) {}

    // Takes each window but those of trials and probes.
    void see(const measurement& now) noexcept {
        since_ += now.length;
        if (!now.has_rtt() || !now.bound)
            return;
        if (math::absolute(now.limit - usual_.limit) > tried_change * usual_.limit)
            usual_ = {.limit = now.limit};
        measurement all = usual();
        add(all, now);
        usual_.rtt = all.rtt;
        usual_.variation = all.variation;
        usual_.in_flight = all.in_flight;
        usual_.count = (std::min)(all.count, tried_memory);
    }

    // ---- The next trial ----

    // Small guards are seldom alone with their server, and those with the lowest limits cannot try as well.
    bool is_possible_at(double limit) const noexcept {
        return limit >= least_tried && limit_from(limit) >= least_tried_growth * limit && usual_.count >= least_usual;
    }

    double limit_from(double limit) const noexcept { return (std::min)(math::ceil(tried_growth * limit), highest_); }

    // More, the more the RTTs vary, so that luck shows no throughput.
    std::size_t admissions(double limit) const noexcept {
        const double varied = (std::min)(1.0, usual_.variation * usual_.variation);
        return static_cast<std::size_t>((std::max)(least_tried_samples + varied_samples * varied, 2 * limit));
    }

    duration longest(double limit, double cost) const noexcept {
        return longest_window(static_cast<double>(admissions(limit)) / limit, tried_growth * usual_.rtt * cost);
    }

    // How long it is until the next trial, from a time on the clock that all hosts share. `length` is that of a probe.
    // The instants of trials are those of probes, moved by a third of 2^60 ns: that is a third or two thirds of any
    // period. Trials that show nothing make the period longer.
    double until_scheduled(double length, double time) const noexcept {
        return until_common_instant(rarer_ * length / share_, time - 0x1p60 / 3, since_);
    }

    // ---- After a trial ----

    // If demand did not fill it, it says nothing.
    bool tells(const measurement& trial) const noexcept {
        return trial.bound && trial.in_flight > least_tried_growth * usual_.in_flight;
    }

    // Whether throughput grew in it. RTTs that vary much have a p99 far above their mean, so that a higher mean hardly
    // makes answers late. Then less throughput is worth it.
    //
    // Where calls slow each other down, each one more does so more than the one before. If the RTT rose by less in the
    // trial than it had risen before, the trial won its throughput from other clients.
    bool is_gain(const measurement& trial, const baseline& base) const noexcept {
        const double exponent = measured_exponent(trial, usual());
        const double before = exponent_since(base);
        return before < queued_exponent && (before <= 0 || exponent >= least_steepening * before) &&
               exponent < tried_exponent + varied_exponent * (std::min)(1.0, usual_.variation);
    }

    // `queue` is what seemed to queue in the trial, and `wanted` what would have been wanted.
    void succeed(const measurement& trial, double queue, double wanted) noexcept {
        allowed_ = std::clamp((queue - wanted) / trial.in_flight, allowed_, most_allowed);
        rarer_ = 1;
    }

    void fail() noexcept { allowed_ = allowed_ > least_allowed ? kept_by_failure * allowed_ : 0; }

    // A trial ended, whatever it showed.
    void rest() noexcept {
        since_ = 0;
        rarer_ = (std::min)(most_rare, 2 * rarer_);
    }

    // How much more than the wanted queue may seem to queue, as a share of what is in flight.
    double allowed() const noexcept { return allowed_; }

private:
    // The part of a measurement that trials need: a guard that is not in use yet must be small.
    struct summary {
        double limit = 0;
        double rtt = 0;
        double variation = 0;
        double in_flight = 0;
        double count = 0;
    };

    measurement usual() const noexcept {
        return {.rtt = usual_.rtt,
                .count = usual_.count,
                .variation = usual_.variation,
                .limit = usual_.limit,
                .in_flight = usual_.in_flight};
    }

    // By what power of the concurrency the RTT rose from the baseline to the usual one; 0 if it did not, or if they are
    // too close to tell.
    double exponent_since(const baseline& base) const noexcept {
        const double found = rtt_exponent(usual(), {.rtt = base.rtt(), .in_flight = base.in_flight()});
        return found > 0 ? found : 0;
    }

    double share_;
    double highest_;
    summary usual_; // windows with about the present limit
    double allowed_ = 0;
    double since_ = 0; // the latest trial, nanoseconds
    double rarer_ = 1; // times the interval of probes
};

} // namespace flowguard::detail::vegas

#endif
