// schedule.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_SCHEDULE_HPP
#define API_CLIENT_SCHEDULE_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "flaky_api.hpp"

namespace api_client {

/// Time since the start of a run.
using seconds = std::chrono::duration<double>;

struct phase {
    const char* name;
    conditions api;
};

/// What happens to the API. In the slow phase and in the brown-out, its capacity is a quarter of the healthy one, which
/// is less than the load.
inline const std::array<phase, 5> phases{{{"healthy", {}},
                                          {"slow, latency x 4", {.service_time = seconds(0.08)}},
                                          {"flaky, 30 % are 503", {.failing = 0.3}},
                                          {"brown-out, workers / 4", {.workers = 4}},
                                          {"healthy again", {}}}};

struct arrival {
    seconds due{};
    std::size_t phase = 0;
};

/// A Poisson process: the requests of a crowd of users who know neither each other nor the state of the API.
inline std::vector<arrival> arrivals(double rate, seconds phase_length, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<double> gap(rate);
    std::vector<arrival> result;
    const seconds end = phase_length * static_cast<double>(phases.size());
    for (seconds due(gap(random)); due < end; due += seconds(gap(random)))
        result.push_back({due, std::min(static_cast<std::size_t>(due / phase_length), phases.size() - 1)});
    return result;
}

} // namespace api_client

#endif
