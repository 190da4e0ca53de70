// measuring.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Shared by the benchmarks that use Google Benchmark.

#ifndef FLOWGUARD_BENCHMARKS_MEASURING_HPP
#define FLOWGUARD_BENCHMARKS_MEASURING_HPP

#include <benchmark/benchmark.h>

#include <algorithm>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/counting_new.hpp"

namespace measuring {

/// Allocations per iteration, once the thread's caches are warm.
class allocation_counter {
public:
    explicit allocation_counter(benchmark::State& state, double operations_per_iteration = 1)
        : state_(state), operations_(operations_per_iteration), before_(support::allocations.load()) {}
    allocation_counter(const allocation_counter&) = delete;
    allocation_counter& operator=(const allocation_counter&) = delete;
    ~allocation_counter() {
        const auto count = static_cast<double>(support::allocations.load() - before_);
        state_.counters["allocs/op"] = count / static_cast<double>(state_.iterations()) / operations_;
    }

private:
    benchmark::State& state_;
    double operations_;
    std::uint64_t before_;
};

/// The processor time of this thread, which excludes the time that other programs take.
inline std::chrono::nanoseconds thread_time() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

/// Runs a benchmark's loop as one coroutine of an io_context.
template <class Loop>
void run_coroutine(Loop loop) {
    asio::io_context context{1};
    asio::co_spawn(context, std::move(loop), asio::detached);
    context.run();
}

inline asio::awaitable<int> ready() {
    co_return 1;
}

inline void raw_cas_pair(benchmark::State& state) {
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

inline void await_ready(benchmark::State& state) {
    run_coroutine([&]() -> asio::awaitable<void> {
        co_await ready();
        allocation_counter allocations{state};
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await ready());
    });
}

/// Prints what the console reporter prints, and keeps the times of each benchmark.
class keeping_reporter : public benchmark::ConsoleReporter {
public:
    keeping_reporter() : ConsoleReporter(OO_Tabular) {} // without colours, for files

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type != Run::RT_Iteration || run.error_occurred)
                continue;
            // A benchmark whose iteration is not one operation reports its time per operation itself.
            const auto counter = run.counters.find("ns/op");
            const bool real = run.run_name.time_type.find("manual") != std::string::npos;
            const double ns = counter != run.counters.end() ? counter->second.value
                              : real                        ? run.GetAdjustedRealTime()
                                                            : run.GetAdjustedCPUTime();
            const std::string name = run.run_name.args.empty() ? run.run_name.function_name
                                                               : run.run_name.function_name + '/' + run.run_name.args;
            times_[name].push_back(ns);
            for (const auto& [what, value] : run.counters)
                counters_[name + ' ' + what] = value.value;
        }
        ConsoleReporter::ReportRuns(runs);
    }

    /// The shortest time of all repetitions: the machine's noise disturbed that one least. 0 if the benchmark was
    /// filtered out.
    double ns(const std::string& name) const {
        const auto at = times_.find(name);
        return at != times_.end() ? *std::min_element(at->second.begin(), at->second.end()) : 0;
    }

    /// The median time of all repetitions. For benchmarks on several threads, where lucky scheduling also shortens
    /// times. 0 if the benchmark was filtered out.
    double median_ns(const std::string& name) const {
        const auto at = times_.find(name);
        if (at == times_.end())
            return 0;
        std::vector<double> sorted = at->second;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }

    double counter(const std::string& name, const std::string& what) const {
        const auto at = counters_.find(name + ' ' + what);
        return at != counters_.end() ? at->second : 0;
    }

private:
    std::map<std::string, std::vector<double>> times_;
    std::map<std::string, double> counters_;
};

inline void print_ratio(const std::string& what, double ns, const std::string& against, double peer) {
    if (ns > 0 && peer > 0)
        std::printf("%-50s %7.1f ns = %5.2f x %s (%.1f ns)\n", what.c_str(), ns, ns / peer, against.c_str(), peer);
}

} // namespace measuring

#endif
