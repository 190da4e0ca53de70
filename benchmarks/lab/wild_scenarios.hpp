// wild_scenarios.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_WILD_SCENARIOS_HPP
#define LAB_WILD_SCENARIOS_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenario.hpp"
#include "support/random_numbers.hpp"

namespace lab {

namespace detail {

/// Draws a scenario of a family, but for its name.
using wild_family = scenario (*)(support::random_numbers& random);

// A server of workers with one phase, on which the families build.
inline scenario one_phase(support::random_numbers& random, double load, double length = 60) {
    scenario s;
    s.service = random.between(0.02, 0.1);
    s.services = static_cast<spread>(random.below(3));
    s.time_out = std::max(1.0, 40 * s.service);
    s.initial_limit = static_cast<std::size_t>(random.between(5, 100));
    const double workers = std::round(random.between(8, 100));
    s.phases = {{.length = length, .rate = load * s.capacity(workers), .workers = workers}};
    return s;
}

// A phase like this one, with another length, and so many times its load.
inline phase like(const phase& first, double length, double load_factor = 1) {
    phase p = first;
    p.length = length;
    p.rate *= load_factor;
    return p;
}

/// Nothing is answered for a while; then the server is well again.
inline scenario outage(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.5, 1.5), 20);
    phase out = like(s.phases[0], 600 * s.service);
    out.workers = 0;
    s.phases.push_back(out);
    s.phases.push_back(like(s.phases[0], 30));
    return s;
}

/// For a second now and then, every request is refused at once.
inline scenario refusals(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.5, 1.5), 120);
    s.outages = {.every = random.between(10, 30), .lasts = random.between(0.5, 2)};
    return s;
}

/// An incident, then a quiet time, then a burst.
inline scenario incident(support::random_numbers& random) {
    scenario s = one_phase(random, 0.6, 20);
    phase out = like(s.phases[0], 10);
    out.workers = 0;
    s.phases.push_back(out);
    s.phases.push_back(like(s.phases[0], 120, 0.05));
    s.phases.push_back(like(s.phases[0], 20, random.between(1.5, 3)));
    return s;
}

/// The RTT changes by itself: a failover, another mix, a neighbour. In one of two, what the server can do stays as it
/// was.
inline scenario shift(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.4, 0.8), 40);
    phase slower = like(s.phases[0], 60);
    slower.slowdown = random.between(1.4, 3);
    if (random.uniform() < 0.5)
        slower.workers = std::round(slower.workers * slower.slowdown);
    s.phases.push_back(slower);
    return s;
}

/// Most calls are ignored, and quick: health checks, requests that are not allowed.
inline scenario ignored_calls(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.5, 1.5));
    s.ignored = random.between(5, 40);
    s.ignored_time = s.service * random.between(0.01, 0.1);
    return s;
}

/// Long-lived calls beside short ones.
inline scenario watches(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.3, 0.8), 180);
    s.watches = s.phases[0].workers * random.between(0.5, 4);
    s.watch_time = random.between(20, 90);
    return s;
}

/// One call of a hundred is two hundred times as long.
inline scenario tail(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.4, 0.7), 120);
    s.services = spread::tail;
    s.time_out = 0;
    return s;
}

/// The server refuses what exceeds a rate, at once.
inline scenario rate_limit(support::random_numbers& random) {
    scenario s = one_phase(random, 1);
    s.rate_limit = s.phases[0].rate * random.between(0.2, 0.6);
    s.phases[0].rate = s.rate_limit * random.between(1.2, 3);
    return s;
}

/// The server has a limit of its own, and refuses what exceeds it, at once.
inline scenario inner_limit(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(1.2, 3));
    s.service_limit = static_cast<std::size_t>(s.phases[0].workers * random.between(1, 2));
    return s;
}

/// The server is stopped for a part of each tenth of a second: a quota of its processor.
inline scenario quota(support::random_numbers& random) {
    scenario s = one_phase(random, 1);
    s.service = random.between(0.002, 0.02);
    s.stalls = {.every = 0.1, .lasts = random.between(0.03, 0.07)};
    s.phases[0].rate = random.between(0.5, 1.5) * s.capacity(s.phases[0].workers) * (1 - s.stalls.lasts / 0.1);
    return s;
}

