// netflix_vegas.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPPONENTS_NETFLIX_VEGAS_HPP
#define LAB_OPPONENTS_NETFLIX_VEGAS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../limiter.hpp"
#include "support/random_numbers.hpp"

namespace lab {

/// Vegas, with one step per sample: the queue is limit * (1 - least RTT / RTT), and the step grows with log10 of the
/// limit. Every 15 to 30 * limit samples, the current RTT becomes the least RTT.
///
/// After Netflix concurrency-limits, VegasLimit.java of 2024-10-24 (in v0.5.4), with its defaults: alpha 3 log10, beta
/// 6 log10, threshold log10, smoothing 1, limit 1 to 1000. A time-out lowers the limit, as in the original.
class netflix_vegas final : public sample_limiter {
public:
    netflix_vegas(std::size_t initial_limit, std::uint64_t seed)
        : sample_limiter(static_cast<double>(initial_limit)), random_(seed) {}

private:
    void learn(const sample& s) override {
        ++samples_since_probe_;
        const bool probe = static_cast<double>(samples_since_probe_) >= probe_jitter_ * 30 * limit_;
        if (probe) {
            samples_since_probe_ = 0;
            probe_jitter_ = draw_jitter();
        }
        if (probe || least_rtt_ == duration{} || s.rtt < least_rtt_) {
            least_rtt_ = s.rtt;
            return;
        }
        if (const double change = step(s); change != 0)
            limit_ = std::clamp(limit_ + change, 1.0, 1000.0);
    }

    double step(const sample& s) const {
        const double unit = std::max(1.0, std::floor(std::log10(std::floor(limit_))));
        if (s.dropped)
            return -unit;
        if (2 * static_cast<double>(s.in_flight) < limit_) // the limit did not bind
            return 0;
        const double queue = std::ceil(limit_ * (1 - in_seconds(least_rtt_) / in_seconds(s.rtt)));
        if (queue <= unit)
            return 6 * unit;
        if (queue < 3 * unit)
            return unit;
        return queue > 6 * unit ? -unit : 0;
    }

    double draw_jitter() { return 0.5 + 0.5 * random_.uniform(); }

    support::random_numbers random_;
    double probe_jitter_ = draw_jitter();
    std::size_t samples_since_probe_ = 0;
    duration least_rtt_{}; // 0: none yet
};

} // namespace lab

#endif
