// guard_benchmark.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures the cost of a guarded call, and the costs of its parts: a compare-and-swap pair, clock reads, bare awaits.
// Also measures what a time-out costs, and what a rejected call costs in each of its forms. Beside each of them stands
// what it cannot cost less than: a co_spawn on a strand, an exception through one coroutine, the answer that a layer
// makes. At the end, prints the ratio of each cost to its floor, from the same run.

#include <benchmark/benchmark.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "flowguard.hpp"
#include "flowguard/cycle_clock.hpp"
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

template <class Clock>
void read(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(Clock::now());
}

void clock_read(benchmark::State& state) {
    read<std::chrono::steady_clock>(state);
}
BENCHMARK(clock_read);

void cycle_clock_read(benchmark::State& state) {
    read<flowguard::cycle_clock>(state);
}
BENCHMARK(cycle_clock_read);

template <class Clock>
void run_ready(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        flowguard::flow_guard<flowguard::vegas_strategy, Clock> guard{flowguard::vegas_strategy{10}};
        co_await guard.run(ready());
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await guard.run(ready()));
    });
}

void guard_run_ready(benchmark::State& state) {
    run_ready<std::chrono::steady_clock>(state);
}
BENCHMARK(guard_run_ready);

void guard_run_ready_cycle_clock(benchmark::State& state) {
    run_ready<flowguard::cycle_clock>(state);
}
BENCHMARK(guard_run_ready_cycle_clock);

asio::awaitable<int> posted() {
    co_await asio::post(asio::use_awaitable);
    co_return 1;
}

constexpr int callers = 64;

// Each of 64 callers makes a call in its turn, again and again. The callers take turns in a fixed order. So when the
// first caller has had a turn, each caller has had one.
template <class Call>
void take_turns(benchmark::State& state, Call call) {
    asio::io_context context{1};
    bool stop = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < 10; ++i)
                co_await call();
            {
                const allocation_counter allocations{state, callers};
                const auto start = measuring::thread_time();
                while (state.KeepRunning())
                    co_await call();
                state.counters["ns/op"] =
                    std::chrono::duration<double, std::nano>(measuring::thread_time() - start).count() /
                    static_cast<double>(state.iterations()) / callers;
            }
            stop = true;
        },
        asio::detached);
    for (int i = 1; i < callers; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                while (!stop)
                    co_await call();
            },
            asio::detached);
    context.run();
}

// Four permits: so 60 callers wait.
void guard_run_waiting(benchmark::State& state) {
    flowguard::flow_guard guard{flowguard::fixed_limit{4}, flowguard::guard_options::for_batch()};
    take_turns(state, [&] { return guard.run(posted()); });
}
BENCHMARK(guard_run_waiting);

// The floor of that: the post of the task, and the post that resumes a waiter.
asio::awaitable<void> two_posts() {
    co_await posted();
    co_await posted();
}

void two_posts_waiting(benchmark::State& state) {
    take_turns(state, two_posts);
}
BENCHMARK(two_posts_waiting);

// The floor of a call with a time-out: the task has to run on a strand, and something has to cancel it.
void spawn_on_strand(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor};
        allocation_counter allocations{state};
        for (auto _ : state) {
            timer.expires_after(std::chrono::hours(1));
            timer.async_wait(asio::detached);
            benchmark::DoNotOptimize(
                co_await asio::co_spawn(asio::make_strand(executor), ready(), asio::use_awaitable));
        }
    });
}
BENCHMARK(spawn_on_strand);

void guard_run_timeout(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        flowguard::flow_guard guard{flowguard::vegas_strategy{10}, {.timeout = std::chrono::hours(1)}};
        co_await guard.run(ready());
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await guard.run(ready()));
    });
}
BENCHMARK(guard_run_timeout);

// A guard that rejects every call.
struct full_guard {
    flowguard::flow_guard<flowguard::fixed_limit> guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    decltype(guard)::ticket held = guard.try_acquire();
};

void guard_run_as_tuple_rejected(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        full_guard full;
        co_await full.guard.run_as_tuple(ready());
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await full.guard.run_as_tuple(ready()));
    });
}
BENCHMARK(guard_run_as_tuple_rejected);

void guard_try_run_rejected(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        full_guard full;
        co_await full.guard.try_run(ready);
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await full.guard.try_run(ready));
    });
}
BENCHMARK(guard_try_run_rejected);

asio::awaitable<int> reject() {
    throw flowguard::system_error(flowguard::error::shed);
    co_return 1;
}

template <class Call>
asio::awaitable<int> code_of(Call call) {
    try {
        co_return co_await call();
    } catch (const flowguard::system_error& e) {
        co_return e.code().value();
    }
}

// The floor of the throwing form: an exception that passes through one coroutine.
void throw_through_one_await(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await code_of(reject));
    });
}
BENCHMARK(throw_through_one_await);

void guard_run_rejected(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        full_guard full;
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await code_of([&] { return full.guard.run(ready()); }));
    });
}
BENCHMARK(guard_run_rejected);

struct request {};

struct response {
    unsigned status = 200;
    std::chrono::seconds retry_after{};
};

struct http {
    std::string_view header(const request&, std::string_view) const { return {}; }
    unsigned status(const response& r) const { return r.status; }
    auto unavailable(const request&) const {
        return [](std::chrono::seconds wait) { return response{503, wait}; };
    }
    auto gateway_timeout(const request&) const {
        return [] { return response{504}; };
    }
};

void make_503(benchmark::State& state) {
    const full_guard full;
    const auto unavailable = http{}.unavailable(request{});
    for (auto _ : state)
        benchmark::DoNotOptimize(unavailable(flowguard::retry_after(full.guard.stats())));
}
BENCHMARK(make_503);

void layer_rejected(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        full_guard full;
        const flowguard::http_layer guarded{full.guard,
                                            [](request) -> asio::awaitable<response> { co_return response{}; }, http{}};
        co_await guarded(request{});
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await guarded(request{}));
    });
}
BENCHMARK(layer_rejected);

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
    print_ratio("the same with cycle_clock", r.ns("guard_run_ready_cycle_clock"), "guard.run, ready task",
                r.ns("guard_run_ready"));
    print_ratio("cycle_clock::now()", r.ns("cycle_clock_read"), "steady_clock::now()", r.ns("clock_read"));
    print_ratio("guard.run among 64, 4 permits", r.ns("guard_run_waiting"), "two posts among 64",
                r.ns("two_posts_waiting"));
    if (r.ns("guard_run_waiting") > 0)
        std::printf("%-50s %7.2f\n", "the same, allocations", r.counter("guard_run_waiting", "allocs/op"));
    print_ratio("guard.run with a time-out, ready task", r.ns("guard_run_timeout"), "a timer + co_spawn on a strand",
                r.ns("spawn_on_strand"));
    const double rejected = r.ns("guard_run_as_tuple_rejected");
    print_ratio("run_as_tuple, rejected", rejected, "guard.run, ready task", r.ns("guard_run_ready"));
    print_ratio("try_run, rejected", r.ns("guard_try_run_rejected"), "guard.run, ready task", r.ns("guard_run_ready"));
    print_ratio("run, rejected", r.ns("guard_run_rejected"), "throw through one await",
                r.ns("throw_through_one_await"));
    print_ratio("http_layer, rejected, without the 503", r.ns("layer_rejected") - r.ns("make_503"),
                "run_as_tuple, rejected", rejected);
    return 0;
}
