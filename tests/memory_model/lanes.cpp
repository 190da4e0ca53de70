// lanes.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// As queue.cpp, but waiters have priorities and partitions, age, and may be shed. An observer of rejections uses the
// semaphore. See semaphore_scenario.hpp.

#include <chrono>
#include <cstdint>
#include <memory>

#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"
#include "memory_model/semaphore_scenario.hpp"

namespace {

using flowguard::detail::wait_policy;
using memory_model::choose;

std::shared_ptr<memory_model::semaphore_scenario> current;
bool has_partitions = false;

// Advances each time it is read.
std::chrono::nanoseconds ticking_clock() noexcept {
    static std::int64_t ticks = 0;
    return std::chrono::nanoseconds(++ticks);
}

wait_policy make_policy() {
    wait_policy policy;
    policy.now = &ticking_clock;
    switch (choose(4)) {
    case 0: // only priorities
        break;
    case 1:
        policy.max_waiters = choose(2);
        break;
    case 2:
        policy.order = flowguard::wait_order::adaptive;
        policy.times = {.target = std::chrono::nanoseconds(1), .interval = std::chrono::nanoseconds(2)};
        break;
    case 3:
        policy.shares = {0.5, 0.5};
        policy.ageing = std::chrono::nanoseconds(3);
        policy.max_waiters = 1;
        break;
    }
    has_partitions = !policy.shares.empty();
    if (choose(2) == 0)
        policy.on_rejection = [owned = std::make_shared<int>(0)](flowguard::rejection) {
            if (*owned != 0)
                memory_model::fail("an observer is not as it was");
            memory_model::count("rejections told");
            current->use_a_permit();
        };
    return policy;
}

flowguard::detail::lane_number lane_of(std::size_t waiter) {
    return flowguard::detail::lane_number(has_partitions ? waiter : 0, static_cast<flowguard::priority>(choose(4)));
}

memory_model::scenario make_scenario() {
    memory_model::semaphore_choices choices;
    choices.hands_down = false; // a waiter that was shed could not take over as the next holder
    current = std::make_shared<memory_model::semaphore_scenario>(choices, make_policy, lane_of);
    return memory_model::semaphore_scenario::make(current);
}

} // namespace

int main(int argc, char** argv) {
    return memory_model::check(
        argc, argv,
        {"granted", "aborted", "timed out", "closed", "shed", "overdue", "abandoned", "newcomers", "rejections told"},
        make_scenario);
}
