// fleet_benchmark.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_BENCHMARK_HPP
#define POSTGRES_GUARD_FLEET_BENCHMARK_HPP

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <flowguard.hpp>

#include "benchmark.hpp"
#include "fleet.hpp"
#include "fleet_history.hpp"
#include "fleet_plan.hpp"
#include "fleet_series.hpp"
#include "load.hpp"
#include "options.hpp"
#include "recorder.hpp"
#include "server.hpp"

namespace postgres_guard {

/// Measures one static total once.
inline void measure_static(const server& postgres, const workload& work, std::size_t total, const fleet_plan& plan,
                           fleet_series& results) {
    fleet members(postgres.where(), work);
    std::vector<std::size_t> running;
    for (const std::size_t share : spread(total, plan.processes))
        if (share > 0)
            running.push_back(members.start(flowguard::fixed_limit{share}));
    members.wait_for_answers(running);
    members.run_for(plan.warm_up);
    const std::vector<period> periods = periods_of(members, postgres, plan.length, 1);
    members.stop(running);
    results.add(members, running, periods.front());
}

/// Measures an adaptive fleet: with all processes, after some of them left, and after these joined again. Adds three
/// results.
inline fleet_history measure_adaptive(const server& postgres, const workload& work, std::size_t first_limit,
                                      const fleet_plan& plan, std::vector<fleet_series>& results) {
    const flowguard::vegas_strategy strategy({.initial_limit = first_limit, .max_limit = plan.highest});
    const std::string name = "from " + std::to_string(first_limit);
    fleet members(postgres.where(), work);
    fleet_history history{.name = std::string(work.name) + ", adaptive, " + name};

    std::vector<std::size_t> running;
    for (std::size_t i = 0; i < plan.processes; ++i)
        running.push_back(members.start(strategy));
    members.wait_for_answers(running);
    members.run_for(plan.settle);
    const std::vector<period> at_first = periods_of(members, postgres, plan.length, plan.rounds);

    const auto middle = running.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, plan.processes - 1));
    const std::vector<std::size_t> leaving(running.begin(), middle), staying(middle, running.end());
    history.left_at = members.now();
    members.stop(leaving);
    members.run_for(plan.absence);
    const std::vector<period> in_absence = periods_of(members, postgres, plan.length, plan.rounds);

    history.joined_at = members.now();
    std::vector<std::size_t> again;
    for (std::size_t i = 0; i < leaving.size(); ++i)
        again.push_back(members.start(strategy));
    members.wait_for_answers(again);
    members.run_for(plan.settle);
    std::vector<std::size_t> in_the_end = again;
    in_the_end.insert(in_the_end.end(), staying.begin(), staying.end());
    const std::vector<period> at_last = periods_of(members, postgres, plan.length, plan.rounds);
    history.end = members.now();
    members.stop(in_the_end);

    const auto add = [&](const std::string& what, const std::vector<std::size_t>& who,
                         const std::vector<period>& periods) {
        results.emplace_back(what, who.size());
        for (const period& p : periods)
            results.back().add(members, who, p);
    };
    add("adaptive " + name, running, at_first);
    add(name + ", " + std::to_string(leaving.size()) + " left", staying, in_absence);
    add(name + ", rejoined", in_the_end, at_last);

    const auto limits = [&](const std::vector<std::size_t>& who) {
        std::vector<std::vector<limit_sample>> all;
        for (const std::size_t i : who)
            all.push_back(members.members()[i].limits);
        return all;
    };
    history.stayed = limits(staying);
    history.left = limits(leaving);
    history.joined = limits(again);
    return history;
}

inline void print_fleet_header() {
    std::printf(
        "fleet              throughput  of the best   mean RTT        p99  of the best  fairness  limits  others\n");
}

inline void print_fleet_line(const fleet_series& s, const fleet_series& best) {
    std::printf("%-17s  %8.0f/s  %9.0f %%  %6.2f ms  %6.1f ms  %9.2f x  %8.3f  %6.1f  %4.0f %%  %s\n", s.name.c_str(),
                s.throughput(), 100 * s.throughput() / best.throughput(), s.mean(), s.p99(), s.p99() / best.p99(),
                s.fairness(), s.total_of_limits(), 100 * s.others(), &s == &best ? "<- best" : "");
}

inline void print_fleet_verdict(const fleet_series& s, const fleet_series& best) {
    const auto verdict = [](bool met) { return met ? "met" : "missed"; };
    const double share = s.throughput() / best.throughput(), ratio = s.p99() / best.p99();
    std::printf(
        "%s: throughput %.0f %% of %s (goal: at least 95 %%): %s; p99 %.2f x (goal: at most 1.5 x): %s; fairness "
        "%.3f (goal: at least 0.95): %s\n",
        s.name.c_str(), 100 * share, best.name.c_str(), verdict(share >= 0.95), ratio, verdict(ratio <= 1.5),
        s.fairness(), verdict(s.fairness() >= 0.95));
}

/// Measures one workload with static and adaptive fleets. Adds what the adaptive ones did to `histories`.
inline void run_fleet_benchmark(const server& postgres, const workload& work, const options& chosen,
                                std::vector<fleet_history>& histories) {
    std::printf("%s, %zu processes: %s\n", work.name, chosen.processes, work.sql);
    const fleet_plan plan(chosen);
    std::vector<fleet_series> fixed;
    for (const std::size_t total : static_totals)
        if (total <= plan.highest)
            fixed.emplace_back("static " + std::to_string(total), chosen.processes);
    for (int round = 0; round < plan.rounds; ++round)
        for (std::size_t i = 0; i < fixed.size(); ++i)
            measure_static(postgres, work, static_totals[i], plan, fixed[i]);

    const fleet_series& best = best_of(fixed);
    print_fleet_header();
    for (const fleet_series& s : fixed)
        print_fleet_line(s, best);
    std::fflush(stdout);
    std::vector<fleet_series> adaptive;
    for (const std::size_t first_limit : first_limits) {
        const std::size_t printed = adaptive.size();
        histories.push_back(measure_adaptive(postgres, work, std::min(first_limit, plan.highest), plan, adaptive));
        histories.back().best_total = best.total_of_limits();
        for (std::size_t i = printed; i < adaptive.size(); ++i)
            print_fleet_line(adaptive[i], best);
        std::fflush(stdout);
    }
    for (const fleet_series& s : adaptive)
        if (!chosen.quick)
            print_fleet_verdict(s, best);
    std::printf("\n");
}

} // namespace postgres_guard

#endif
