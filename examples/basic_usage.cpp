// basic_usage.cpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <chrono>
#include <iostream>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

asio::awaitable<int> query_database() { // stands for anything that takes a while
    asio::steady_timer database(co_await asio::this_coro::executor, std::chrono::milliseconds(10));
    co_await database.async_wait(asio::use_awaitable);
    co_return 1;
}

asio::awaitable<void> handle_request(flowguard::flow_guard<>& guard, int& rows) {
    rows += co_await guard.run(query_database()); // waits while the limit is reached; if overloaded, throws error::shed
}

int main() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}}; // the first limit is 10; any thread may use the guard
    asio::io_context context;
    int rows = 0;
    for (int i = 0; i < 20; ++i)
        asio::co_spawn(context, handle_request(guard, rows), asio::detached);
    context.run();
    std::cout << rows << " rows, limit " << guard.current_limit() << '\n';
}
