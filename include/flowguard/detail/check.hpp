// check.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CHECK_HPP
#define FLOWGUARD_DETAIL_CHECK_HPP

#include <cstddef>
#include <stdexcept>
#include <string>

namespace flowguard::detail {

[[noreturn]] inline void throw_out_of_range(const char* argument, std::size_t value, std::size_t least,
                                            std::size_t most) {
    throw std::invalid_argument("flowguard: " + std::string(argument) + " is " + std::to_string(value) +
                                ", must be in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
}

// Returns the value, or throws with the argument's name, value and range.
constexpr std::size_t check_range(const char* argument, std::size_t value, std::size_t least, std::size_t most) {
    if (value < least || value > most)
        throw_out_of_range(argument, value, least, most); // apart, so that the check itself is inlined
    return value;
}

} // namespace flowguard::detail

#endif
