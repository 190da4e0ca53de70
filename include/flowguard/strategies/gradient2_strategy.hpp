// gradient2_strategy.hpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_GRADIENT2_STRATEGY_HPP
#define FLOWGUARD_STRATEGIES_GRADIENT2_STRATEGY_HPP

#include <algorithm>
#include <cstddef>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/share.hpp"
#include "flowguard/detail/control/options_of_part.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// Parameters of `gradient2_strategy`. The defaults are Netflix's, except for `min_limit`, which is 20 there. The one
/// worth setting is `max_limit`.
struct gradient2_options {
    std::size_t initial_limit = 20; ///< requests, before any window; [min_limit, max_limit]
    std::size_t min_limit = 1;      ///< requests; [1, max_limit]
    std::size_t max_limit = 200;    ///< requests; [1, flowguard::max_limit]

    std::size_t queue_size = 4;    ///< requests that may queue; [1, flowguard::max_limit]
    double rtt_tolerance = 1.5;    ///< up to so many times the long RTT counts as no queueing; [1, 1000]
    double smoothing = 0.2;        ///< share of the way to the new limit that one window goes; (0, 1]
    std::size_t long_window = 600; ///< windows, of some 100 requests, that the long RTT averages over; [1, 1'000'000]
};

/// Lowers the limit when RTTs are longer than their long-term average.
///
///     short = mean RTT of the window
///     long  = mean of the first 10 windows' short, then long + (short − long) · 2 / 601
///     gradient = 1.5 · long / short                   within [0.5, 1]
///     limit += 0.2 · (limit · gradient + 4 − limit)   unless less than half of it was in flight
///     long > 2 · short:  long × 0.95                  forgets a long overload sooner
///
/// This is Netflix's Gradient2Limit [1]. It is simple, and never disturbs the service to measure it. Use it where
/// overload comes in spikes, and demand is otherwise below the limit; else prefer `vegas_strategy`. Its weaknesses:
///
/// - The long RTT is no baseline: it learns the queue as well. In an overload of hundreds of windows the queue becomes
///   part of it, and the limit creeps up until `max_limit` stops it: with 40 workers that are always saturated, it
///   would be above 300 after 1000 windows. In [1] a window is a second; here it is a cohort, and 600 of them may be
///   over in seconds. So a busy service needs a larger `long_window`.
/// - Up to 1.5 × the long RTT counts as no queue at all, and the limit then grows by 0.8 per window.
/// - Because a gradient is at least 0.5, the limit does not settle below 2 · queue_size, which is 8 by default.
/// - Drops do not lower the limit. As in [1] they count with the time that they took, so time-outs lengthen the short
///   RTT. If requests are rejected but nothing is slow, the limit grows.
///
/// Differences from [1]:
/// - A drop counts with no less than the mean RTT of the successes, because a prompt rejection does not make a service
///   fast. If nothing succeeded, the time of the drops counts only if it is longer than the long RTT, and is not
///   learned.
/// - The limit grows only if it was reached. If it was not, demand sets the concurrency, and the window is no argument
///   for a higher limit.
/// - "In flight" is the mean over the window, not the highest value.
///
/// [1] Gradient2Limit, https://github.com/Netflix/concurrency-limits, as of January 2026 (78a74b9).
///
/// *Use.* `flow_guard guard{gradient2_strategy{10}};` or `gradient2_strategy{gradient2_options{.max_limit = 500}}`.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: unsafe.
class gradient2_strategy {
public:
    gradient2_strategy() : gradient2_strategy(gradient2_options{}) {}

    /// Uses the defaults, except for the initial limit.
    /// \throws std::invalid_argument unless it is in [1, 200]; the message has name, value and range.
    explicit gradient2_strategy(std::size_t initial_limit)
        : gradient2_strategy(gradient2_options{.initial_limit = initial_limit}) {}

    /// \throws std::invalid_argument when an option is out of its range; the message has name, value and range.
    explicit gradient2_strategy(gradient2_options options)
        : options_(checked(options)), limit_(static_cast<double>(options.initial_limit)) {}

