// calls.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// Makes as many guarded calls as it is told, for instructions.cmake to count what one costs. FLOWGUARD_CALL says which.

#include <cstddef>
#include <cstdlib>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <flowguard.hpp>

namespace {

asio::awaitable<int> ready() {
    co_return 1;
}

asio::awaitable<void> calls(flowguard::flow_guard<flowguard::fixed_limit>& guard, long n) {
    for (long i = 0; i < n; ++i)
        co_await FLOWGUARD_CALL;
}

} // namespace

int main(int argc, char** argv) {
    const long n = argc > 1 ? std::atol(argv[1]) : 1;
    asio::io_context context{1};
    flowguard::flow_guard guard{flowguard::fixed_limit{10}, FLOWGUARD_OPTIONS};
    asio::co_spawn(context, calls(guard, n), asio::detached);
    context.run();
    return guard.stats().succeeded == static_cast<std::size_t>(n) ? 0 : 1;
}
