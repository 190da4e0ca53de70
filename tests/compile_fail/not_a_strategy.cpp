// not_a_strategy.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The compiler must name the concept that the type does not satisfy, and not some line inside the guard.
// expected: satisfaction of 'limit_strategy<Strategy>' .with Strategy = not_a_strategy
// expected: 'not_a_strategy' does not satisfy 'limit_strategy'

#include <cstddef>

#include "flowguard.hpp"

struct not_a_strategy {
    std::size_t current_limit() const { return 10; }
#ifdef FLOWGUARD_CONTROL
    std::size_t update(const flowguard::window&) { return 10; }
#endif
};

flowguard::flow_guard<not_a_strategy> guard{not_a_strategy{}};
