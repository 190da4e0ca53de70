// limits.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_LIMITS_HPP
#define FLOWGUARD_LIMITS_HPP

#include <chrono>
#include <cstddef>

namespace flowguard {

/// Round-trip times (RTTs) and other lengths of time, whatever clock measured them.
using duration = std::chrono::nanoseconds;

/// The highest limit that a semaphore or guard can have, some 268 million. (Permits are counted in 32 bits, signed.
/// Even if several threads add or take as many at once, the count does not overflow.)
inline constexpr std::size_t max_limit = (std::size_t{1} << 28) - 1;

/// How many kinds of calls a guard tells apart: see run_options::kind.
inline constexpr std::size_t max_kinds = 16;

/// How many partitions a guard's calls can have: see guard_options::partitions.
inline constexpr std::size_t max_partitions = 16;

/// How many parts a split_guard can have.
inline constexpr std::size_t max_parts = 1024;

} // namespace flowguard

#endif
