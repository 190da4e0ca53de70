// guard_options.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_GUARD_OPTIONS_HPP
#define FLOWGUARD_GUARD_OPTIONS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/refusal.hpp"
#include "flowguard/wait_order.hpp"

namespace flowguard {

/// The options of a flow_guard, besides its strategy.
struct guard_options {
    /// The size of a window, in calls, where the strategy leaves it to the guard. The window is at most 10 × the limit
    /// even if this is more, and at least 1.5 × the limit even if this is less. In [1, max_limit].
    std::size_t min_window = 100;

    /// How many callers may wait for a permit. A call beyond that is rejected with `error::shed` before it enters the
    /// queue, unless it may evict another waiter: one of lower priority, of a partition that is further beyond its
    /// share, or of a lane that stands (see wait_order). At most 64 such calls are on their way at a time. With 0, no
    /// caller waits. By default, any number may wait.
    std::size_t max_waiters = std::numeric_limits<std::size_t>::max();

    /// How long a caller may wait for a permit. Then its call ends with `error::wait_timeout`. At least 0. By default,
    /// a caller waits for any time.
    duration max_wait = duration::max();

    wait_order order = wait_order::fifo;
    duration target = std::chrono::milliseconds(5);     ///< for wait_order::adaptive; at least 0
    duration interval = std::chrono::milliseconds(100); ///< for wait_order::adaptive; at least 0

    /// The guard serves waiters of higher priority first: see run_options::priority. A waiter counts as one priority
    /// higher for each `ageing` that it has waited, so that no priority is starved for ever. At least 1 ns. By default,
    /// waiters do not age.
    duration ageing = duration::max();

    /// The share of the limit that each partition of the calls has: see run_options::partition. Each share in [0, 1],
    /// their sum at most 1; at most 16 partitions. By default, there is one partition, which has the whole limit.
    ///
    /// A partition may use what the others leave. If callers of a partition wait that has less in flight than its
    /// share, they are served before those of partitions that have more: so a borrowed permit is back within an RTT. A
    /// partition whose share is 0 is served while no other waits. Shares come before priorities.
    std::vector<double> partitions{};

    /// How many of the latest decisions on the limit flow_guard::trace() returns. Each takes 96 bytes. In
    /// [0, 1'000'000].
    std::size_t trace = 256;

    /// Observers. An observer is called by the thread that caused the event, in the middle of its work. So keep it
    /// short: a slow observer delays that thread, and no other caller. What it throws is discarded. It may use the
    /// guard, and may destroy it. But if on_refusal makes a call that is rejected, it is called again from inside,
    /// without end.
    ///
    /// Observers are destroyed with the guard. If another thread is inside one at that moment, that thread destroys it
    /// when it returns. No call of an observer begins after the guard is destroyed.
    ///
    /// Called after a decision on the limit, when the limit has been set. One call at a time.
    std::function<void(const limit_decision&)> on_decision{};
    /// Called after each call that is not admitted, when its caller has been told. For try_run() and try_acquire(), it
    /// is called before they return. Several threads may call it at a time.
    std::function<void(refusal)> on_refusal{};
};

/// What flow_guard::stats() returns. Every call is counted, but the values are not all of the same instant.
struct guard_stats {
    std::size_t limit = 0;
    const char* limit_reason = ""; ///< why the limit is that, as in limit_decision; a text that lives for ever
    std::size_t available_permits = 0;
    std::size_t in_flight = 0;
    std::size_t waiting = 0;
    std::array<std::size_t, 4> waiting_by_class{}; ///< by the value of their priority

    // Since the guard was made. Every call ends up as admitted, shed, timed out, cancelled, closed, or bypassed, unless
    // it is destroyed with its context.
    /// Calls that got a permit: the next three, and those in flight. Never less than an earlier value. It may count too
    /// many: calls that were just ending, one for each thread, and calls that got a permit after their deadline.
    std::uint64_t admitted = 0;
    std::uint64_t succeeded = 0; ///< tasks that ended with outcome::success
    std::uint64_t ignored = 0; ///< … with outcome::ignored
    std::uint64_t dropped = 0; ///< … with outcome::dropped
    std::uint64_t shed = 0; ///< calls rejected for want of a permit, the sum of the next three
    std::uint64_t shed_at_once = 0; ///< … that never wait: try_run(), try_acquire()
    std::uint64_t shed_from_full = 0; ///< … because guard_options::max_waiters callers waited
    std::uint64_t shed_as_overdue = 0; ///< … that waited too long in a queue that stands; see wait_order
    std::uint64_t timed_out = 0; ///< calls that waited for max_wait, or whose deadline passed
    std::uint64_t cancelled = 0; ///< calls that were cancelled while they waited
    std::uint64_t closed = 0; ///< calls that waited when the guard was closed, or were made later
    std::uint64_t bypassed = 0; ///< calls that ran without a permit, by run_options::bypass
    std::uint64_t windows = 0; ///< updates of the strategy

    // Of the last window that was closed; all 0 before.
    duration rtt_mean{};
    duration rtt_p50{}; ///< within 7 %, as is rtt_p99
    duration rtt_p99{};
    duration baseline_rtt{}; ///< the RTT without queueing, for a strategy that has a `baseline()`
};

} // namespace flowguard

#endif
