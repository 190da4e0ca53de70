// calls.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// Makes a given number of guarded calls, so that instructions.cmake can count the instructions of one call.
// FLOWGUARD_CALL is the call, and FLOWGUARD_CALLERS is the number of coroutines that make calls.

#include <cstddef>
#include <cstdlib>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

namespace {

[[maybe_unused]] asio::awaitable<int> ready() {
    co_return 1;
}

// A task that lets other callers run, so that they wait.
[[maybe_unused]] asio::awaitable<int> posted() {
    co_await asio::post(asio::use_awaitable);
    co_return 1;
}

asio::awaitable<void> calls(flowguard::flow_guard<flowguard::fixed_limit>& guard, long& left) {
    while (left-- > 0)
        co_await FLOWGUARD_CALL;
}

} // namespace

int main(int argc, char** argv) {
    const long n = argc > 1 ? std::atol(argv[1]) : 1;
    long left = n;
    asio::io_context context{1};
    flowguard::flow_guard guard{flowguard::fixed_limit{10}, FLOWGUARD_OPTIONS};
    for (int i = 0; i < FLOWGUARD_CALLERS; ++i)
        asio::co_spawn(context, calls(guard, left), asio::detached);
    context.run();
    return guard.stats().succeeded == static_cast<std::size_t>(n) ? 0 : 1;
}
