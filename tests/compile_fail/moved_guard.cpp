// moved_guard.cpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A vector that would move its guards does not compile, and says what to use instead.
// expected: a guard or semaphore stays where it is, since its callers refer to it: keep it in a std::deque

#include <deque>
#include <vector>

#include "flowguard.hpp"

#ifdef FLOWGUARD_CONTROL
using guards = std::deque<flowguard::flow_guard<>>;
#else
using guards = std::vector<flowguard::flow_guard<>>;
#endif

void add(guards& all) {
    all.emplace_back(flowguard::vegas_strategy{10});
}