    /// The limit, in [min_limit, max_limit]. Complexity: O(1).
    std::size_t current_limit() const noexcept { return static_cast<std::size_t>(limit_); }

    /// The long RTT; 0 before any success. Complexity: O(1).
    duration long_rtt() const noexcept { return duration{static_cast<duration::rep>((std::min)(long_rtt_, 9e18))}; }

    /// The next limit. A window that has neither a success nor a drop changes nothing. Complexity: O(1).
    std::size_t update(const window& w) noexcept {
        const double short_rtt = short_rtt_of(w);
        if (w.all.samples > 0)
            learn(short_rtt);
        else if (windows_ == 0 || short_rtt <= long_rtt_)
            return current_limit();
        adjust(w, gradient_at(short_rtt));
        return current_limit();
    }

    /// The strategy of one of `parts` parts of a split_guard: with these options, but with equal shares of the three
    /// limits and of `queue_size`, each at least 1. Throws std::invalid_argument unless `parts` is in [1, max_limit]
    /// and `index` in [0, parts - 1].
    gradient2_strategy part(std::size_t index, std::size_t parts) const {
        gradient2_options o = detail::options_of_part(options_, index, parts, "gradient2_options::max_limit");
        o.queue_size = detail::positive_share_of(o.queue_size, index, parts);
        return gradient2_strategy(o);
    }

private:
    static double short_rtt_of(const window& w) noexcept {
        const double succeeded = w.all.samples > 0 ? detail::nanoseconds(w.all.mean) : 0;
        const double dropped = w.dropped > 0 ? detail::nanoseconds(w.dropped_mean_rtt) : 0;
        return succeeded + detail::drop_share(w) * (std::max)(0.0, dropped - succeeded);
    }

    void learn(double rtt) noexcept {
        if (windows_ < warm_up) {
            ++windows_;
            sum_ += rtt;
            long_rtt_ = sum_ / static_cast<double>(windows_);
        } else
            long_rtt_ += (rtt - long_rtt_) * (2 / (static_cast<double>(options_.long_window) + 1));
        if (long_rtt_ > 2 * rtt) // the gradient is 1 either way
            long_rtt_ *= 0.95;
    }

    double gradient_at(double rtt) const noexcept {
        return rtt > 0 ? std::clamp(options_.rtt_tolerance * long_rtt_ / rtt, 0.5, 1.0) : 1;
    }

    void adjust(const window& w, double gradient) noexcept {
        const double wanted = limit_ * gradient + static_cast<double>(options_.queue_size);
        if (!detail::half_used(w) || (wanted > limit_ && !detail::limit_binds(w)))
            return;
        limit_ = std::clamp(limit_ + options_.smoothing * (wanted - limit_), static_cast<double>(options_.min_limit),
                            static_cast<double>(options_.max_limit));
    }

    static gradient2_options checked(const gradient2_options& o) {
        detail::check_range("gradient2_options::max_limit", o.max_limit, 1, flowguard::max_limit);
        detail::check_range("gradient2_options::min_limit", o.min_limit, 1, o.max_limit);
        detail::check_range("gradient2_options::initial_limit", o.initial_limit, o.min_limit, o.max_limit);
        detail::check_range("gradient2_options::queue_size", o.queue_size, 1, flowguard::max_limit);
        detail::check_real("gradient2_options::rtt_tolerance", o.rtt_tolerance, 1, 1000);
        detail::check_real("gradient2_options::smoothing", o.smoothing, 0, 1, detail::ends::upper);
        detail::check_range("gradient2_options::long_window", o.long_window, 1, 1'000'000);
        return o;
    }

    static constexpr std::size_t warm_up = 10; // windows

    gradient2_options options_;
    double limit_; // not rounded, so that small steps add up
    double long_rtt_ = 0; // nanoseconds
    double sum_ = 0; // of the short RTTs during warm-up, nanoseconds
    std::size_t windows_ = 0; // that were learned from; stops at warm_up
};

static_assert(limit_strategy<gradient2_strategy>);

} // namespace flowguard

#endif
