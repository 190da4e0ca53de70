// sampled_scenarios.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SAMPLED_SCENARIOS_HPP
#define LAB_SAMPLED_SCENARIOS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenario.hpp"
#include "support/random_numbers.hpp"

namespace lab {

namespace detail {

inline scenario sampled_scenario(std::size_t number, support::random_numbers& random) {
    scenario s;
    s.service = random.between(2e-4, 2);
    s.services = static_cast<spread>(random.below(5));
    s.time_out = std::max(2.0, 40 * s.service);
    s.initial_limit = static_cast<std::size_t>(random.between(1, 200));
    const double load = random.between(0.1, 5);
    const double workers = std::round(random.between(1, 1000));
    phase first{.rate = 0, .workers = workers};
    phase second = first;
    double later_load = load;

    const double family = random.uniform();
    if (family < 0.3) {
        s.family = "queue";
    } else if (family < 0.4) {
        s.family = "slower";
        second.slowdown = random.between(1.5, 6);
    } else if (family < 0.5) {
        s.family = "capacity";
        second.workers = std::max(1.0, std::round(workers * random.between(0.3, 3)));
    } else if (family < 0.6) {
        s.family = "crowd";
        later_load = random.between(0.1, 5);
    } else if (family < 0.7) {
        s.family = "downstream";
        s.downstream = s.service * random.between(0.3, 20);
        s.time_out += s.downstream;
    } else if (family < 0.8) {
        s.family = "contention";
        const double best = random.between(4, 400);
        s.contention = random.between(0.2, 1) / best;
        s.coherence = (1 - s.contention) / (best * best);
    } else if (family < 0.85) {
        s.family = "stalls";
        s.stalls = {.every = s.service * random.between(100, 1000), .lasts = s.service * random.between(5, 30)};
    } else if (family < 0.9) {
        s.family = "pulses";
        s.pulses.every = s.service * random.between(50, 500);
        s.pulses.lasts = s.pulses.every * random.between(0.1, 0.4);
        s.pulse_factor = random.between(2, 6);
    } else if (family < 0.95) {
        s.family = "guards";
        first.guards = second.guards = static_cast<std::size_t>(random.between(2, 64));
        first.workers = second.workers = std::max(workers, static_cast<double>(first.guards));
        s.initial_limit = std::max<std::size_t>(1, s.initial_limit / first.guards);
    } else {
        s.family = "callers";
        s.rejected = random.uniform() < 0.5 ? rejected_callers::retry : rejected_callers::wait;
    }

    // Long enough to settle, but no longer, because longer runs take longer to simulate.
    const double capacity = s.capacity(first.workers);
    const double parallel = capacity * (s.service + s.downstream);
    const double most_load = std::max({load, later_load, 1.0});
    const double arrivals =
        std::clamp(1500 * parallel * most_load * std::sqrt(static_cast<double>(first.guards)), 40e3, 1e6);
    first.length = second.length = arrivals / (capacity * most_load) / 2;
    first.rate = load * capacity;
    second.rate = later_load * capacity;
    s.phases = {first, second};
    if (later_load == load && second.slowdown == 1 && second.workers == first.workers)
        s.phases = {{2 * first.length, first.rate, first.workers, 1, first.guards}};
    s.name = s.family + ' ' + std::to_string(number);
    return s;
}

} // namespace detail

/// Scenarios for judging strategies. They are drawn at random, so that nothing is tuned to a table.
inline std::vector<scenario> sampled_scenarios(std::size_t count, std::uint64_t seed = 42) {
    support::random_numbers random(seed);
    std::vector<scenario> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(detail::sampled_scenario(i, random));
    return all;
}

} // namespace lab

#endif
