// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <cstdio>

#if defined(FLOWGUARD_USE_BOOST_ASIO)
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
namespace asio = boost::asio;
#else
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#endif

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
