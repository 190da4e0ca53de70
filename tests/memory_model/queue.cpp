// queue.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// The queue of a semaphore under the memory model: waits, grants, cancellations, newcomers, weights, changes of the
// limit, close, drains, contexts that are destroyed, looks whether the semaphore is idle, counts of the callers that
// hold permits, and the end of the state. See semaphore_scenario.hpp.

#include <memory>

#include "memory_model/runtime/check.hpp"
#include "memory_model/semaphore_scenario.hpp"

namespace {

memory_model::scenario make_scenario() {
    return memory_model::semaphore_scenario::make(std::make_shared<memory_model::semaphore_scenario>(
        memory_model::semaphore_choices(), [] { return flowguard::detail::wait_policy(); },
        [](std::size_t) { return flowguard::detail::lane_number(); }));
}

} // namespace

int main(int argc, char** argv) {
    return memory_model::check(argc, argv,
                               {"granted", "aborted", "timed out", "closed", "abandoned", "newcomers", "drained",
                                "looks at an idle semaphore", "callers"},
                               make_scenario);
}
