// run_options.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_RUN_OPTIONS_HPP
#define FLOWGUARD_RUN_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include "flowguard/classify.hpp"
#include "flowguard/priority.hpp"

namespace flowguard {

/// What one call of a flow_guard can be told, besides its task.
///
///     co_await guard.run(query(), {.deadline = request.deadline, .priority = flowguard::priority::sheddable});
///     co_await guard.run(fetch(), flowguard::run_options{.deadline = request.deadline, .classify = by_status});
template <class Classifier = default_classifier, class Clock = std::chrono::steady_clock>
struct run_options {
    /// When nobody is interested in the result any more. A task that has not been started by then is not
    /// started at all. By default, never.
    typename Clock::time_point deadline = Clock::time_point::max();

    /// Who is served first, and shed last, of those who wait.
    flowguard::priority priority = flowguard::priority::critical;

    /// Whose share of the limit this call is of: an index into guard_options::partitions.
    std::size_t partition = 0;

    /// Whether the task is to run at once whatever the load, without a permit, and without being a sample: for health
    /// checks and the like. It has no class, partition or deadline then. Without effect on async_acquire().
    ///
    /// A call inside an admitted task of the same guard needs it, too: the outer call's permit counts for both. Without
    /// it, such calls wait for each other when outer calls hold all the permits.
    bool bypass = false;

    /// What the end of the task says of load: see default_classifier.
    Classifier classify = {};
};

} // namespace flowguard

#endif
