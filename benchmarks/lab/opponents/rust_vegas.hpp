// rust_vegas.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPPONENTS_RUST_VEGAS_HPP
#define LAB_OPPONENTS_RUST_VEGAS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../limiter.hpp"

namespace lab {

/// Vegas, with a step of one up or down per sample: the queue is limit * (1 - least RTT / RTT), and is kept between 2
/// and 4. The least RTT starts as 1 s and never rises. The limit stays between 1 and 10 times the initial limit. A drop
/// lowers it by a quarter.
///
/// After the Rust crate flow-guard 0.2.1, src/strategy/vegas.rs of 2025-12-27 (commit 9746c3a). Only the strategy is
/// modelled, not the crate's semaphore: the crate's callers wait where the callers here are rejected.
class rust_vegas final : public sample_limiter {
public:
    explicit rust_vegas(std::size_t initial_limit)
        : sample_limiter(static_cast<double>(initial_limit)), max_limit_(10 * limit_) {}

private:
    void learn(const sample& s) override {
        if (s.dropped) {
            limit_ = std::max(1.0, std::floor(limit_ * 3 / 4));
            return;
        }
        least_rtt_ = std::min(least_rtt_, s.rtt);
        if (least_rtt_ == duration{})
            return;
        const double queue = limit_ * (1 - in_seconds(least_rtt_) / in_seconds(s.rtt));
        if (queue > 4) // then the limit is above 4, too
            limit_ -= 1;
        else if (queue < 2 && limit_ < max_limit_)
            limit_ += 1;
    }

    double max_limit_;
    duration least_rtt_ = seconds(1);
};

} // namespace lab

#endif
