// stats_sum.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_STATS_SUM_HPP
#define FLOWGUARD_DETAIL_CONTROL_STATS_SUM_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/time_histogram.hpp"

namespace flowguard::detail {

// The sum of times may wrap around to 0, as that of a guard does: see time_histogram::sum.
inline void add_times(time_histogram& sum, const time_histogram& times) noexcept {
    for (std::size_t i = 0; i < sum.counts.size(); ++i)
        sum.counts[i] += times.counts[i];
    const std::uint64_t added =
        static_cast<std::uint64_t>(sum.sum.count()) + static_cast<std::uint64_t>(times.sum.count());
    sum.sum = duration{static_cast<std::int64_t>(added & (std::numeric_limits<std::int64_t>::max)())};
}

// Adds what a guard has counted since it was made.
inline void add_counters(guard_stats& sum, const guard_stats& s) noexcept {
    sum.admitted += s.admitted;
    sum.succeeded += s.succeeded;
    sum.ignored += s.ignored;
    sum.dropped += s.dropped;
    sum.task_timeouts += s.task_timeouts;
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
    sum.partitions = (std::max)(sum.partitions, s.partitions);
    for (std::size_t p = 0; p < s.partitions; ++p)
        for (std::size_t i = 0; i < rejection_count; ++i)
            sum.rejected_by_partition[p][i] += s.rejected_by_partition[p][i];
    for (std::size_t i = 0; i < s.waits_by_priority.size(); ++i)
        add_times(sum.waits_by_priority[i], s.waits_by_priority[i]);
    add_times(sum.rtts, s.rtts);
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
