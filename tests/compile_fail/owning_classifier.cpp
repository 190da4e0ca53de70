// owning_classifier.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A temporary classifier that owns a string does not compile. A variable does.
// only: g++ before 13
// expected: may destroy twice what this temporary lambda or aggregate owns

#include <string>
#include <utility>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

asio::awaitable<int> call(flowguard::flow_guard<>& guard, asio::awaitable<int> task, std::string text) {
    auto classify = [text](const int&) { return flowguard::outcome::success; };
#ifdef FLOWGUARD_CONTROL
    co_return co_await guard.run(std::move(task), classify);
#else
    co_return co_await guard.run(std::move(task), std::move(classify)); // has the type of a temporary
#endif
}
