// module.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A program that imports FlowGuard as a module. It includes the parts of Asio that it uses itself.

#include <cstdlib>
#include <iostream>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

import flowguard;

namespace {

asio::awaitable<int> query_database() {
    co_return 1;
}

asio::awaitable<void> handle_request(flowguard::flow_guard<>& guard, int& rows) {
    rows += co_await guard.run(query_database());
}

} // namespace

int main() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
    asio::io_context context;
    int rows = 0;
    for (int i = 0; i < 20; ++i)
        asio::co_spawn(context, handle_request(guard, rows), asio::detached);
    context.run();
    flowguard::dynamic_semaphore semaphore{context, 2};
    const flowguard::permit held = semaphore.try_acquire_permit();
    const flowguard::error_code closed = flowguard::error::closed;
    const bool right = rows == 20 && guard.stats().succeeded == 20 && held && semaphore.in_flight() == 1 &&
                       closed.message() == "closed" && guard.current_limit() == 10;
    std::cout << rows << " rows, limit " << guard.current_limit() << '\n';
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
