// refusal.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_SUPPORT_REFUSAL_HPP
#define FLOWGUARD_TESTS_SUPPORT_REFUSAL_HPP

#include <stdexcept>
#include <string>

namespace support {

// What std::invalid_argument says when `f()` throws one, else "accepted".
template <class F>
std::string refusal_of(F f) {
    try {
        f();
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "accepted";
}

// The same when a Strategy is made of an argument.
template <class Strategy, class Argument>
std::string refusal(const Argument& argument) {
    return refusal_of([&] { Strategy{argument}; });
}

} // namespace support

#endif
