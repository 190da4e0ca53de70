// brpc_auto.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPPONENTS_BRPC_AUTO_HPP
#define LAB_OPPONENTS_BRPC_AUTO_HPP

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "../limiter.hpp"
#include "support/random_numbers.hpp"

namespace lab {

/// Little's law: limit = most successes a second * least mean latency * (1 + explore ratio). The ratio is 6 to 30 %. It
/// grows while the latency is near its least or throughput is below its most, and shrinks otherwise. A window lasts at
/// most 1 s and has 100 to 200 samples, at most one in 0.1 ms. A window with fewer samples is discarded. Every 25 to 50
/// s, the limit falls to 90 % of the formula without the ratio, for two latencies; then the least latency is measured
/// anew.
///
/// After Apache brpc, src/brpc/policy/auto_concurrency_limiter.cpp of 2026-08-18 (commit 3366074f), with the defaults
/// of its gflags. The least limit, 9, is the default of bthread_concurrency. A time-out is an error in brpc: it adds
/// its time to the latency of the successes. A window of nothing but errors halves the limit.
class brpc_auto final : public sample_limiter {
public:
    brpc_auto(std::size_t initial_limit, std::uint64_t seed)
        : sample_limiter(static_cast<double>(initial_limit)), random_(seed) {
        remeasure_after(virtual_clock::now());
    }

private:
    struct window {
        time_point start;
        int successes = 0;
        int failures = 0;
        double latency = 0; // the sum over all samples
    };

    void learn(const sample& s) override {
        if (!s.dropped)
            ++successes_;
        const time_point now = virtual_clock::now();
        if (sampled_at_ && now - *sampled_at_ < std::chrono::microseconds(100))
            return;
        sampled_at_ = now;
        add(s, now);
    }

    void add(const sample& s, time_point now) {
        if (measure_at_) {
            if (now < *measure_at_)
                return;
            measure_at_.reset();
            min_latency_ = 0;
            remeasure_after(now);
            start_window(now);
        }
        if (!window_)
            window_ = window{now};

        ++(s.dropped ? window_->failures : window_->successes);
        window_->latency += std::floor(microseconds(s.rtt));

        const int samples = window_->successes + window_->failures;
        const bool over = now - window_->start >= std::chrono::seconds(1);
        if (samples < 100 ? !over : !over && samples < 200)
            return;
        if (samples >= 100)
            update(now);
        start_window(now);
    }

    void update(time_point now) {
        if (window_->successes == 0) {
            set_limit(std::floor(limit_ / 2));
            return;
        }
        const double latency = std::ceil(window_->latency / window_->successes);
        const double rate = static_cast<double>(successes_) / microseconds(now - window_->start);
        if (min_latency_ <= 0)
            min_latency_ = latency;
        else if (latency < min_latency_)
            min_latency_ = std::floor(0.1 * latency + 0.9 * min_latency_);
        max_rate_ = rate >= max_rate_ ? rate : 0.01 * rate + 0.99 * max_rate_;

        const double unloaded = max_rate_ * min_latency_;
        if (remeasure_at_ <= now) {
            measure_at_ = now + std::chrono::microseconds(static_cast<std::int64_t>(2 * latency));
            set_limit(std::ceil(0.9 * unloaded));
            return;
        }
        if (latency <= min_latency_ * 1.06 || rate <= max_rate_ / 1.06)
            explore_ratio_ = std::min(0.3, explore_ratio_ + 0.02);
        else
            explore_ratio_ = std::max(0.06, explore_ratio_ - 0.02);
        set_limit(std::floor(unloaded * (1 + explore_ratio_)));
    }

    void start_window(time_point now) {
        successes_ = 0;
        window_ = window{now};
    }

    void remeasure_after(time_point now) {
        remeasure_at_ = now + std::chrono::milliseconds(25'000 + random_.below(25'000));
    }

    void set_limit(double limit) { limit_ = std::max(9.0, limit); }

    static double microseconds(duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

    support::random_numbers random_;
    std::size_t successes_ = 0; // in the window, including those that are not sampled
    std::optional<time_point> sampled_at_;
    std::optional<window> window_;
    double min_latency_ = 0; // in microseconds, as all latencies here; 0: none yet
    double max_rate_ = 0; // in successes a microsecond
    double explore_ratio_ = 0.3;
    time_point remeasure_at_;
    std::optional<time_point> measure_at_; // set while the queue drains before a measurement
};

} // namespace lab

#endif
