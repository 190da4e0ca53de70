// owning_classifier.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A classifier that owns a string, as a temporary; named first, it compiles.
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
    co_return co_await guard.run(std::move(task), std::move(classify)); // looks the same as a temporary
#endif
}
