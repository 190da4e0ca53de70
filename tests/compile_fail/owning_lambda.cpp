// owning_lambda.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A temporary lambda that owns a string does not compile. With FLOWGUARD_ALLOW_OWNING_TEMPORARIES it does.
// only: g++ before 13
// expected: may destroy twice what this temporary lambda or aggregate owns

#ifdef FLOWGUARD_CONTROL
#define FLOWGUARD_ALLOW_OWNING_TEMPORARIES
#endif

#include <string>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

asio::awaitable<int> query(std::string text);

asio::awaitable<int> call(flowguard::flow_guard<>& guard, std::string text) {
    co_return co_await guard.run([text] { return query(text); });
}
