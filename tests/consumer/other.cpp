// other.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <cstddef>

#include "flowguard.hpp"

std::size_t limit_in_other_file() {
    return flowguard::vegas_strategy{}.current_limit();
}
