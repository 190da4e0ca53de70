// tenants.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures what 999 modest tenants get beside a greedy one, with and without flows.

#include <cstdio>

#include "simulation.hpp"

namespace {

using admission::setup;
using admission::tenants_outcome;
using flowguard::guard_options;
using flowguard::wait_order;

constexpr double load_of_modest = 0.5;
constexpr double greedy_loads[] = {0.4, 5};

void print_wait(double seconds) {
    std::printf("  %10.1f", 1000 * seconds);
}

void print_waits(const tenants_outcome& o) {
    print_wait(o.wait(0.5));
    print_wait(o.wait(0.99));
    print_wait(o.wait(1));
}

void print_row(const char* name, setup s, const guard_options& options, bool flows) {
    s.options = options;
    s.flows = flows;
    const admission::outcome o = admission::simulation(s).run();
    std::printf("  %-24s  %5.1f %%", name,
                100 * static_cast<double>(o.modest.in_time) / static_cast<double>(o.modest.offered));
    print_waits(o.modest);
    std::printf("  %8.3f", static_cast<double>(o.greedy.in_time) / (s.capacity() * s.length));
    print_waits(o.greedy);
    std::printf("\n");
}

void print_load(double greedy_load) {
    const setup s{
        .load = load_of_modest + greedy_load, .length = 10, .modest_tenants = 999, .greedy_load = greedy_load};
    std::printf("\nThe greedy tenant offers %g x the capacity\n", greedy_load);
    std::printf("  %-24s  %7s  %10s  %10s  %10s  %8s  %10s  %10s  %10s\n", "", "modest:", "p50", "p99", "max",
                "greedy:", "p50", "p99", "max");
    const guard_options bounded{.max_waiters = 100, .order = wait_order::fifo};
    print_row("fifo", s, guard_options::for_batch(), false);
    print_row("fifo, flows", s, guard_options::for_batch(), true);
    print_row("fifo, 100 wait", s, bounded, false);
    print_row("fifo, 100 wait, flows", s, bounded, true);
    print_row("default", s, {}, false);
    print_row("default, flows", s, {}, true);
}

} // namespace

int main() {
    std::printf(
        "10 workers, tasks of 10 ms, clients with a timeout of 100 ms, for 10 s. 999 modest tenants offer half\n"
        "of the capacity together. Modest: the part of their requests that was answered in time. Greedy: its\n"
        "answers in time, over the capacity. p50, p99, max: the waits of requests that got a permit, in ms.\n");
    for (const double load : greedy_loads)
        print_load(load);
    return 0;
}
