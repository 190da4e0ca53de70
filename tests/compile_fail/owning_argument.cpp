// owning_argument.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A temporary aggregate with a string as an argument does not compile. A variable does.
// only: g++ before 13
// expected: may destroy twice what this temporary lambda or aggregate owns

#include <string>

#include <asio/awaitable.hpp>

#include "flowguard.hpp"

struct request {
    std::string text;
};

asio::awaitable<int> query(request r);

asio::awaitable<int> call(flowguard::flow_guard<>& guard, std::string text) {
#ifdef FLOWGUARD_CONTROL
    const request r{text};
    co_return co_await guard.run(query, r);
#else
    co_return co_await guard.run(query, request{text});
#endif
}
