// fleet_plan.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_PLAN_HPP
#define POSTGRES_GUARD_FLEET_PLAN_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "options.hpp"
#include "recorder.hpp"

namespace postgres_guard {

/// The sums of the limits of processes with static limits.
inline constexpr std::array<std::size_t, 7> static_totals{1, 2, 4, 8, 16, 32, 64};

/// How many connections the server must bear: all guards of a fleet at their highest limits. Processes that left may
/// still be connected.
constexpr std::size_t connections_of(std::size_t processes) {
    return (processes + 2) * static_totals.back();
}

/// The limits of the processes without a guard that adapts: as even as whole permits allow.
inline std::vector<std::size_t> spread(std::size_t total, std::size_t processes) {
    std::vector<std::size_t> shares(processes, total / processes);
    std::fill_n(shares.begin(), total % processes, total / processes + 1);
    return shares;
}

/// How fleets are measured.
struct fleet_plan {
    explicit fleet_plan(const options& chosen)
        : processes(chosen.processes),
          highest(chosen.quick ? 16 : static_totals.back()),
          length(chosen.seconds),
          rounds(chosen.rounds),
          warm_up(chosen.quick ? 0.1 : 1),
          settle(chosen.quick ? 0.3 : 30),
          absence(chosen.quick ? 0.1 : 10) {}

    std::size_t processes;
    std::size_t highest; ///< the highest static total, and the highest limit of an adaptive guard
    seconds length; ///< of one period
    int rounds; ///< how many periods
    seconds warm_up; ///< with static limits
    seconds settle; ///< with adaptive limits, after the start and after processes joined again
    seconds absence; ///< with adaptive limits, after processes left
};

} // namespace postgres_guard

#endif
