// schedule.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_SCHEDULE_HPP
#define OVERLOAD_DEMO_SCHEDULE_HPP

#include <chrono>
#include <cstddef>
#include <vector>

namespace overload_demo {

/// Time since the start of a run.
using seconds = std::chrono::duration<double>;

struct phase {
    double load = 0; ///< in multiples of the capacity
    seconds begin{};
    seconds end{};
};

/// The load that is offered over time.
struct schedule {
    double capacity = 0; ///< requests/s
    std::vector<phase> phases;

    seconds length() const { return phases.back().end; }

    std::size_t phase_at(seconds time) const {
        std::size_t i = 0;
        while (i + 1 < phases.size() && time >= phases[i].end)
            ++i;
        return i;
    }

    double rate_at(seconds time) const { return capacity * phases[phase_at(time)].load; }
};

/// Three phases: half of the capacity, overload, half of the capacity.
inline schedule overload_schedule(double capacity, double load, bool quick) {
    const double scale = quick ? 0.12 : 1;
    const seconds start(0), surge(3 * scale), relief(10 * scale), end(12.5 * scale);
    return {capacity, {{0.5, start, surge}, {load, surge, relief}, {0.5, relief, end}}};
}

} // namespace overload_demo

#endif
