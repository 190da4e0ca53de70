// load.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_LOAD_HPP
#define LAB_LOAD_HPP

#include <algorithm>

#include "scenario.hpp"

namespace lab {

/// The highest offered load there ever is, over what the server can do at the time.
inline double highest_load(const scenario& s) {
    double highest = 0;
    for (const phase& p : s.phases)
        highest = std::max(highest, p.rate * s.highest_load_factor() / s.capacity(p.workers, p.slowdown));
    return highest;
}

/// Whether the load is so low, always, that whoever is refused is refused falsely. Not where the server stalls: for
/// that while it can do nothing.
inline bool is_light(const scenario& s) {
    return s.stalls.every <= 0 && highest_load(s) <= 0.8;
}

} // namespace lab

#endif
