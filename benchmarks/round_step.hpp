// round_step.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_BENCHMARKS_ROUND_STEP_HPP
#define FLOWGUARD_BENCHMARKS_ROUND_STEP_HPP

#include <cmath>

/// For the grid of a chart: the least of 1, 2, 5, 10, 20, ..., or of 0.5, 0.2, ..., that is no less.
inline double round_step(double least) {
    const double power = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= least)
            return factor * power;
    return 10 * power;
}

#endif
