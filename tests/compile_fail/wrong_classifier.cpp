// wrong_classifier.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A classifier that fits no way in which the task may end does not compile.
// expected: the classifier must take the task's result or a std::exception_ptr, and return an outcome

#include <string>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

#ifdef FLOWGUARD_CONTROL
using result = int;
#else
using result = std::string;
#endif

asio::awaitable<int> call(flowguard::flow_guard<>& guard, asio::awaitable<int> task) {
    return guard.run(std::move(task), [](const result&) { return flowguard::outcome::success; });
}
