// owning_options.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Temporary options with a classifier that owns a string do not compile. A variable does.
// only: g++ before 13
// expected: may destroy twice what this temporary lambda or aggregate owns

#include <string>
#include <utility>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

asio::awaitable<int> call(flowguard::flow_guard<>& guard, asio::awaitable<int> task, std::string text) {
    const auto classify = [text](const int&) { return flowguard::outcome::success; };
#ifdef FLOWGUARD_CONTROL
    const flowguard::run_options how{.classify = classify};
    co_return co_await guard.run(std::move(task), how);
#else
    co_return co_await guard.run(std::move(task), flowguard::run_options{.classify = classify});
#endif
}
