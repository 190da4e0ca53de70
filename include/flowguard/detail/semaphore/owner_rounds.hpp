// owner_rounds.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_OWNER_ROUNDS_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_OWNER_ROUNDS_HPP

#include <cstddef>

namespace flowguard::detail {

// Bounds on the work of the owner of a semaphore's queue. They are high enough to spread the cost of a round over many
// grants, and low enough to return the owner's thread to its caller soon, after some 100 µs.
struct owner_rounds {
    static constexpr std::size_t most_grants = 64; // in one round
    static constexpr int most_rounds = 16;         // before the owner tries to hand the queue on
};

} // namespace flowguard::detail

#endif
