// check.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_CHECK_HPP
#define FLOWGUARD_DETAIL_BASE_CHECK_HPP

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace flowguard::detail {

[[noreturn]] inline void throw_out_of_range(const char* argument, std::size_t value, std::size_t least,
                                            std::size_t most) {
    throw std::invalid_argument("flowguard: " + std::string(argument) + " is " + std::to_string(value) +
                                ", must be in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
}

// Returns the value, or throws std::invalid_argument, with the argument's name, value and range in the message.
constexpr std::size_t check_range(const char* argument, std::size_t value, std::size_t least, std::size_t most) {
    if (value < least || value > most)
        throw_out_of_range(argument, value, least, most); // a function apart, so that the check itself is inlined
    return value;
}

// The same for times, which have no upper end. `least` is in nanoseconds.
inline std::chrono::nanoseconds check_least(const char* argument, std::chrono::nanoseconds value, int least) {
    if (value.count() < least)
        throw std::invalid_argument("flowguard: " + std::string(argument) + " is " + std::to_string(value.count()) +
                                    " ns, must be at least " + std::to_string(least));
    return value;
}

// Which ends belong to a range of real numbers.
enum class ends : std::uint8_t { both, upper, lower };

// The shortest decimal that reads as the same number: 0.9, 1e-09, nan.
inline std::string to_text(double value) {
    std::array<char, 32> text{};
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

// Like check_range(), for real numbers. NaN is in no range.
inline double check_real(const char* argument, double value, double least, double most, ends included = ends::both) {
    const bool enough = included == ends::upper ? value > least : value >= least;
    const bool too_much = included == ends::lower ? value >= most : value > most;
    if (!enough || too_much)
        throw std::invalid_argument("flowguard: " + std::string(argument) + " is " + to_text(value) + ", must be in " +
                                    (included == ends::upper ? "(" : "[") + to_text(least) + ", " + to_text(most) +
                                    (included == ends::lower ? ")" : "]"));
    return value;
}

} // namespace flowguard::detail

#endif
