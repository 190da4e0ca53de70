// outcome.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_OUTCOME_HPP
#define FLOWGUARD_OUTCOME_HPP

#include <cstddef>
#include <cstdint>

namespace flowguard {

/// How a guarded task ended, and so what it says about the load.
enum class outcome : std::uint8_t {
    success, ///< The task succeeded. Its RTT is a sample.
    ignored, ///< Its end says nothing about the load: the caller cancelled, or the request was bad.
    dropped  ///< Overload: it timed out, or was rejected, or answered 503. Its RTT is a lower bound.
};

/// How many outcomes there are.
inline constexpr std::size_t outcome_count = 3;

} // namespace flowguard

#endif
