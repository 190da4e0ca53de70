// envoy_gradient.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPPONENTS_ENVOY_GRADIENT_HPP
#define LAB_OPPONENTS_ENVOY_GRADIENT_HPP

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "../limiter.hpp"
#include "support/random_numbers.hpp"

namespace lab {

/// Every 100 ms: limit = limit * gradient + sqrt(limit * gradient). The gradient is 1.25 * min RTT / RTT, kept within
/// 0.5 and 2. Both RTTs are the same percentile. RTT is that of the last 100 ms. Min RTT is that of 50 requests at a
/// limit of 3. It is measured at the start, every min_rtt_interval (and up to 15 % more), and after five windows in a
/// row at a limit of 3.
///
/// After Envoy, source/extensions/filters/http/adaptive_concurrency/controller/gradient_controller.cc (commit
/// 0884a279), with its defaults. The interval and the 100 ms have no defaults in Envoy. There is no initial limit:
/// Envoy starts at 3. A time-out is a sample like any other, as Envoy's own 504 is. The percentile is exact here; Envoy
/// takes it from a histogram with two digits.
class envoy_gradient final : public sample_limiter {
public:
    /// `percentile` is in percent: 50 or 90.
    envoy_gradient(double percentile, duration min_rtt_interval, std::uint64_t seed)
        : sample_limiter(min_limit), percentile_(percentile), min_rtt_interval_(min_rtt_interval), random_(seed) {
        begin_measuring(virtual_clock::now());
    }

private:
    static constexpr double min_limit = 3;
    static constexpr double max_limit = 1000;

    void before_admission() override { advance(virtual_clock::now()); }

    void learn(const sample& s) override {
        const time_point now = virtual_clock::now();
        advance(now);
        if (now - s.rtt < measuring_since_) // admitted at a higher limit
            return;
        rtts_.push_back(s.rtt);
        if (limit_after_measuring_ && rtts_.size() >= 50)
            end_measuring(now);
    }

    /// Does what Envoy's timers would have done by now.
    void advance(time_point now) {
        while (!limit_after_measuring_ && std::min(window_end_, measure_at_) <= now) {
            if (measure_at_ <= window_end_) {
                begin_measuring(measure_at_);
            } else {
                close_window();
                window_end_ += window_length;
            }
        }
    }

    void begin_measuring(time_point now) {
        limit_after_measuring_ = limit_;
        limit_ = min_limit;
        windows_at_min_ = 0;
        rtts_.clear();
        measuring_since_ = now;
    }

    void end_measuring(time_point now) {
        min_rtt_ = take_percentile();
        limit_ = *limit_after_measuring_;
        limit_after_measuring_.reset();
        const double longest_jitter = std::ceil(0.15 * in_seconds(min_rtt_interval_) * 1e3);
        measure_at_ = now + min_rtt_interval_ +
                      std::chrono::milliseconds(random_.below(static_cast<std::size_t>(longest_jitter)));
        window_end_ = now + window_length;
    }

    void close_window() {
        if (rtts_.empty())
            return;
        const double gradient = std::clamp(1.25 * in_seconds(min_rtt_) / in_seconds(take_percentile()), 0.5, 2.0);
        const double scaled = limit_ * gradient;
        const double next = std::clamp(std::floor(scaled + std::sqrt(scaled)), min_limit, max_limit);
        windows_at_min_ = limit_ == min_limit && next == min_limit ? windows_at_min_ + 1 : 0;
        limit_ = next;
        if (windows_at_min_ >= 5)
            measure_at_ = window_end_;
    }

    duration take_percentile() {
        const double rank = std::ceil(percentile_ / 100 * static_cast<double>(rtts_.size()));
        const auto at = rtts_.begin() + static_cast<std::ptrdiff_t>(std::max(1.0, rank)) - 1;
        std::nth_element(rtts_.begin(), at, rtts_.end());
        const auto rtt = std::chrono::floor<std::chrono::microseconds>(*at);
        rtts_.clear();
        return std::max(rtt, std::chrono::microseconds(1)); // Envoy asserts that it is not 0
    }

    static constexpr duration window_length = std::chrono::milliseconds(100);

    double percentile_;
    duration min_rtt_interval_;
    support::random_numbers random_;
    duration min_rtt_{};
    std::vector<duration> rtts_;
    std::optional<double> limit_after_measuring_; // set while the min RTT is measured
    time_point measuring_since_;
    time_point measure_at_;
    time_point window_end_;
    int windows_at_min_ = 0;
};

} // namespace lab

#endif
