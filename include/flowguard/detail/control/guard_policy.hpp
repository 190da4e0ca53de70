// guard_policy.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_GUARD_POLICY_HPP
#define FLOWGUARD_DETAIL_CONTROL_GUARD_POLICY_HPP

#include <chrono>
#include <vector>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/control/standing_scale.hpp"
#include "flowguard/detail/queue/waiting_lanes.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

inline std::vector<double> checked_shares(std::vector<double> shares) {
    if (!shares.empty())
        check_range("the number of guard_options::partitions", shares.size(), 1, max_partitions);
    double sum = 0;
    for (const double share : shares)
        sum += check_real("a share in guard_options::partitions", share, 0, 1);
    if (sum > 1 + 1e-9) // shares such as 0.7, 0.2 and 0.1 need not add up to just 1
        check_real("the sum of guard_options::partitions", sum, 0, 1);
    return shares;
}

inline standing_scale standing_scale_of(const guard_options& o) {
    if (o.target)
        check_least("guard_options::target", *o.target, 0);
    if (o.interval)
        check_least("guard_options::interval", *o.interval, 0);
    return {o.target, o.interval};
}

// The part of a guard's options that concerns its queue. `now` reads the clock by which waits are measured. Throws
// std::invalid_argument for an option that is out of range.
inline wait_policy wait_policy_of(const guard_options& o, std::chrono::nanoseconds (*now)() noexcept) {
    const standing_scale scale = standing_scale_of(o);
    return {.max_waiters = o.max_waiters,
            .order = o.order,
            .times = scale.times({}),
            .adjusts_times = scale.adjusts(),
            .runs_alone = true,
            .ageing = check_least("guard_options::ageing", o.ageing, 1),
            .shares = checked_shares(o.partitions),
            .now = now,
            .on_rejection = o.on_rejection};
}

} // namespace flowguard::detail

#endif
