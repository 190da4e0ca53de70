// utf8.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_UTF8_HPP
#define FLOWGUARD_DETAIL_BASE_UTF8_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace flowguard::detail {

// How many bytes the character takes that a text begins with; 0 if it does not begin with a character in UTF-8
// (RFC 3629, section 4). The text is not empty.
constexpr std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; // 0 continues no character
    };
    const auto is_in = [](unsigned b, unsigned least, unsigned most) { return b >= least && b <= most; };
    const auto continues = [&](std::size_t i) { return is_in(byte(i), 0x80, 0xbf); };
    const unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (is_in(first, 0xc2, 0xdf))
        return continues(1) ? 2 : 0;
    if (is_in(first, 0xe0, 0xef)) { // no longer form than need be, and no half of a pair of UTF-16
        const bool second = is_in(byte(1), first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
        return second && continues(2) ? 3 : 0;
    }
    if (is_in(first, 0xf0, 0xf4)) { // nor beyond U+10FFFF
        const bool second = is_in(byte(1), first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
        return second && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

// The text in UTF-8: each byte that is part of no character becomes U+FFFD. A reader of Prometheus' text, or of JSON,
// may reject all of it for one such byte.
inline std::string utf8(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        result.append(length == 0 ? "\xef\xbf\xbd" : text.substr(0, length));
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return result;
}

} // namespace flowguard::detail

#endif
