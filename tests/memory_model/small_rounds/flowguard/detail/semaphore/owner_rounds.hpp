// owner_rounds.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_OWNER_ROUNDS_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_OWNER_ROUNDS_HPP

#include <cstddef>

// Replaces the library's header of this name, so that the few threads of a scenario reach both bounds. Here the owner
// grants one permit in each round, and tries to hand the queue on after each round.
namespace flowguard::detail {

struct owner_rounds {
    static constexpr std::size_t most_grants = 1;
    static constexpr int most_rounds = 1;
};

} // namespace flowguard::detail

#endif
