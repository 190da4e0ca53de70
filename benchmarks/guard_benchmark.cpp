// guard_benchmark.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What a guarded call costs, beside its parts: a compare-and-swap pair, clock reads, bare awaits. Ends
// with the ratios, each of figures from the same run.

#include <benchmark/benchmark.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "flowguard.hpp"
#include "support/counting_new.hpp"

namespace {

// Allocations per iteration, once the thread's caches are warm.
class allocation_counter {
public:
    explicit allocation_counter(benchmark::State& state) : state_(state), before_(support::allocations.load()) {}
    ~allocation_counter() {
        const auto count = static_cast<double>(support::allocations.load() - before_);
        state_.counters["allocs/op"] = count / static_cast<double>(state_.iterations());
    }

private:
    benchmark::State& state_;
    std::uint64_t before_;
};

// Runs a benchmark's loop as one coroutine of an io_context.
template <class Loop>
void run_coroutine(Loop loop) {
    asio::io_context context{1};
    asio::co_spawn(context, std::move(loop), asio::detached);
    context.run();
}

asio::awaitable<int> ready() {
    co_return 1;
}

void raw_cas_pair(benchmark::State& state) {
    std::atomic<std::uint64_t> word{0};
    for (auto _ : state) {
        std::uint64_t w = word.load(std::memory_order_relaxed);
        while (!word.compare_exchange_weak(w, w + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
        }
        benchmark::ClobberMemory();
        w = word.load(std::memory_order_relaxed);
        while (!word.compare_exchange_weak(w, w - 1, std::memory_order_release, std::memory_order_relaxed)) {
        }
        benchmark::ClobberMemory();
    }
}
BENCHMARK(raw_cas_pair);

void clock_read(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(clock_read);

void semaphore_try_acquire_release(benchmark::State& state) {
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 10};
    allocation_counter allocations{state};
    for (auto _ : state) {
        benchmark::DoNotOptimize(semaphore.try_acquire());
        semaphore.release();
    }
}
BENCHMARK(semaphore_try_acquire_release);

void await_ready(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        co_await ready();
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await ready());
    });
}
BENCHMARK(await_ready);

void semaphore_acquire(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        flowguard::dynamic_semaphore semaphore{co_await asio::this_coro::executor, 10};
        co_await semaphore.acquire();
        allocation_counter allocations{state};
        for (auto _ : state) {
            auto p = co_await semaphore.acquire();
            benchmark::DoNotOptimize(p);
        }
    });
}
BENCHMARK(semaphore_acquire);

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

// The floor of a hand-off: the coroutine that gives a permit away, and the one that gets it, are each
// resumed by a post.
void await_post(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        co_await asio::post(asio::use_awaitable);
        allocation_counter allocations{state};
        for (auto _ : state)
            co_await asio::post(asio::use_awaitable);
    });
}
BENCHMARK(await_post);

constexpr int waiters = 64;

// 64 coroutines pass one permit round; each iteration is one hand-off.
template <class Semaphore, class Acquire, class Release>
void hand_off(benchmark::State& state, asio::io_context& context, Semaphore& semaphore, Acquire acquire,
              Release release) {
    bool stop = false;
    std::uint64_t handed = 0;
    for (int i = 0; i < waiters; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                while (!stop) {
                    auto held = co_await acquire(semaphore);
                    ++handed;
                    co_await asio::post(asio::use_awaitable);
                    release(semaphore, held);
                }
            },
            asio::detached);
    while (handed < 4 * waiters)
        context.run_one();
    allocation_counter allocations{state};
    for (auto _ : state) {
        const std::uint64_t before = handed;
        while (handed == before)
            context.run_one();
    }
    stop = true;
    context.run();
}

void hand_off_semaphore(benchmark::State& state) {
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 1};
    hand_off(
        state, context, semaphore,
        [](flowguard::dynamic_semaphore& s) { return s.async_acquire_permit(asio::use_awaitable); },
        [](flowguard::dynamic_semaphore&, flowguard::permit& p) { p.release(); });
}
BENCHMARK(hand_off_semaphore);

void hand_off_channel(benchmark::State& state) {
    using channel = asio::experimental::channel<void(asio::error_code, int)>;
    asio::io_context context{1};
    channel semaphore{context, 1};
    semaphore.try_send(asio::error_code{}, 1);
    hand_off(
        state, context, semaphore, [](channel& c) { return c.async_receive(asio::use_awaitable); },
        [](channel& c, int) { c.try_send(asio::error_code{}, 1); });
}
BENCHMARK(hand_off_channel);

// Prints as usual, and keeps the CPU time of each benchmark: the least of its repetitions, which the
// machine's noise disturbed least.
class keeping_reporter : public benchmark::ConsoleReporter {
public:
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type != Run::RT_Iteration || run.error_occurred)
                continue;
            const double ns = run.GetAdjustedCPUTime();
            const auto [at, added] = least_.try_emplace(run.run_name.function_name, ns);
            at->second = std::min(at->second, ns);
        }
        ConsoleReporter::ReportRuns(runs);
    }

    keeping_reporter() : ConsoleReporter(OO_Tabular) {} // without colours, for files

    // 0 for what was filtered out.
    double ns(const std::string& name) const {
        const auto at = least_.find(name);
        return at != least_.end() ? at->second : 0;
    }

private:
    std::map<std::string, double> least_;
};

void print_ratio(const char* what, double ns, const char* against, double peer) {
    if (ns > 0 && peer > 0)
        std::printf("%-42s %7.1f ns = %5.2f x %s (%.1f ns)\n", what, ns, ns / peer, against, peer);
}

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    keeping_reporter r;
    benchmark::RunSpecifiedBenchmarks(&r);
    std::printf("\nRatios, of the least CPU time of each:\n");
    const double cas = r.ns("raw_cas_pair");
    const double await = r.ns("await_ready");
    print_ratio("guard.run, ready task", r.ns("guard_run_ready"), "2 clock reads + CAS pair + 2 bare awaits",
                2 * r.ns("clock_read") + cas + 2 * await);
    print_ratio("try_acquire + release", r.ns("semaphore_try_acquire_release"), "CAS pair", cas);
    print_ratio("co_await acquire(), permit free", r.ns("semaphore_acquire"), "CAS pair + bare await", cas + await);
    print_ratio("hand-off among 64 waiters", r.ns("hand_off_semaphore"), "2 posts", 2 * r.ns("await_post"));
    print_ratio("hand-off among 64 waiters", r.ns("hand_off_semaphore"), "experimental::channel",
                r.ns("hand_off_channel"));
    return 0;
}
