// markup.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_MARKUP_HPP
#define LAB_MARKUP_HPP

#include <string>
#include <string_view>

namespace lab {

/// As text in SVG or HTML.
inline std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == '"')
            result += "&quot;";
        else
            result += c;
    }
    return result;
}

/// As the name of a file, or of an anchor: queue-4-fixed-0.7x.
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
