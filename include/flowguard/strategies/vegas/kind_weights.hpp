// kind_weights.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_KIND_WEIGHTS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_KIND_WEIGHTS_HPP

#include <algorithm>
#include <array>
#include <cstddef>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail::vegas {

// Makes the RTTs of different mixes of kinds comparable. The *weight* of a kind is its RTT without queueing, over that
// of the *reference mix*, which is the mix of the first window. A measurement is *normalised* when it is as it would be
// with the reference mix. While all calls are of one kind, everything is as if there were no kinds.
//
// Two means of a window tell the RTT of the reference mix:
//
//     Σ RTT ÷ Σ weight    by Little's law; but it is the mean of a few calls, if a few long ones take most of the time
//     mean (RTT ÷ weight) all calls count alike; but a wait that is the same for all makes much of cheap ones
//
// Without a queue, both are the same, and the second varies less. So it is taken while it shows no queue. It also tells
// from which windows the weights may be learnt. With a queue, the first one is right. It is never higher.
//
// Weights are ratios of RTTs from the same window. So a service that becomes slower as a whole does not change them.
class kind_weights {
public:
    // 0 if the kind was never seen.
    double weight(std::size_t kind) const noexcept { return kinds_[kind].weight; }

    // Gives a provisional weight to kinds that were never seen before, by what the other kinds took in the same window.
    // If there are no others, the service counts as being as fast as in the window before.
    void meet(const rtt_summary& rtts) noexcept {
        if (rtts.samples == 0)
            return;
        totals known;
        for (std::size_t k = 0; k < max_kinds; ++k)
            if (kinds_[k].weight > 0)
                known.add(rtts.kinds[k], kinds_[k].weight);
        const double rtt = known.rtt > 0 ? known.rtt / known.weight : latest_ > 0 ? latest_ : nanoseconds(rtts.mean);
        for (std::size_t k = 0; k < max_kinds; ++k)
            if (const double mean = nanoseconds(rtts.kinds[k].mean); kinds_[k].weight <= 0 && mean > 0 && rtt > 0) {
                kinds_[k].weight = bounded(mean / rtt);
                ++known_;
            }
        latest_ = nanoseconds(rtts.mean) / totals_of(rtts).mean_weight();
    }

    // Learns from a window that shows no queue; `base` is the RTT of the reference mix without a queue, or 0 while it
    // is unknown. The more samples a weight is the mean of, the less it moves. The mean of all weights, by these
    // samples, stays the same: so they do not drift.
    void learn(const rtt_summary& rtts, double base) noexcept {
        const double rtt = mean_by_weight(rtts);
        if (rtt <= 0 || !shows_no_queue(rtt, base))
            return;
        for (std::size_t k = 0; k < max_kinds; ++k) {
            const auto count = static_cast<double>(rtts.kinds[k].samples);
            const double mean = nanoseconds(rtts.kinds[k].mean);
            known_kind& kind = kinds_[k];
            if (kind.weight <= 0 || count <= 0 || mean <= 0)
                continue;
            kind.samples += count;
            if (are_several())
                kind.weight = bounded(kind.weight + count / kind.samples * (mean / rtt - kind.weight));
            kind.samples = (std::min)(kind.samples, weight_memory);
        }
    }

    // The measurement of a window, or of its samples at low concurrency, whose successes are `rtts`.
    measurement normalised(measurement m, const rtt_summary& rtts, double base) const noexcept {
        const totals t = totals_of(rtts);
        if (!are_several() || t.count <= 0)
            return m;
        const double mean = nanoseconds(rtts.mean);
        m.cost = t.mean_weight();
        double rtt = mean_by_weight(rtts);
        const double telling = t.telling() / t.count;
        if (!shows_no_queue(rtt, base)) {
            rtt = (std::min)(rtt, mean / m.cost);
            m.count *= telling;
        }
        m.rtt = rtt + (m.rtt - mean) / m.cost; // drops that took longer
        m.success_rtt = rtt;
        // The difference between kinds is known, and so is no error of a mean. The spread within each kind is taken to
        // be the same for all kinds.
        m.variation = math::sqrt((std::max)(0.0, (m.variation * m.variation + 1) * telling - 1));
        return m;
    }

private:
    struct known_kind {
        double weight = 0; // 0: never seen
        double samples = 0; // that it is the mean of; 0 while it is provisional
    };

    // Sums over calls.
    struct totals {
        double count = 0;
        double weight = 0;
        double rtt = 0;
        double squares = 0; // of the mean RTTs of their kinds

        void add(const kind_summary& k, double weight_of_each) noexcept {
            const auto n = static_cast<double>(k.samples);
            const double mean = nanoseconds(k.mean);
            count += n;
            weight += n * weight_of_each;
            rtt += n * mean;
            squares += n * mean * mean;
        }

        double mean_weight() const noexcept { return weight > 0 ? weight / count : 1; }

        // How many calls of equal length would have a mean as certain as theirs.
        double telling() const noexcept { return squares > 0 ? rtt * rtt / squares : count; }
    };

    totals totals_of(const rtt_summary& rtts) const noexcept {
        totals t;
        for (std::size_t k = 0; k < max_kinds; ++k)
            t.add(rtts.kinds[k], kinds_[k].weight);
        return t;
    }

    static double bounded(double weight) noexcept { return std::clamp(weight, 1 / most_weight, most_weight); }

    bool are_several() const noexcept { return known_ > 1; }

    static bool shows_no_queue(double rtt, double base) noexcept { return rtt <= flat_ratio * base; }

    // The mean of RTT ÷ weight. A kind whose weight is known from few samples counts as if it had so few.
    double mean_by_weight(const rtt_summary& rtts) const noexcept {
        double sum = 0;
        double telling = 0;
        for (std::size_t k = 0; k < max_kinds; ++k) {
            const auto count = static_cast<double>(rtts.kinds[k].samples);
            const auto [weight, samples] = kinds_[k];
            if (count <= 0 || samples <= 0)
                continue;
            const double both = count * samples / (count + samples);
            sum += both * nanoseconds(rtts.kinds[k].mean) / weight;
            telling += both;
        }
        return telling > 0 ? sum / telling : nanoseconds(rtts.mean) / totals_of(rtts).mean_weight();
    }

    std::array<known_kind, max_kinds> kinds_{};
    std::size_t known_ = 0;
    double latest_ = 0; // RTT of the latest window, normalised; nanoseconds
};

} // namespace flowguard::detail::vegas

#endif
