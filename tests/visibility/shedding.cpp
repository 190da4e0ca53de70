// shedding.cpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "libraries.hpp"

void shed_a_call(flowguard::error_code& error) {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    const auto busy = guard.try_acquire();
    asio::co_spawn(context, guard.run([]() -> asio::awaitable<void> { co_return; }), [&](std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const flowguard::system_error& e) {
            error = e.code();
        }
    });
    context.run();
}

void make_an_error(flowguard::error_code& error) {
    error.assign(static_cast<int>(flowguard::error::shed), flowguard::error_category());
}