/// The server takes requests in batches.
inline scenario batches(support::random_numbers& random) {
    scenario s = one_phase(random, 1);
    s.batch = static_cast<std::size_t>(random.between(8, 64));
    s.batch_base = random.between(0.01, 0.05);
    s.batch_each = s.batch_base / random.between(20, 60);
    s.service = s.batch_base;
    s.phases[0].rate = random.between(0.5, 1.5) * s.capacity(1);
    return s;
}

/// What others get right as well: clients that leave or insist, pauses, a slow start.
inline scenario quiet(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.3, 2));
    switch (random.below(3)) {
    case 0:
        s.rejected = rejected_callers::retry;
        break;
    case 1:
        s.stalls = {.every = random.between(5, 20), .lasts = 10 * s.service};
        break;
    default: {
        phase cold = like(s.phases[0], 20);
        cold.slowdown = random.between(2, 4);
        s.phases.insert(s.phases.begin(), cold);
    }
    }
    return s;
}

/// Connections have to be opened, which costs as much as many requests: at the start, after a rise of the limit, and
/// after a quiet time.
inline scenario connections(support::random_numbers& random) {
    scenario s = one_phase(random, random.between(0.5, 2), 40);
    s.connect = s.service * std::exp(random.between(1, 5));
    s.time_out += s.connect;
    s.phases.push_back(like(s.phases[0], 40, 0.1));
    s.phases.push_back(s.phases[0]);
    return s;
}

/// Short and long calls, whose shares of the requests change again and again.
inline scenario kinds(support::random_numbers& random) {
    scenario s = one_phase(random, 1);
    const double ratio = random.between(5, 500);
    const double few = random.between(0.02, 0.1); // the share of long calls
    const double many = random.between(0.3, 0.9);
    s.kinds = {1, ratio};
    phase& calm = s.phases[0];
    calm.shares = {1 - few, few};
    const double longest = s.service * s.cost(calm, 1);
    s.time_out = std::max(1.0, 20 * longest);
    calm = like(calm, std::max(60.0, 150 * longest), random.between(0.5, 1.5));
    phase busy = calm;
    busy.shares = {1 - many, many};
    busy.slowdown = s.cost(calm, 1) / s.cost(busy, 1);
    busy.rate = random.between(0.5, 1.5) * s.capacity(busy.workers, busy.slowdown);
    s.phases = {calm, busy, calm, busy};
    return s;
}

} // namespace detail

/// Scenarios in which users of adaptive limiters got into trouble: at least one family for each kind of report. Their
/// parameters are drawn, so that nothing is tuned to one number.
inline std::vector<scenario> wild_scenarios(std::size_t of_each = 4, std::uint64_t seed = 7) {
    struct named_family {
        const char* name;
        detail::wild_family draw;
    };
    constexpr std::array families{
        named_family{"outage", detail::outage},
        named_family{"refusals", detail::refusals},
        named_family{"incident", detail::incident},
        named_family{"shift", detail::shift},
        named_family{"ignored", detail::ignored_calls},
        named_family{"watches", detail::watches},
        named_family{"tail", detail::tail},
        named_family{"rate-limit", detail::rate_limit},
        named_family{"inner-limit", detail::inner_limit},
        named_family{"quota", detail::quota},
        named_family{"batches", detail::batches},
        named_family{"quiet", detail::quiet},
        named_family{"kinds", detail::kinds},
        named_family{"connections", detail::connections},
    };
    std::vector<scenario> all;
    for (const named_family& f : families) {
        support::random_numbers random(
            seed); // of its own, so that a change of one family leaves the others as they are
        for (std::size_t i = 1; i <= of_each; ++i) {
            scenario s = f.draw(random);
            s.family = f.name;
            s.name = "wild " + s.family + ' ' + std::to_string(i);
            all.push_back(std::move(s));
        }
    }
    return all;
}

} // namespace lab

#endif
