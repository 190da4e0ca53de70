// fleet.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_FLEET_HPP
#define LAB_FLEET_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "limiter.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "simulation.hpp"
#include "time.hpp"

namespace lab {

/// All limiters of a scenario.
struct fleet {
    std::vector<std::unique_ptr<limiter>> guards;
    std::unique_ptr<limiter> inner; // the server's own; null if it has none
};

/// Makes the limiters of a scenario, all with one strategy, except the one with a static limit.
inline fleet make_fleet(const scenario& s, const limiter_factory& make, std::uint64_t seed) {
    const auto make_one = [&](std::size_t number) { return make(s.initial_limit, seed * 1000 + number); };
    fleet all;
    for (std::size_t g = 0; g < s.guards(); ++g)
        all.guards.push_back(make_one(g));
    if (s.static_limit > 0)
        all.guards.front() =
            std::make_unique<guard_limiter<flowguard::fixed_limit>>(flowguard::fixed_limit(s.static_limit));
    if (s.inner_guard)
        all.inner = make_one(s.guards());
    return all;
}

/// Runs a scenario with these limiters.
inline record run_fleet(const scenario& s, const limiter_factory& make, std::uint64_t seed) {
    virtual_clock::set({}); // some limiters read it when they are made
    fleet all = make_fleet(s, make, seed);
    return simulation(s, std::move(all.guards), seed, 200, std::move(all.inner)).run();
}

} // namespace lab

#endif
