// utf8_test.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/base/utf8.hpp"

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>

namespace {

using flowguard::detail::utf8;

// So many characters U+FFFD.
std::string replaced(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += "\xef\xbf\xbd";
    return text;
}

} // namespace

TEST_CASE("A text in UTF-8 stays as it is") {
    CHECK(utf8("").empty());
    // The first and the last character of each length, and those beside the surrogates.
    for (const std::string& text :
         {std::string(1, '\0'), std::string("\x7f"), std::string("\xc2\x80"), std::string("\xdf\xbf"),
          std::string("\xe0\xa0\x80"), std::string("\xed\x9f\xbf"), std::string("\xee\x80\x80"),
          std::string("\xef\xbf\xbf"), std::string("\xf0\x90\x80\x80"), std::string("\xf4\x8f\xbf\xbf")}) {
        CHECK(utf8(text) == text);
        CHECK(utf8("a" + text + text + "b") == "a" + text + text + "b");
    }
}

TEST_CASE("Each byte that is part of no character becomes U+FFFD") {
    CHECK(utf8("a\x80"
               "b\xff") == "a" + replaced(1) + "b" + replaced(1));
    CHECK(utf8("\xc3") == replaced(1)); // cut off
    CHECK(utf8("\xf0\x9f\x98") == replaced(3));
    CHECK(utf8("\xe2\x82z") == replaced(2) + "z");
    CHECK(utf8("\xc1\xbf") == replaced(2)); // longer than need be
    CHECK(utf8("\xe0\x9f\xbf") == replaced(3));
    CHECK(utf8("\xf0\x8f\xbf\xbf") == replaced(4));
    CHECK(utf8("\xed\xa0\x80") == replaced(3)); // half of a pair of UTF-16
    CHECK(utf8("\xf4\x90\x80\x80") == replaced(4)); // beyond U+10FFFF
    CHECK(utf8("\xf5\x80\x80\x80") == replaced(4));
}
