// aimd_strategy.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_AIMD_STRATEGY_HPP
#define FLOWGUARD_STRATEGIES_AIMD_STRATEGY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/control/options_of_part.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// Parameters of `aimd_strategy`. The one worth setting is `rtt_limit`.
struct aimd_options {
    std::size_t initial_limit = 20;  ///< requests, before any window; [min_limit, max_limit]
    std::size_t min_limit = 1;       ///< requests; [1, max_limit]
    std::size_t max_limit = 100'000; ///< requests; [1, flowguard::max_limit]

    double backoff_ratio = 0.9;   ///< factor for the limit after a window of overload; [0.5, 1)
    double drop_tolerance = 0.05; ///< share of drops that does not count as overload; [0, 1)

    /// A mean RTT above this is overload. Choose what callers still accept, below their time-out.
    duration rtt_limit = std::chrono::seconds{5}; ///< (0 s, 24 h]
};

/// Raises the limit step by step until the service drops requests or takes too long, then lowers it by a share.
///
///     drops > 5 %, or mean RTT > 5 s:              limit × 0.9
///     otherwise, while the limit binds:            limit + 1
///
/// This is additive increase, multiplicative decrease [1], as TCP Reno does it with a window of bytes, and Netflix's
/// AIMDLimit [2] with a limit. The limit *binds* if it was reached, and at least half of it was in flight on average.
/// If it does not bind, demand sets the concurrency, and the window is no argument for a higher limit.
///
/// Use it where overload shows in drops: for a service that rejects what it cannot do, or has a hard time-out. Clients
/// that share such a service reach equal limits, whatever they started from [1]. Varying RTTs do not mislead the
/// strategy, because it does not look at queues. That is also its weakness: if a service queues instead of rejecting,
/// the strategy fills that queue until the mean RTT exceeds `rtt_limit`. It never knows the capacity, so it exceeds the
/// capacity again and again, on purpose. It also grows slowly: from 20 to 400 takes 380 windows, and making up for a
/// cut of a tenth takes limit / 10 windows.
///
/// In Netflix's version
/// - one drop in a window is overload; here `drop_tolerance` spares a service that always fails a few requests;
/// - the RTTs of drops count in the mean;
/// - the limit grows if half of it was reached; here the limit must bind;
/// - the limit is rounded down at each step; here the fraction is kept;
/// - the limit is in [20, 200] by default.
///
/// [1] D.-M. Chiu, R. Jain: Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer
///     Networks. Computer Networks and ISDN Systems 17(1), 1989.
/// [2] AIMDLimit, https://github.com/Netflix/concurrency-limits, as of January 2026 (78a74b9).
///
/// *Use.* `flow_guard guard{aimd_strategy{10}};` or `aimd_strategy{aimd_options{.rtt_limit = 200ms}}`.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: unsafe.
class aimd_strategy {
public:
    aimd_strategy() : aimd_strategy(aimd_options{}) {}

    /// Uses the defaults, except for the initial limit.
    /// \throws std::invalid_argument unless it is in [1, 100'000]; the message has name, value and range.
    explicit aimd_strategy(std::size_t initial_limit) : aimd_strategy(aimd_options{.initial_limit = initial_limit}) {}

    /// \throws std::invalid_argument when an option is out of its range; the message has name, value and range.
    explicit aimd_strategy(aimd_options options)
        : options_(checked(options)), limit_(static_cast<double>(options.initial_limit)) {}

    /// The limit, in [min_limit, max_limit]. Complexity: O(1).
    std::size_t current_limit() const noexcept { return static_cast<std::size_t>(limit_); }

    /// The next limit. A window that has neither a success nor a drop changes nothing. Complexity: O(1).
    std::size_t update(const window& w) noexcept {
        if (is_overload(w))
            set_limit(limit_ * options_.backoff_ratio);
        else if (w.all.samples > 0 && detail::limit_binds(w))
            set_limit(limit_ + 1);
        return current_limit();
    }

    /// The strategy of one of `parts` parts of a split_guard: with these options, but with equal shares of the three
    /// limits, each at least 1. Throws std::invalid_argument unless `parts` is in [1, max_limit] and `index` in
    /// [0, parts - 1].
    aimd_strategy part(std::size_t index, std::size_t parts) const {
        const aimd_options o = detail::options_of_part(options_, index, parts, "aimd_options::max_limit");
        return aimd_strategy(o);
    }

private:
    bool is_overload(const window& w) const noexcept {
        return detail::drop_share(w) > options_.drop_tolerance ||
               (w.all.samples > 0 && w.all.mean > options_.rtt_limit);
    }

    void set_limit(double limit) noexcept {
        limit_ = std::clamp(limit, static_cast<double>(options_.min_limit), static_cast<double>(options_.max_limit));
    }

    static aimd_options checked(const aimd_options& o) {
        using std::chrono::hours;
        using seconds = std::chrono::duration<double>;
        detail::check_range("aimd_options::max_limit", o.max_limit, 1, flowguard::max_limit);
        detail::check_range("aimd_options::min_limit", o.min_limit, 1, o.max_limit);
        detail::check_range("aimd_options::initial_limit", o.initial_limit, o.min_limit, o.max_limit);
        detail::check_real("aimd_options::backoff_ratio", o.backoff_ratio, 0.5, 1, detail::ends::lower);
        detail::check_real("aimd_options::drop_tolerance", o.drop_tolerance, 0, 1, detail::ends::lower);
        detail::check_real("aimd_options::rtt_limit in seconds", seconds{o.rtt_limit}.count(), 0,
                           seconds{hours{24}}.count(), detail::ends::upper);
        return o;
    }

    aimd_options options_;
    double limit_; // not rounded: cuts of small limits stay in proportion
};

static_assert(limit_strategy<aimd_strategy>);

} // namespace flowguard

#endif
