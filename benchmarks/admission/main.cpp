// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures how many answers the callers of a service get in time, for several orders in which waiting calls are served.

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "simulation.hpp"

namespace {

using namespace std::chrono_literals;
using admission::setup;
using flowguard::guard_options;
using flowguard::wait_order;

constexpr double loads[] = {0.8, 1, 1.2, 2, 5};

void print_row(const char* name, setup s, const guard_options& options, bool clients_cancel = false) {
    s.options = options;
    s.clients_cancel = clients_cancel;
    std::printf("  %-32s", name);
    admission::outcome at_twice;
    for (const double load : loads) {
        s.load = load;
        const admission::outcome o = admission::simulation(s).run();
        std::printf("  %5.3f", o.goodput);
        if (load == 2)
            at_twice = o;
    }
    if (at_twice.shed > 0)
        std::printf("  %7.1f ms", 1000 * at_twice.time_to_rejection);
    std::printf("\n");
}

void print_service(setup s) {
    std::printf("%zu workers, tasks of %g ms, clients with a timeout of %g ms\n", s.workers, 1000 * s.service,
                1000 * s.timeout);
    std::printf("  %-32s", "");
    for (const double load : loads)
        std::printf("  %4g x", load);
    std::printf("\n");

    const flowguard::duration rtt = lab::seconds(s.service);
    const guard_options by_hand{.target = 5ms, .interval = 100ms};
    const guard_options scaled{.target = rtt / 2, .interval = 10 * rtt};
    print_row("fifo", s, guard_options::for_batch());
    print_row("fifo, clients cancel", s, guard_options::for_batch(), true);
    print_row("fifo, at most 10 wait", s, {.max_waiters = 10, .order = wait_order::fifo});
    print_row("fifo, at most 100 wait", s, {.max_waiters = 100, .order = wait_order::fifo});
    print_row("adaptive, 5 ms, 100 ms", s, by_hand);
    print_row("adaptive, half an RTT, ten RTTs", s, scaled);
    print_row("default", s, {});
    s.initial_limit = 10;
    print_row("default, finds its limit", s, {});
}

} // namespace

int main() {
    std::printf("Answers in time, over the capacity, by load; and, at 2 x, the mean time until a shed caller is told.\n"
                "A client that gives up does not tell the guard, except in the rows \"clients cancel\".\n\n");
    print_service({.service = 0.001, .timeout = 0.01, .length = 20});
    print_service({});
    print_service({.timeout = 0.03});
    print_service({.workers = 100, .service = 0.1, .timeout = 1});
    print_service({.workers = 2, .service = 1, .timeout = 5, .length = 6000});
    print_service({.workers = 2, .service = 2, .timeout = 20, .length = 12000});
    print_service({.service = 2, .timeout = 20, .length = 6000});
    return 0;
}
