// load.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_LOAD_HPP
#define LAB_LOAD_HPP

#include <algorithm>

#include "scenario.hpp"

namespace lab {

/// The highest load that is ever offered, over the capacity of the server at that time.
inline double highest_load(const scenario& s) {
    double highest = 0;
    for (const phase& p : s.phases)
        highest = std::max(highest, p.rate * s.highest_load_factor() / s.capacity(p.workers, p.slowdown));
    return highest;
}

/// Whether the load is always so low that each rejection is a false one. False for a server that stalls, which can do
/// nothing during a stall.
inline bool is_light(const scenario& s) {
    return s.stalls.every <= 0 && highest_load(s) <= 0.8;
}

} // namespace lab

#endif
