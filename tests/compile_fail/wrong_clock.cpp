// wrong_clock.cpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A deadline in the time of another clock does not compile, and says so.
// expected: this time is of another clock: give it in the time of the guard's Clock

#include <chrono>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

#ifdef FLOWGUARD_CONTROL
using clock_type = std::chrono::steady_clock;
#else
using clock_type = std::chrono::system_clock;
#endif

asio::awaitable<int> query();

asio::awaitable<int> call(flowguard::flow_guard<>& guard, clock_type::time_point deadline) {
    co_return co_await guard.run(query(), {.deadline = deadline});
}
