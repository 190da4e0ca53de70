// time.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_TIME_HPP
#define LAB_TIME_HPP

#include "support/virtual_clock.hpp"

namespace lab {

using support::virtual_clock;
using duration = virtual_clock::duration;
using time_point = virtual_clock::time_point;

inline constexpr time_point never = time_point::max();

inline duration seconds(double s) {
    return duration{static_cast<duration::rep>(s * 1e9)};
}
inline double in_seconds(duration d) {
    return static_cast<double>(d.count()) * 1e-9;
}

} // namespace lab

#endif
