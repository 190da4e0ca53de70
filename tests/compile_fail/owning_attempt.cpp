// owning_attempt.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A temporary lambda that owns a string does not compile in an attempt. A function with the string as an argument does.
// only: g++ before 13
// expected: may destroy twice what this temporary lambda or aggregate owns

#include <string>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

asio::awaitable<int> query(std::string text);

asio::awaitable<int> call(flowguard::flow_guard<>& guard, std::string text) {
#ifdef FLOWGUARD_CONTROL
    co_return (co_await guard.try_run(query, text)).value_or(0);
#else
    co_return (co_await guard.try_run([text] { return query(text); })).value_or(0);
#endif
}
