// standing_scale.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_STANDING_SCALE_HPP
#define FLOWGUARD_DETAIL_CONTROL_STANDING_SCALE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// Finds the times of wait_order::adaptive from what is known of the guarded service, for options that leave them to the
// guard:
//
//     target = RTT / 2 + 2 · turnover, at least 5 ms
//     interval = 10 · RTT, at least 100 ms
//
// The *turnover* is the mean time between two admissions while callers wait. The first part of the target is a wait
// that does no harm to a caller that also waits for one RTT. The second part keeps a small limit busy: if a permit
// comes back once a second, and all waiters older than half a second were shed, the permit would often find no waiter.
//
// The least times are for short tasks. The threads of a program stall for some milliseconds now and then, and hardly a
// caller's time-out is shorter than ten. The least times are also what a guard begins with, when no RTT is known.
class standing_scale {
public:
    // What is known of the service. Unknown times are 0.
    struct facts {
        duration baseline{}; // the RTT without queueing, by the strategy
        duration mean_rtt{}; // measured
        std::size_t limit = 1;
        duration spacing{}; // of a limit below one
    };

    // Options that are given are used as they are.
    standing_scale(std::optional<duration> target, std::optional<duration> interval) noexcept
        : target_(target), interval_(interval) {}

    // Whether the times depend on the facts.
    bool adjusts() const noexcept { return !target_ || !interval_; }

    // The RTT is the baseline, so that a queue in the service does not lengthen the one in front of it. A baseline
    // above the measured mean is out of date.
    standing_times times(const facts& f) const noexcept {
        const duration mean = within_reach(f.mean_rtt);
        const duration spacing = within_reach(f.spacing);
        const duration baseline = within_reach(f.baseline);
        const duration rtt = (std::max)(baseline > duration{} ? (std::min)(baseline, mean) : mean, spacing);
        const duration turnover =
            (std::max)(mean / static_cast<duration::rep>(std::clamp<std::size_t>(f.limit, 1, max_limit)), spacing);
        return {.target = target_.value_or((std::max)(rtt / 2 + 2 * turnover, least.target)),
                .interval = interval_.value_or((std::max)(10 * rtt, least.interval))};
    }

    static constexpr standing_times least{.target = std::chrono::milliseconds(5),
                                          .interval = std::chrono::milliseconds(100)};

private:
    // A clock that was set may have made any time of it.
    static constexpr duration within_reach(duration time) noexcept {
        return std::clamp<duration>(time, duration{}, std::chrono::hours(1));
    }

    const std::optional<duration> target_;
    const std::optional<duration> interval_;
};

} // namespace flowguard::detail

#endif
