// probe_schedule.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_PROBE_SCHEDULE_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_PROBE_SCHEDULE_HPP

#include <algorithm>
#include <cstddef>
#include <limits>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"
#include "flowguard/strategies/vegas/paced_limit.hpp"
#include "flowguard/strategies/vegas/scheduled_window.hpp"

namespace flowguard::detail::vegas {

// When the limit is lowered for a moment to see the RTT with less in flight, how low, and for how long. Times are in
// nanoseconds.
class probe_schedule {
public:
    explicit probe_schedule(const vegas_options& o) noexcept
        : lowest_(lowest(o)), min_probe_(o.min_probe), share_(o.probe_share) {}

    // ---- How low, and for how long ----

    // A limit of one can be lowered as well: see paced_limit.hpp.
    double limit_at(double concurrency) const noexcept {
        const double third = concurrency / probe_depth;
        return (std::max)(lowest_, third >= 1 ? math::floor(third) : third);
    }

    // A probe must at least halve the concurrency, or it would show too little.
    bool is_possible_at(double concurrency) const noexcept { return 2 * limit_at(concurrency) <= concurrency; }

    // Fewer for a very low limit: they take longest there, and the RTTs vary least.
    std::size_t admissions(double limit) const noexcept {
        if (limit < 1)
            return (std::min)(min_probe_, paced_probe);
        const auto permits = static_cast<std::size_t>(limit);
        return (std::max)((std::min)(min_probe_, 20 * permits), 3 * permits);
    }

    double length(double limit, const baseline& base) const noexcept { return base.rtt() * rounds(limit); }

    // Three times what the admissions of a probe should take at the present RTT, and ten RTTs for the calls in flight
    // to end; at least what a guard grants stragglers. Time-outs do not count, and an RTT of more than ten baselines
    // neither: calls hung, or the machine stood still.
    duration longest(double limit, const measurement& now, const baseline& base) const noexcept {
        const double rtt = std::clamp(now.success_rtt, base.rtt(), 10 * base.rtt());
        return longest_window(rounds(limit), rtt * now.cost);
    }

    // ---- When ----

    void pass(double time) noexcept { since_ += time; }

    // A probe must not follow soon after one that failed.
    bool pause_is_over() const noexcept { return since_ >= pause_; }

    // Before a probe that the schedule did not ask for.
    bool cooldown_is_over(double length) const noexcept { return since_ >= probe_cooldown * length; }

    // How long it is until the next probe of the schedule, from a time on the clock that all hosts share. Such probes
    // begin at multiples of 2^k ns of that clock. So guards of one server, each with an interval of its own, probe at
    // common instants, where the queue of all of them falls, and each sees the RTT without it. The schedule is tighter
    // until the baseline is known to 5 %, and while it is in doubt. Even then, probes leave most of the time to other
    // windows.
    double until_scheduled(double length, const measurement& now, const baseline& base, bool in_doubt,
                           double time) const noexcept {
        const double wanted = std::clamp(400 * now.variation * now.variation, 1.0, baseline_memory);
        const double known = in_doubt ? 0 : (std::min)(1.0, base.samples() / wanted);
        const double interval = length * (std::max)(known / share_, (std::min)(1 / share_, probe_cooldown));
        return until_common_instant(interval, time, since_);
    }

    // The schedule begins anew.
    void rest() noexcept {
        since_ = 0;
        low_seen_ = 0;
    }

    // Demand showed the RTT at low concurrency itself: that is as good as a probe, once there are as many samples.
    void saw_low(double samples) noexcept {
        low_seen_ += samples;
        if (low_seen_ >= static_cast<double>(min_probe_))
            rest();
    }

    // The pause keeps probes that fail within the share of the time that probes may take.
    void fail(double length) noexcept {
        rest();
        pause_ = length / share_;
    }

    void succeed() noexcept {
        rest();
        pause_ = 0;
    }

    // The service is another one than that of the probe that failed.
    void end_pause() noexcept { pause_ = 0; }

    void ask_again_soon() noexcept { since_ = std::numeric_limits<double>::infinity(); }

private:
    double rounds(double limit) const noexcept { return static_cast<double>(admissions(limit)) / limit; }

    double lowest_;
    std::size_t min_probe_;
    double share_;
    double since_ = std::numeric_limits<double>::infinity(); // the latest probe, or as many samples at low concurrency
    double pause_ = 0; // after a probe that failed
    double low_seen_ = 0; // samples that demand gave since then
};

} // namespace flowguard::detail::vegas

#endif
