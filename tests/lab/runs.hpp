// runs.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// Runs of the lab's simulation, and sums over their records.

#ifndef FLOWGUARD_TESTS_LAB_RUNS_HPP
#define FLOWGUARD_TESTS_LAB_RUNS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard/strategies/vegas_strategy.hpp"
#include "lab/limiter.hpp"
#include "lab/oracle.hpp"
#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/simulation.hpp"
#include "lab/time.hpp"
#include "theory.hpp"

using limiters = std::vector<std::unique_ptr<lab::limiter>>;

constexpr std::size_t no_limit = 1'000'000'000;

inline limiters fixed(std::size_t limit) {
    limiters one;
    one.push_back(std::make_unique<lab::scheduled_limiter>(std::vector{limit}));
    return one;
}

inline limiters vegas(std::size_t count = 1, std::size_t initial_limit = 20) {
    limiters all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(
            std::make_unique<lab::guard_limiter<flowguard::vegas_strategy>>(flowguard::vegas_strategy(initial_limit)));
    return all;
}

inline lab::record run(const lab::scenario& s, limiters front, std::uint64_t seed = 1, std::size_t bins = 200) {
    lab::virtual_clock::set({}); // limiters ask for the time when they are made
    return lab::simulation(s, std::move(front), seed, bins).run();
}

inline double offered(const lab::record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.offered; });
}

inline double rejected(const lab::record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.rejected; });
}

inline double answered(const lab::record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.rtts.size(); });
}

inline double succeeded(const lab::record& r) {
    return r.succeeded(0, r.bins.size());
}

inline std::vector<std::size_t> offered_by_bin(const lab::record& r) {
    std::vector<std::size_t> all;
    for (const lab::bin& b : r.bins)
        all.push_back(b.offered);
    return all;
}

inline std::vector<remembering_limiter::end> ends_of(const lab::scenario& s, std::size_t limit) {
    std::vector<remembering_limiter::end> ends;
    limiters one;
    one.push_back(std::make_unique<remembering_limiter>(limit, ends));
    run(s, std::move(one));
    return ends;
}

// A scenario with a mean service time of 1 s, in which each worker is busy for the share `utilisation` of the time.
inline lab::scenario queue(double workers, double utilisation, double arrivals,
                           lab::spread services = lab::spread::exponential) {
    lab::scenario s;
    s.service = 1;
    s.services = services;
    s.phases = {{.length = arrivals / (workers * utilisation), .rate = workers * utilisation, .workers = workers}};
    return s;
}

struct named_change {
    const char* name;
    void (*change)(lab::scenario&);
};

inline const std::vector<named_change>& varied_scenarios() {
    static const std::vector<named_change> all{
        {"plain", [](lab::scenario&) {}},
        {"time-outs", [](lab::scenario& s) { s.time_out = 0.012; }},
        {"downstream", [](lab::scenario& s) { s.downstream = 0.05; }},
        {"stalls", [](lab::scenario& s) { s.stalls = {.every = 1, .lasts = 0.3}; }},
        {"stalls and time-outs",
         [](lab::scenario& s) {
             s.stalls = {.every = 1, .lasts = 0.3};
             s.time_out = 0.1;
         }},
        {"retries", [](lab::scenario& s) { s.rejected = lab::rejected_callers::retry; }},
        {"waiting", [](lab::scenario& s) { s.rejected = lab::rejected_callers::wait; }},
        {"waiting with time-outs",
         [](lab::scenario& s) {
             s.rejected = lab::rejected_callers::wait;
             s.time_out = 0.02;
         }},
        {"guards",
         [](lab::scenario& s) {
             for (lab::phase& p : s.phases)
                 p.guards = 4;
             s.phases[1].guards = 2;
         }},
        {"far guards",
         [](lab::scenario& s) {
             s.distance = 0.03;
             s.first_demand = 0.5;
             for (lab::phase& p : s.phases)
                 p.guards = 4;
         }},
        {"a service in front",
         [](lab::scenario& s) {
             s.front_workers = 10;
             s.front_service = 0.01;
         }},
        {"sharing",
         [](lab::scenario& s) {
             s.contention = 0.1;
             s.coherence = 0.002;
             s.stalls = {.every = 1, .lasts = 0.1};
         }},
        {"all",
         [](lab::scenario& s) {
             s.services = lab::spread::lognormal;
             s.downstream = 0.01;
             s.time_out = 0.05;
             s.stalls = {.every = 1, .lasts = 0.1};
             s.pulses = {.every = 0.7, .lasts = 0.2};
             s.pulse_factor = 3;
             s.rejected = lab::rejected_callers::retry;
             for (lab::phase& p : s.phases)
                 p.guards = 3;
         }},
    };
    return all;
}

inline lab::scenario varied(const named_change& how) {
    lab::scenario s;
    s.phases = {{.length = 5, .rate = 1200, .workers = 8},
                {.length = 5, .rate = 1200, .workers = 8, .slowdown = 2},
                {.length = 5, .rate = 600, .workers = 12}};
    how.change(s);
    return s;
}

#endif
