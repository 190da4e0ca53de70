// benchmark.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_BENCHMARK_HPP
#define POSTGRES_GUARD_BENCHMARK_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <asio/io_context.hpp>
#include <flowguard.hpp>

#include "check.hpp"
#include "load.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "proc.hpp"
#include "recorder.hpp"
#include "server.hpp"

namespace postgres_guard {

inline constexpr std::array<std::size_t, 8> static_limits{1, 2, 4, 8, 16, 32, 64, 128};
inline constexpr std::array<std::size_t, 2> first_limits{4, 64};

using adaptive_guard = flowguard::flow_guard<flowguard::vegas_strategy>;

/// The default options, except for the highest limit, which is the size of the largest static pool.
inline flowguard::vegas_strategy strategy_from(std::size_t first_limit) {
    return flowguard::vegas_strategy({.initial_limit = first_limit, .max_limit = static_limits.back()});
}

/// A pool of connections that finds its size. It keeps what it has found from one measurement to the next.
struct adaptive_pool {
    adaptive_pool(const std::string& where, std::size_t first_limit)
        : guard(strategy_from(first_limit), {.order = flowguard::wait_order::fifo, .trace = 10'000}),
          connections(where, guard) {}

    adaptive_guard guard;
    pool<adaptive_guard> connections;
};

/// Several measurements of one pool.
class series {
public:
    explicit series(std::string its_name) : name(std::move(its_name)) {}

    void add(const summary& one) { all_.push_back(one); }

    double throughput() const {
        return median([](const summary& s) { return s.throughput; });
    }
    double mean() const {
        return median([](const summary& s) { return s.mean.count() * 1e3; });
    }
    double p99() const {
        return median([](const summary& s) { return s.p99.count() * 1e3; });
    }

    std::string name;

private:
    // The median ignores a measurement that other programs on the machine disturbed.
    template <class Value>
    double median(Value value) const {
        std::vector<double> values;
        for (const summary& s : all_)
            values.push_back(value(s));
        std::sort(values.begin(), values.end());
        const std::size_t middle = values.size() / 2;
        return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    }

    std::vector<summary> all_; // not empty when a median is asked for
};

template <class Series>
const Series& most_of(const std::vector<Series>& pools) {
    return *std::max_element(pools.begin(), pools.end(),
                             [](const Series& a, const Series& b) { return a.throughput() < b.throughput(); });
}

/// The pool with the lowest p99 among those with at most 2 % less throughput than the pool with the most. Beyond the
/// knee, all pools have about the same throughput, and chance decides which has the most. A large pool has a high p99,
/// so it would be too easy to be better than that pool.
template <class Series>
const Series& best_of(const std::vector<Series>& pools) {
    const double enough = 0.98 * most_of(pools).throughput();
    const Series* best = &most_of(pools);
    for (const Series& s : pools)
        if (s.throughput() >= enough && s.p99() < best->p99())
            best = &s;
    return *best;
}

/// Prints how the limit converged: the time until it came within a factor of 1.5 of its later median.
inline void print_convergence(const series& of, const adaptive_guard& guard, clock::time_point start) {
    const std::vector<flowguard::limit_decision> decisions = guard.trace();
    if (decisions.empty())
        return;
    std::vector<std::size_t> later;
    for (std::size_t i = decisions.size() / 2; i < decisions.size(); ++i)
        later.push_back(decisions[i].limit);
    std::sort(later.begin(), later.end());
    const std::size_t settled = later[later.size() / 2];
    const auto there = std::find_if(decisions.begin(), decisions.end(), [settled](const auto& d) {
        return 2 * d.limit <= 3 * settled && 2 * settled <= 3 * d.limit;
    });
    const seconds took = there->at - start.time_since_epoch();
    std::printf("%s: limit near %zu after %.1f s; %zu to %zu in the second half of its windows\n", of.name.c_str(),
                settled, took.count(), later.front(), later.back());
}

inline void print_header() {
    std::printf("pool              throughput  of the most   mean RTT        p99  of the best\n");
}

inline void print_line(const series& s, const series& most, const series& best, const char* note) {
    std::printf("%-16s  %8.0f/s  %9.0f %%  %6.2f ms  %6.1f ms  %8.2f x  %s\n", s.name.c_str(), s.throughput(),
                100 * s.throughput() / most.throughput(), s.mean(), s.p99(), s.p99() / best.p99(), note);
}

inline void print_verdict(const series& s, const series& most, const series& best) {
    const double share = s.throughput() / most.throughput(), ratio = s.p99() / best.p99();
    std::printf("%s: throughput %.0f %% of the most (goal: at least 95 %%): %s; p99 %.2f x that of %s (goal: at most "
                "1.25 x): %s, and %.2f x that of %s\n",
                s.name.c_str(), 100 * share, share >= 0.95 ? "met" : "missed", ratio, best.name.c_str(),
                ratio <= 1.25 ? "met" : "missed", s.p99() / most.p99(), most.name.c_str());
}

/// Measures pools with one workload. While other programs are busy on the machine, it waits, or repeats the
/// measurement: a pool with more connections would then get a larger share of the processors, which says nothing of a
/// database with a machine of its own.
class quiet_measurements {
public:
    quiet_measurements(asio::io_context& context, const server& postgres, const workload& work, const options& chosen)
        : context_(context),
          postgres_(postgres),
          work_(work),
          length_(chosen.seconds),
          warm_up_(chosen.quick ? 0.2 : 1),
          timeout_(chosen.timeout) {}

    template <class Guard>
    summary operator()(pool<Guard>& connections) {
        double least = 2;
        summary best;
        for (;;) {
            const auto start = clock::now();
            for (usage idle = now(); timeout_ > clock::now() - start; idle = now()) {
                std::this_thread::sleep_for(300ms);
                if (share_of_others(idle, now()) <= bearable)
                    break;
            }
            const usage before = now();
            const summary s = measure(context_, connections, work_, warm_up_, length_);
            const double others = share_of_others(before, now());
            if (others < least) {
                least = others;
                best = s;
            }
            if (least <= bearable)
                break;
            timeout_ -= clock::now() - start;
            if (timeout_ <= seconds(0))
                break;
            ++repeated_;
        }
        most_ = std::max(most_, least);
        return best;
    }

    void print() const {
        std::printf("other programs used at most %.0f %% of the processors; %d measurements were repeated because they "
                    "used more than %.0f %%\n",
                    100 * most_, repeated_, 100 * bearable);
    }

private:
    static constexpr double bearable = 0.05;

    usage now() const {
        const processor_time machine = time_of_processors();
        return {machine.all, machine.used, status_of(::getpid()).used + postgres_.time_used()};
    }

    asio::io_context& context_;
    const server& postgres_;
    const workload& work_;
    seconds length_, warm_up_, timeout_;
    double most_ = 0;
    int repeated_ = 0;
};

/// Measures one workload with each pool.
inline void run_benchmark(asio::io_context& context, const server& postgres, const workload& work,
                          const options& chosen) {
    std::printf("%s: %s\n", work.name, work.sql);
    std::vector<series> fixed, adaptive;
    std::vector<std::unique_ptr<adaptive_pool>> pools;
    for (const std::size_t limit : static_limits)
        fixed.emplace_back("static " + std::to_string(limit));
    for (const std::size_t limit : first_limits) {
        adaptive.emplace_back("adaptive from " + std::to_string(limit));
        pools.push_back(std::make_unique<adaptive_pool>(postgres.where(), limit));
        const auto start = clock::now();
        measure(context, pools.back()->connections, work, seconds(0), seconds(chosen.quick ? 0.8 : 40));
        print_convergence(adaptive.back(), pools.back()->guard, start);
    }

    // The pools take turns, so that a change on the machine affects all of them.
    quiet_measurements measured(context, postgres, work, chosen);
    for (int round = 0; round < chosen.rounds; ++round) {
        for (std::size_t i = 0; i < static_limits.size(); ++i) {
            flowguard::flow_guard guard{flowguard::fixed_limit{static_limits[i]},
                                        flowguard::guard_options::for_batch()};
            pool connections(postgres.where(), guard);
            fixed[i].add(measured(connections));
            require_order(guard);
        }
        for (std::size_t i = 0; i < pools.size(); ++i) {
            adaptive[i].add(measured(pools[i]->connections));
            require_order(pools[i]->guard);
            const std::size_t limit = pools[i]->guard.current_limit();
            require(limit >= 1 && limit <= static_limits.back(), "the limit is within its bounds");
        }
    }

    const series& most = most_of(fixed);
    const series& best = best_of(fixed);
    print_header();
    for (const series& s : fixed)
        print_line(s, most, best, &s == &best ? "<- best" : &s == &most ? "<- the most" : "");
    for (const series& s : adaptive)
        print_line(s, most, best, "");
    for (const series& s : adaptive)
        if (!chosen.quick)
            print_verdict(s, most, best);
    measured.print();
    std::printf("\n");
    std::fflush(stdout);
}

} // namespace postgres_guard

#endif
