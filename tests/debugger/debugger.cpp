// debugger.cpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A program for gdb to look at: run.cmake stops it in stop_here(), and compares what gdb prints.

#include <flowguard.hpp>

#include "support/asio.hpp"

[[gnu::noinline]] void stop_here(int& stops) {
    ++stops;
}

int main() {
    asio::io_context context;
    int stops = 0;

    flowguard::dynamic_semaphore semaphore(context.get_executor(), 10);
    flowguard::permit none;
    flowguard::permit some = semaphore.try_acquire_permit_n(7);
    flowguard::basic_dynamic_semaphore<asio::io_context::executor_type> full(context.get_executor(), 1);
    const flowguard::permit all = full.try_acquire_permit();
    full.async_acquire([](flowguard::error_code) {});
    full.async_acquire([](flowguard::error_code) {});

    flowguard::flow_guard unused(flowguard::fixed_limit{5});
    flowguard::flow_guard guard(flowguard::vegas_strategy{20});
    flowguard::ticket no_ticket;
    flowguard::ticket running = guard.try_acquire();
    guard.try_acquire().success();
    stop_here(stops);

    semaphore.set_limit(3); // in debt
    guard.close();
    stop_here(stops);

    running.ignore();
    some = flowguard::permit();
    context.poll();
    return static_cast<bool>(none) || static_cast<bool>(no_ticket) || unused.in_flight() != 0 ? 1 : 0;
}
