// split_mix.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_SPLIT_MIX_HPP
#define FLOWGUARD_DETAIL_BASE_SPLIT_MIX_HPP

#include <cstdint>

namespace flowguard::detail {

// Random numbers for jitter, by SplitMix64 (G. Steele, D. Lea, C. Flood, 2014). <random> would take a large part of the
// time that it takes to compile FlowGuard's headers.
//
// The random number that follows from `state`. It is also the next state.
constexpr std::uint64_t split_mix(std::uint64_t state) noexcept {
    std::uint64_t z = state + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// A random number as one in [0, 1).
constexpr double in_unit_interval(std::uint64_t random) noexcept {
    return static_cast<double>(random >> 11) * 0x1p-53;
}

} // namespace flowguard::detail

#endif
