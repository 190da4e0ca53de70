// stats_sum.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_REGISTRY_STATS_SUM_HPP
#define FLOWGUARD_DETAIL_REGISTRY_STATS_SUM_HPP

#include <cstddef>

#include "flowguard/guard_stats.hpp"

namespace flowguard::detail {

// Adds what a guard has counted since it was made.
inline void add_counters(guard_stats& sum, const guard_stats& s) noexcept {
    sum.admitted += s.admitted;
    sum.succeeded += s.succeeded;
    sum.ignored += s.ignored;
    sum.dropped += s.dropped;
    sum.shed += s.shed;
    sum.shed_at_once += s.shed_at_once;
    sum.shed_from_full += s.shed_from_full;
    sum.shed_as_overdue += s.shed_as_overdue;
    sum.timed_out += s.timed_out;
    sum.cancelled += s.cancelled;
    sum.closed += s.closed;
    sum.bypassed += s.bypassed;
    sum.long_lived_admitted += s.long_lived_admitted;
    sum.windows += s.windows;
}

// Adds what a guard has now, as far as that adds up: times do not.
inline void add_gauges(guard_stats& sum, const guard_stats& s) noexcept {
    sum.limit += s.limit;
    sum.pinned = sum.pinned || s.pinned;
    sum.available_permits += s.available_permits;
    sum.in_flight += s.in_flight;
    sum.waiting += s.waiting;
    for (std::size_t i = 0; i < s.waiting_by_priority.size(); ++i)
        sum.waiting_by_priority[i] += s.waiting_by_priority[i];
    sum.long_lived += s.long_lived;
}

} // namespace flowguard::detail

#endif
