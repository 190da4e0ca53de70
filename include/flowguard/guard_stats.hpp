// guard_stats.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_GUARD_STATS_HPP
#define FLOWGUARD_GUARD_STATS_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/time_histogram.hpp"

namespace flowguard {

/// What flow_guard::stats() returns. Every call is counted, but the values are not all of the same instant.
struct guard_stats {
    std::size_t limit = 0;
    duration spacing{}; ///< of admissions, if the limit is below one: see plan::spacing; 0: none
    const char* limit_reason = ""; ///< why the limit is that, as in limit_decision; a string that is never destroyed
    bool pinned = false; ///< an operator has pinned the limit: see flow_guard::pin_limit()
    std::size_t min_limit = 1; ///< with max_limit, the bounds of the limit: see flow_guard::set_limit_bounds()
    std::size_t max_limit = flowguard::max_limit;
    std::size_t available_permits = 0;
    std::size_t in_flight = 0; ///< permits that are held: one for each call, or more; see run_options::permits
    std::size_t waiting = 0; ///< calls
    std::array<std::size_t, priority_count> waiting_by_priority{}; ///< by the value of their priority
    std::size_t long_lived = 0; ///< long-lived tasks that run, by run_options::long_lived; not in in_flight

    // Counts since the guard was made. Every call ends up as admitted, admitted as long-lived, shed, timed out,
    // cancelled, closed, or bypassed, unless it is destroyed with its context.
    /// Calls that got their permits: the sum of the next three and the calls in flight. It never decreases. It may
    /// count too many: calls that were just ending, one for each thread, and calls that got a permit after their
    /// deadline, if it was read before they could return it.
    std::uint64_t admitted = 0;
    std::uint64_t succeeded = 0; ///< tasks that ended with outcome::success
    std::uint64_t ignored = 0; ///< tasks that ended with outcome::ignored
    std::uint64_t dropped = 0; ///< tasks that ended with outcome::dropped
    std::uint64_t task_timeouts = 0; ///< tasks that took longer than their time-out; they are in `dropped`, too
    std::uint64_t shed = 0; ///< calls rejected for lack of a permit, the sum of the next three
    std::uint64_t shed_at_once = 0; ///< calls that never wait: try_run(), try_acquire(), and long-lived calls
    std::uint64_t shed_from_full = 0; ///< calls shed because guard_options::max_waiters callers waited
    std::uint64_t shed_as_overdue = 0; ///< calls that waited too long in a lane that stands; see wait_order
    std::uint64_t timed_out = 0; ///< calls that waited for max_wait, or whose deadline passed
    std::uint64_t cancelled = 0; ///< calls that were cancelled while they waited
    std::uint64_t closed = 0; ///< calls that waited when the guard was closed, or that were made later
    std::size_t partitions = 1; ///< how many there are
    /// The rejected calls by their partition, and by the value of their rejection. If the guard has one partition, the
    /// calls are in the first.
    std::array<std::array<std::uint64_t, rejection_count>, max_partitions> rejected_by_partition{};
    std::uint64_t bypassed = 0; ///< calls that ran without a permit, by run_options::bypass
    std::uint64_t long_lived_admitted = 0; ///< calls that ran beside the limit, by run_options::long_lived
    std::uint64_t windows = 0; ///< updates of the strategy

    // Histograms since the guard was made, which add up over guards and instances.
    /// The waits of calls that got a permit in the end, by the value of their priority: from when they entered the
    /// queue until their tasks could start. Calls that found a permit free are not in it: they are the rest of
    /// `admitted`.
    std::array<time_histogram, priority_count> waits_by_priority{};
    /// The RTTs of all tasks that ended with outcome::success, except the long-lived ones. An RTT is counted when its
    /// window is closed, or, if the task is in no window or its window did not wait for it, when the task ends. RTTs
    /// within 7 % of a bucket's bound may be in the next bucket.
    time_histogram rtts;

    // Values of the last window that was closed; all 0 before that.
    duration rtt_mean{};
    duration rtt_p50{}; ///< within 7 %, as is rtt_p99
    duration rtt_p99{};
    duration baseline_rtt{}; ///< the RTT without queueing, for a strategy that has a `baseline()`
};

} // namespace flowguard

#endif
