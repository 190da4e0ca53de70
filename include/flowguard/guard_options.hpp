// guard_options.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_GUARD_OPTIONS_HPP
#define FLOWGUARD_GUARD_OPTIONS_HPP

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "flowguard/limit_decision.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/wait_order.hpp"

namespace flowguard {

/// The options of a flow_guard, besides its strategy.
struct guard_options {
    /// The size of a window, in calls, if the strategy leaves it to the guard: the default strategy has an option of
    /// its own, vegas_options::min_window. The window is at most 10 × the limit even if this is more, and at least 1.5
    /// × the limit even if this is less. In [1, max_limit].
    std::size_t min_window = 100;

    /// How many callers may wait for a permit. A call beyond that is rejected with `error::shed` before it enters the
    /// queue, unless another waiter may be evicted for it: one of lower priority, one of a partition that is further
    /// beyond its share, or, with wait_order::adaptive, one of a lane that stands. At most 64 calls at a time are on
    /// their way into a full queue. With 0, no caller waits. By default, there is no bound: the order keeps the queue
    /// short in an overload.
    std::size_t max_waiters = (std::numeric_limits<std::size_t>::max)();

    /// How long a caller may wait for a permit. Then its call ends with `error::wait_timeout`. At least 0. By default,
    /// there is no bound, but the order sheds callers that have waited too long in an overload.
    duration max_wait = (duration::max)();

    /// How long a task may take, from its admission, unless run_options::timeout says otherwise. After that time the
    /// task is cancelled, its call then ends with `error::task_timeout`, and it counts as dropped: see flow_guard. At
    /// least 1 ns. By default, there is no time-out.
    ///
    /// Take the time for which callers wait for an answer. An answer that comes later is useless work, and a guard
    /// without this option does not know it, so it does not lower its limit.
    ///
    /// A task with a time-out must not start an operation that can be cancelled while it runs on another executor than
    /// its own: see flow_guard.
    duration timeout = (duration::max)();

    /// In which order waiters of the same priority and partition are served. By default, an overload is shed, while a
    /// burst waits. A caller that must not be shed, however long it waits, needs wait_order::fifo: see for_batch().
    wait_order order = wait_order::adaptive;
    /// These two are for wait_order::adaptive, and at least 0. By default, the guard finds them from the RTTs that it
    /// measures: see wait_order.
    std::optional<duration> target{};
    std::optional<duration> interval{};

    /// The guard serves waiters of higher priority first: see run_options::priority. A waiter counts as one priority
    /// higher for each `ageing` that it has waited, so that no priority is starved for ever. At least 1 ns. By default,
    /// waiters do not age.
    duration ageing = (duration::max)();

    /// The share of the limit that each partition of the calls has: see run_options::partition. There are at most 16
    /// partitions. Each share is in [0, 1], and their sum is at most 1. By default, there is one partition, which has
    /// the whole limit.
    ///
    /// A partition may use what the others do not use. Waiters of a partition that has less in flight than its share
    /// are served before those of partitions that have more: so a borrowed permit is back within an RTT. A partition
    /// whose share is 0 is served only while no other partition waits. Shares come before priorities.
    std::vector<double> partitions{};

    /// How many long-lived tasks may run at once, beside the limit: see run_options::long_lived. A call beyond that is
    /// shed at once. In [0, max_limit]. With 0, no long-lived task runs. By default, there is no other bound than
    /// max_limit.
    std::size_t max_long_lived = max_limit;

    /// How many of the latest decisions on the limit flow_guard::trace() returns. Each takes 104 bytes, which are
    /// allocated together with the first decision. In [0, 1'000'000].
    std::size_t trace = 256;

    /// Observers. An observer is called by the thread that caused the event, in the middle of its work. So keep it
    /// short: a slow observer delays that thread, and no other caller. What an observer throws is discarded. An
    /// observer may use the guard, and may destroy it. But if on_rejection makes a call that is rejected, it is called
    /// again from inside, without end.
    ///
    /// Observers are destroyed with the guard. If another thread is inside one at that moment, that thread destroys it
    /// when it returns. No call of an observer begins after the guard is destroyed.
    ///
    /// Called after a decision on the limit, when the limit has been set. One call at a time.
    std::function<void(const limit_decision&)> on_decision{};
    /// Called once for each call that is not admitted, after its caller has been told. But for try_acquire(), and for a
    /// coroutine that is rejected before it waits, it is called before they return. Several threads may call it at a
    /// time.
    std::function<void(rejection)> on_rejection{};

    /// The options for a program that has all its work at the start, and wants all of it to be done: a caller waits
    /// for as long as it takes, and callers are served first come, first served. No waiter is shed.
    ///
    ///     flow_guard guard{vegas_strategy{}, guard_options::for_batch()};
    static guard_options for_batch() { return {.order = wait_order::fifo}; }
};

} // namespace flowguard

#endif
