// baseline.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_BASELINE_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_BASELINE_HPP

#include <algorithm>
#include <limits>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// The RTT without queueing, as a mean over many samples, and how far it is to be trusted.
class baseline {
public:
    bool is_known() const noexcept { return mean_.has_rtt(); }
    double rtt() const noexcept { return mean_.rtt; } // nanoseconds; 0 while unknown
    double samples() const noexcept { return mean_.count; } // that it is the mean of
    double in_flight() const noexcept { return mean_.in_flight; } // while it was measured; an upper bound
    double variation() const noexcept { return mean_.variation; } // of these

    // Averages, unless the new samples say that the service has changed.
    void learn(const measurement& m) noexcept {
        if (!m.has_rtt())
            return;
        if (errors_from(m) > replace_errors)
            mean_ = {};
        add(mean_, m);
        mean_.count = (std::min)(mean_.count, baseline_memory);
    }

    // How far a mean is from the baseline, in standard errors of their difference.
    double errors_from(const measurement& m) const noexcept {
        const double distance = math::absolute(m.rtt - mean_.rtt);
        const double error =
            m.variation * math::hypot(m.rtt / math::sqrt(m.count), mean_.rtt / math::sqrt(mean_.count));
        return distance <= 0 ? 0 : error > 0 ? distance / error : std::numeric_limits<double>::infinity();
    }

    // Whether an RTT is clearly above the baseline.
    bool is_exceeded_by(const measurement& m) const noexcept {
        return is_known() && m.has_rtt() && m.rtt > mean_.rtt && errors_from(m) > replace_errors;
    }

    // Whether an RTT is clearly below the baseline.
    bool is_undercut_by(const measurement& m) const noexcept {
        return is_known() && m.has_rtt() && m.rtt < mean_.rtt && errors_from(m) > replace_errors;
    }

    // Whether an RTT shows no queue at all.
    bool is_met_by(const measurement& m) const noexcept { return m.rtt <= flat_ratio * mean_.rtt; }
    bool is_closely_met_by(const measurement& m) const noexcept { return m.rtt <= (1 + same_rtt) * mean_.rtt; }

    // Whether an RTT is so long that this is no bad luck, however much the RTTs vary.
    bool is_far_below(const measurement& m) const noexcept {
        return m.rtt > flat_ratio * (m.count < few_samples ? far_above_of_few : far_above) * mean_.rtt;
    }

    // Whether an RTT is not clearly above the baseline.
    bool is_near(const measurement& m) const noexcept {
        return !m.has_rtt() || is_met_by(m) || (!is_far_below(m) && errors_from(m) <= replace_errors);
    }

    // Whether an RTT is above the baseline because of a wait behind other clients' requests. Such a wait raises the
    // mean of the RTTs, but hardly their spread; a slower service raises both.
    bool looks_like_foreign_queue(const measurement& m) const noexcept {
        return is_known() && m.rtt > mean_.rtt && mean_.variation > telling_spread &&
               m.variation < mean_.variation * math::pow(mean_.rtt / m.rtt, foreign_spread);
    }

    // ---- Where it comes from ----

    // A probe or low demand has shown it. Until then it is from the start, where all requests may have queued.
    void confirm() noexcept { is_confirmed_ = true; }

    // Whether it is from no more in flight than this. If it is from the start, it must be from less: the same RTT with
    // as much in flight says nothing.
    bool is_from_at_most(double in_flight) const noexcept {
        return (is_confirmed_ ? 1 : 1.5) * mean_.in_flight <= in_flight;
    }

    // Whether the same RTT is known from no higher concurrency: then nothing queues in this measurement.
    bool confirms(const measurement& low) const noexcept {
        return is_known() && is_from_at_most(low.in_flight) &&
               math::absolute(low.rtt - mean_.rtt) <= same_rtt * mean_.rtt;
    }

    // ---- Doubt ----

    // Whether an RTT that nothing queued for shows that the service became slower.
    bool is_refuted_by(const measurement& m) const noexcept {
        return !is_closely_met_by(m) && !looks_like_foreign_queue(m);
    }

    // A window in which the limit was bound and the RTT clear of the baseline speaks against it.
    void suspect() noexcept { ++windows_above_; }

    // Lowers the count, but not to 0 at once: RTTs that vary come near a wrong baseline now and then.
    void trust() noexcept { windows_above_ = (std::max)(0.0, windows_above_ - distrust_after / 10); }

    bool is_doubtful() const noexcept { return windows_above_ >= distrust_after; }

    // Gives it up for this measurement.
    void start_over(const measurement& m) noexcept {
        mean_ = {};
        windows_above_ = 0;
        learn(m);
    }

    void start_over_unconfirmed(const measurement& m) noexcept {
        start_over(m);
        is_confirmed_ = false;
    }

private:
    measurement mean_; // of what it learnt; in_flight is an upper bound when demand set it
    bool is_confirmed_ = false;
    double windows_above_ = 0; // less what speaks for it
};

} // namespace flowguard::detail::vegas

#endif
