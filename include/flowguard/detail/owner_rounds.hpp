// owner_rounds.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_OWNER_ROUNDS_HPP
#define FLOWGUARD_DETAIL_OWNER_ROUNDS_HPP

#include <cstddef>

namespace flowguard::detail {

// How much the owner of a semaphore's queue does. Enough that the cost of a round is spread, few enough that a caller
// is not kept for long: some 100 µs.
struct owner_rounds {
    static constexpr std::size_t most_grants = 64; // in one round
    static constexpr int most_rounds = 16;         // before the owner tries to hand the queue on
};

} // namespace flowguard::detail

#endif
