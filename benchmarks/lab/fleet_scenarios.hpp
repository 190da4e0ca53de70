// fleet_scenarios.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_FLEET_SCENARIOS_HPP
#define LAB_FLEET_SCENARIOS_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "fixed_scenarios.hpp"
#include "scenario.hpp"

namespace lab {

namespace detail {

// Guards in front of a server with 40 workers, of which each takes 20 ms, under `load` times what they can do.
inline scenario fleet_of(std::size_t guards, double load, double length, std::string family, const std::string& name,
                         double workers = 40) {
    scenario s;
    s.name = family + ' ' + name;
    s.family = std::move(family);
    s.service = 0.02;
    s.time_out = 2;
    s.compares_guards = true;
    s.phases = {{.length = length, .rate = load * s.capacity(workers), .workers = workers, .guards = guards}};
    return s;
}

// Service A calls service B. Each has a guard, and each request takes 20 ms in both. `load` is over the capacity of the
// one with 40 workers; the other one has 80.
inline scenario chain(bool a_is_bottleneck, double load, const std::string& name) {
    scenario s = fleet_of(1, load, 120, "chain", name);
    s.inner_guard = true;
    s.inner_rejections_are_ignored = true; // as in flow_guard::run()
    s.refusal_time = 0; // both guards are in A
    s.front_service = s.service;
    s.front_workers = a_is_bottleneck ? 40 : 80;
    s.phases[0].workers = a_is_bottleneck ? 80 : 40;
    return s;
}

} // namespace detail

/// Guards that differ, and guards behind guards.
inline std::vector<scenario> fleet_scenarios() {
    using detail::chain;
    using detail::fleet_of;
    std::vector<scenario> all;

    // The RTT without a queue is five times as long for half of the guards; and, to compare, the same for all.
    for (const auto& [length, how_long] : {std::pair{120.0, ", 2 min"}, std::pair{600.0, ", 10 min"}})
        for (const auto& [guards, near_and_far] : {std::pair{8U, "4 + 4"}, std::pair{32U, "16 + 16"}}) {
            all.push_back(fleet_of(guards, 1.5, length, "near", std::to_string(guards) + how_long));
            all.push_back(fleet_of(guards, 1.5, length, "far", std::string(near_and_far) + how_long));
            all.back().distance = 4 * all.back().service;
        }

    // Each guard alone has more demand than the workers can serve.
    all.push_back(fleet_of(8, 12, 120, "near", "8, 12x"));

    // The server has processors that all requests share. Either there is half as much demand again as they can serve,
    // or each guard alone has four times that. In the last rows, the guards start at 20.
    const auto processors = [&](std::size_t guards, double workers, double load, std::size_t initial_limit) {
        const std::string first = initial_limit > 0 ? ", from " + std::to_string(initial_limit) : "";
        all.push_back(fleet_of(guards, load, 120, "processors",
                               std::to_string(guards) + " on " + detail::text_of(workers) + ' ' +
                                   detail::text_of(load) + 'x' + first,
                               workers));
        scenario& s = all.back();
        s.shares_processors = true;
        s.time_out = 0;
        s.initial_limit = initial_limit;
    };
    for (const std::size_t guards : {std::size_t{1}, std::size_t{4}, std::size_t{8}})
        for (const double workers : {2.0, 40.0})
            for (const double load : {1.5, 4.0 * static_cast<double>(guards)})
                processors(guards, workers, load, 0);
    for (const double workers : {2.0, 40.0})
        processors(4, workers, 16, 20);

    // One of eight callers has a static limit. Its demand is as high as that of the others, or such that it alone could
    // overload the server, as the others could together.
    const auto greedy = [&](std::size_t limit, double load, double demand, const std::string& name) {
        all.push_back(fleet_of(8, load, 120, "greedy", name));
        all.back().static_limit = limit;
        all.back().first_demand = demand;
    };
    greedy(80, 1.5, 0, "80, equal demand");
    greedy(80, 3, 0.5, "80, 1.5x alone");
    greedy(40, 3, 0.5, "40, 1.5x alone");
    greedy(20, 3, 0.5, "20, 1.5x alone");

    struct layered {
        std::size_t guards;
        double load;
        const char* name;
    };
    for (const layered& l :
         {layered{8, 1.5, "8 1.5x"}, layered{8, 3, "8 3x"}, layered{8, 12, "8 12x"}, layered{32, 1.5, "32 1.5x"}}) {
        all.push_back(fleet_of(l.guards, l.load, 120, "layers", l.name));
        all.back().inner_guard = true;
    }
    // The overload begins when all guards know the server.
    all.push_back(fleet_of(8, 0.5, 60, "layers", "8 0.5x to 3x"));
    all.back().inner_guard = true;
    all.back().phases.push_back(all.back().phases.front());
    all.back().phases.back().rate *= 6;

    all.push_back(chain(false, 1.5, "B 1.5x"));
    all.push_back(chain(false, 3, "B 3x"));
    all.push_back(chain(true, 1.5, "A 1.5x"));
    all.push_back(chain(true, 3, "A 3x"));
    all.push_back(chain(false, 1.5, "B 1.5x, drops"));
    all.back().inner_rejections_are_ignored = false; // as with a layer that answers 503

    // The callers of one service, split among so many guards, as by a split_guard.
    for (const double workers : {16.0, 64.0, 200.0})
        for (const double load : {0.7, 1.5})
            for (const std::size_t parts : {std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{8}})
                all.push_back(fleet_of(
                    parts, load, 120, "split",
                    detail::text_of(workers) + ' ' + detail::text_of(load) + "x in " + std::to_string(parts), workers));
    return all;
}

} // namespace lab

#endif
