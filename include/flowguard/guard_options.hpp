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

/// What a flow_guard can be told, besides its strategy.
struct guard_options {
    /// The size of a window, in requests, where the strategy leaves it to the guard. It is less when
    /// 10 × the limit is, and more when 1.5 × the limit is. In [1, max_limit].
    std::size_t min_window = 100;

    /// How many callers may wait for a permit. A call beyond that is refused with `error::shed` before it enters the
    /// queue, unless it may evict another waiter: one of a lower class, of a partition that is further beyond its share,
    /// or of a lane that stands; of such calls at most 64 more are on their way. With 0 no caller waits. By default,
    /// any number.
    std::size_t max_waiters = std::numeric_limits<std::size_t>::max();

    /// How long a caller may wait for a permit; then it gets `error::wait_timeout`. At least 0. By default,
    /// for any time.
    duration max_wait = duration::max();

    wait_order order = wait_order::fifo;
    duration target = std::chrono::milliseconds(5);     ///< for wait_order::adaptive; at least 0
    duration interval = std::chrono::milliseconds(100); ///< for wait_order::adaptive; at least 0

    /// Of those who wait, the higher class is served first: see run_options::priority. A caller counts as one class
    /// higher for each `ageing` that it has waited, so that no class is starved for ever. At least 1 ns. By
    /// default, never.
    duration ageing = duration::max();

    /// Shares of the limit that are kept for each partition of the calls: see run_options::partition. Each in [0, 1],
    /// the sum at most 1; at most 16 of them. By default, there is one partition, which has it all.
    ///
    /// A partition may use what others leave. When one that has less in flight than its share comes to wait, it is
    /// served before all that have more, so that what was borrowed is back within an RTT. One whose share is 0 is
    /// served when no other waits. Between partitions, shares come before priorities.
    std::vector<double> partitions{};

    /// How many of the latest decisions on the limit flow_guard::trace() tells, at 96 bytes each; in [0, 1'000'000].
    std::size_t trace = 256;

    /// Observers. An observer is called by the thread that made the thing happen, in the middle of its own work, so it
    /// should be quick: a slow one delays that thread, and no other caller. What it throws is discarded. It may use the
    /// guard, and may destroy it; but a call from inside on_refusal that is refused again calls it again, without end.
    ///
    /// Observers are destroyed with the guard, or, if another thread is in one at that moment, when that thread is
    /// through. No call begins afterwards. Empty observers are not called.
    ///
    /// After a decision on the limit, when the limit has been set. One at a time.
    std::function<void(const limit_decision&)> on_decision{};
    /// After each call that is not admitted, when its caller has been told; for try_run() and try_acquire(), before
    /// they return. Several at a time.
    std::function<void(refusal)> on_refusal{};
};

/// What flow_guard::stats() tells. No call is lost, but the values are not all of the same instant.
struct guard_stats {
    std::size_t limit = 0;
    const char* limit_reason = ""; ///< why it is that: of the latest limit_decision; a text that lives for ever
    std::size_t available_permits = 0;
    std::size_t in_flight = 0;
    std::size_t waiting = 0;
    std::array<std::size_t, 4> waiting_by_class{}; ///< by the value of their priority

    // Since the guard was made. Every call comes to be admitted, shed, timed out, cancelled, closed, or bypassed,
    // unless it is destroyed with its context.
    /// Calls that got a permit: the next three, and what is in flight. Never less than an earlier value. It may be
    /// ahead by calls that were just ending as it was read, one for each thread, or got a permit after their deadline.
    std::uint64_t admitted = 0;
    std::uint64_t succeeded = 0; ///< tasks that ended with outcome::success
    std::uint64_t ignored = 0; ///< … with outcome::ignored
    std::uint64_t dropped = 0; ///< … with outcome::dropped
    std::uint64_t shed = 0; ///< calls refused for want of a permit, the sum of the next three
    std::uint64_t shed_at_once = 0; ///< … that would not wait: try_run(), try_acquire()
    std::uint64_t shed_from_full = 0; ///< … of more than guard_options::max_waiters
    std::uint64_t shed_as_overdue = 0; ///< … that waited for too long in a queue that stands
    std::uint64_t timed_out = 0; ///< calls that waited for too long, or whose deadline had passed
    std::uint64_t cancelled = 0; ///< calls that were cancelled while they waited
    std::uint64_t closed = 0; ///< calls that waited when the guard was closed, or came later
    std::uint64_t bypassed = 0; ///< calls that had no permit, by run_options::bypass
    std::uint64_t windows = 0; ///< updates of the strategy

    // Of the last window that was closed; all 0 before.
    duration rtt_mean{};
    duration rtt_p50{}; ///< within 7 %, as is rtt_p99
    duration rtt_p99{};
    duration baseline_rtt{}; ///< the RTT without queueing, for a strategy that has a `baseline()`
};

} // namespace flowguard

#endif
