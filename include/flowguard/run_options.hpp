// run_options.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_RUN_OPTIONS_HPP
#define FLOWGUARD_RUN_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "flowguard/classify.hpp"
#include "flowguard/detail/base/point_in_time.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"

namespace flowguard {

/// The options of one call of a flow_guard, besides its task.
///
///     co_await guard.run(query(), {.deadline = request.deadline, .priority = flowguard::priority::sheddable});
///     co_await guard.run(fetch(), flowguard::run_options{.deadline = request.deadline, .classify = by_status});
template <class Classifier = default_classifier, class Clock = std::chrono::steady_clock>
struct run_options {
    /// After this time the result is useless to the caller. A task that has not been started by then is never started.
    /// By default, there is no deadline.
    std::type_identity_t<detail::point_in_time<Clock>> deadline = (Clock::time_point::max)();

    /// How long the task may take, from its admission. After that time the task is cancelled, and counts as dropped:
    /// see flow_guard. At least 1 ns; with duration::max(), there is no time-out. By default, guard_options::timeout.
    /// It has no effect on a call with `bypass` or `long_lived`, and on tickets.
    std::optional<duration> timeout{};

    /// Among waiters, a higher priority is served first, and shed last.
    flowguard::priority priority = flowguard::priority::critical;

    /// The partition whose share of the limit this call uses: an index into guard_options::partitions.
    std::size_t partition = 0;

    /// The flow that the call belongs to, such as its tenant, user or connection: any number, or a hash of a name.
    /// Among waiters of the same priority and partition, flows take turns: each turn serves one waiter; a waiter for
    /// several permits takes as many turns. So one tenant with 10,000 requests delays another tenant's single request
    /// by one turn. Calls without a flow count as one flow together. A flow needs memory only while it waits. By
    /// default, a call has no flow.
    ///
    /// Within a flow, waiters are served in the wait_order: the oldest first; or, while the lane stands, the newest
    /// first. A full queue evicts a waiter of the flow that has most of them. Tenants whose numbers are equal share one
    /// flow.
    std::optional<std::uint64_t> flow{};

    /// The kind of the call, if calls of different cost share the guard: an index that the caller chooses for each
    /// endpoint, query or batch size, less than max_kinds. Each kind has an expected RTT of its own. So if the mix of
    /// kinds changes, a strategy such as vegas_strategy does not take that for a change of the service. Calls of about
    /// the same cost may share a kind. It has no effect on which waiter is served first.
    std::size_t kind = 0;

    /// How many permits the task holds while it runs, for a call that is heavier than others, such as a batch of 50
    /// rows or a bulk query. It gets all of them at once, and they come back together. In [1, max_limit]; else the call
    /// throws std::invalid_argument.
    ///
    /// A heavy call that waits has its turn as any other. When its turn has come, no later waiter of its lane and no
    /// newcomer overtakes it while its permits come together. (In a lane that stands, its turn has come if it is the
    /// newest waiter when a permit comes back. So an overload sheds heavy and light calls in about the same
    /// proportion.) A call that is heavier than the limit *runs alone*: it is admitted when nothing else is in flight,
    /// and the others wait until it is done. So it never waits for a higher limit. An attempt, such as try_run(), is
    /// shed unless its permits are free at once.
    ///
    /// In counts of calls, in windows and in samples, it is one call. But what is in flight is in permits, and so are
    /// the shares of partitions and the turns of flows.
    std::size_t permits = 1;

    /// Whether to run the task at once, whatever the load: without a permit, and without being a sample. For health
    /// checks and the like. Priority, partition, kind, permits and deadline are then ignored. async_acquire() and
    /// try_acquire() ignore this option.
    ///
    /// A call inside an admitted task of the same guard needs it, too: the outer call's permit counts for both. Without
    /// it, such calls wait for each other when outer calls hold all the permits.
    bool bypass = false;

    /// Whether the task is a watch, a stream, a long poll, or other work whose length says nothing about the load. It
    /// runs beside the limit: it takes no permit and is no sample, and `classify` is not called. It has a count of its
    /// own, in guard_stats::long_lived, and a bound, guard_options::max_long_lived. A call beyond that bound never
    /// waits: it is shed at once. Priority, partition, kind and permits have no effect, but must be in range. If
    /// `bypass` is set as well, it wins.
    ///
    /// Since it holds no permit, a long-lived task may make ordinary calls of the same guard, such as a query for each
    /// event of a stream.
    bool long_lived = false;

    /// Tells what the task's result or exception says about the load: see default_classifier.
    Classifier classify = {};
};

} // namespace flowguard

#endif
