// rejection.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_REJECTION_HPP
#define FLOWGUARD_SUPPORT_REJECTION_HPP

#include <stdexcept>
#include <string>

namespace support {

// The text of the std::invalid_argument that `f()` throws; "accepted" if it throws none.
template <class F>
std::string rejection_of(F f) {
    try {
        f();
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "accepted";
}

// The same for the construction of a Strategy from an argument.
template <class Strategy, class Argument>
std::string rejection(const Argument& argument) {
    return rejection_of([&] { Strategy{argument}; });
}

} // namespace support

#endif
