// judging.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "libraries.hpp"

namespace {

asio::awaitable<void> fail(flowguard::error_code error) {
    throw flowguard::system_error(error);
    co_return;
}

} // namespace

void run_task_that_fails_with(flowguard::error_code error, flowguard::guard_stats& stats) {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    asio::co_spawn(context, guard.run(fail, error), [](std::exception_ptr) {});
    context.run();
    stats = guard.stats();
}

const void* category_of_the_other() {
    return &flowguard::error_category();
}

const void* service_of_the_other() {
    return &flowguard::detail::context_service::id;
}
