// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <cstdio>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include "flowguard.hpp"

std::size_t limit_in_other_file();

int main() {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    int answer = 0;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> { answer = co_await guard.run([]() -> asio::awaitable<int> { co_return 42; }); },
        asio::detached);
    context.run();

    std::printf("flowguard %s\n", flowguard::version);
    return answer == 42 && guard.in_flight() == 0 && limit_in_other_file() == guard.current_limit() ? 0 : 1;
}
