// fleet_history.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_HISTORY_HPP
#define POSTGRES_GUARD_FLEET_HISTORY_HPP

#include <string>
#include <vector>

#include "fleet.hpp"
#include "recorder.hpp"

namespace postgres_guard {

/// What a chart shows of an adaptive fleet.
struct fleet_history {
    std::string name;
    std::vector<std::vector<limit_sample>> stayed{}, left{}, joined{}; ///< limits of each process
    seconds left_at{}, joined_at{}, end{};
    double best_total = 0; ///< of the static ones
};

} // namespace postgres_guard

#endif
