// probe_schedule.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_PROBE_SCHEDULE_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_PROBE_SCHEDULE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace flowguard::detail::vegas {

// When the limit is lowered for a moment to see the RTT with less in flight, how low, and for how long. Times are in
// nanoseconds.
class probe_schedule {
public:
    explicit probe_schedule(const vegas_options& o) noexcept
        : min_limit_(o.min_limit), min_probe_(o.min_probe), share_(o.probe_share), random_(o.seed) {}

    // ---- How low, and for how long ----

    std::size_t limit_at(double concurrency) const noexcept {
        return std::max(min_limit_, static_cast<std::size_t>(concurrency / probe_depth));
    }

    // A probe must at least halve the concurrency, or it would show too little.
    bool is_possible_at(double concurrency) const noexcept {
        return 2 * static_cast<double>(limit_at(concurrency)) <= concurrency;
    }

    // Fewer for a very low limit: they take longest there, and the RTTs vary least.
    std::size_t admissions(std::size_t limit) const noexcept {
        return std::max(std::min(min_probe_, 20 * limit), 3 * limit);
    }

    double length(std::size_t limit, const baseline& base) const noexcept { return base.rtt() * rounds(limit); }

    // Three times what the admissions of a probe should take at the present RTT, and ten RTTs for the calls in flight
    // to end; at least what a guard grants stragglers. Time-outs do not count, and an RTT of more than ten baselines
    // neither: calls hung, or the machine stood still.
    duration longest(std::size_t limit, const measurement& now, const baseline& base) const noexcept {
        const double rtt = std::clamp(now.success_rtt, base.rtt(), 10 * base.rtt());
        return duration{static_cast<duration::rep>(std::clamp((3 * rounds(limit) + 10) * rtt * now.cost, 1e6, 1e18))};
    }

    // ---- When ----

    void pass(double time) noexcept { since_ += time; }

    // A probe must not follow soon after one that failed.
    bool pause_is_over() const noexcept { return since_ >= pause_; }

    // Before a probe that the schedule did not ask for.
    bool cooldown_is_over(double length) const noexcept { return since_ >= probe_cooldown * length; }

    // The schedule is tighter until the baseline is known to 5 %.
    bool is_due(double length, const measurement& now, const baseline& base) const noexcept {
        const double wanted = std::clamp(400 * now.variation * now.variation, 1.0, baseline_memory);
        const double interval = jitter_ / share_ * std::min(1.0, base.samples() / wanted);
        return since_ >= interval * length;
    }

    // The schedule begins anew. It has jitter, so that the guards of one server do not probe together.
    void rest() noexcept {
        since_ = 0;
        low_seen_ = 0;
        jitter_ = 0.5 + uniform();
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
    double rounds(std::size_t limit) const noexcept {
        return static_cast<double>(admissions(limit)) / static_cast<double>(limit);
    }

    // In [0, 1), by SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
    double uniform() noexcept {
        std::uint64_t z = random_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }

    std::size_t min_limit_;
    std::size_t min_probe_;
    double share_;
    double since_ = std::numeric_limits<double>::infinity(); // the latest probe, or as many samples at low concurrency
    double pause_ = 0; // after a probe that failed
    double jitter_ = 1;
    double low_seen_ = 0; // samples that demand gave since then
    std::uint64_t random_;
};

} // namespace flowguard::detail::vegas

#endif
