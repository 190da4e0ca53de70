// slug.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SLUG_HPP
#define LAB_SLUG_HPP

#include <string>
#include <string_view>

namespace lab {

/// Turns a name into that of a file or an anchor, such as queue-4-fixed-0.7x.
inline std::string slug(std::string_view name) {
    std::string result;
    for (const char c : name) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
        if (plain)
            result += c;
        else if (!result.empty() && result.back() != '-')
            result += '-';
    }
    return result;
}

} // namespace lab

#endif
