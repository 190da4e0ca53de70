// guard_benchmark.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures the cost of a guarded call, and the costs of its parts: a compare-and-swap pair, clock reads, bare awaits.
// At the end, prints the ratio of the call's cost to the sum of the parts, from the same run.

#include <benchmark/benchmark.h>

#include <asio/awaitable.hpp>
#include <chrono>
#include <cstdio>

#include "flowguard.hpp"
#include "measuring.hpp"

namespace {

using measuring::allocation_counter;
using measuring::await_ready;
using measuring::print_ratio;
using measuring::raw_cas_pair;
using measuring::ready;
using measuring::run_coroutine;

BENCHMARK(raw_cas_pair);
BENCHMARK(await_ready);

void clock_read(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(clock_read);

void guard_run_ready(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
        co_await guard.run(ready());
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await guard.run(ready()));
    });
}
BENCHMARK(guard_run_ready);

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    measuring::keeping_reporter r;
    benchmark::RunSpecifiedBenchmarks(&r);
    std::printf("\nRatio of the shortest CPU times:\n");
    print_ratio("guard.run, ready task", r.ns("guard_run_ready"), "2 clock reads + CAS pair + 2 bare awaits",
                2 * r.ns("clock_read") + r.ns("raw_cas_pair") + 2 * r.ns("await_ready"));
    return 0;
}
