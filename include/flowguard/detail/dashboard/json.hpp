// json.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_JSON_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_JSON_HPP

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/detail/base/utf8.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// A JSON string (RFC 8259, section 7). It may stand in a <script> element, too: it has no "<".
inline std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result = "\"";
    for (const char c : utf8(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || c == '"' || c == '\\' || c == '<')
            result.append("\\u00").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
        else
            result += c;
    }
    return result += '"';
}

// A JSON number; 0 for what JSON cannot express, such as infinity.
inline std::string json_number(double value) {
    std::array<char, 32> digits{};
    const double finite = math::is_finite(value) ? value : 0;
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), finite).ptr};
}

// Builds one JSON object, member by member.
class json_object {
public:
    void add_json(std::string_view name, std::string_view json) {
        text_.append(text_.empty() ? "{" : ",").append(json_string(name)).append(":").append(json);
    }
    void add(std::string_view name, std::string_view text) { add_json(name, json_string(text)); }
    void add(std::string_view name, double value) { add_json(name, json_number(value)); }
    void add_count(std::string_view name, std::uint64_t value) { add_json(name, std::to_string(value)); }
    void add_ms(std::string_view name, duration time) { // to the microsecond
        const auto microseconds = time.count() / 1000;
        add(name, static_cast<double>(microseconds) / 1000);
    }

    std::string text() const { return text_.empty() ? "{}" : text_ + '}'; }

private:
    std::string text_;
};

// Builds one JSON array, element by element.
class json_list {
public:
    void add_json(std::string_view json) { text_.append(text_.empty() ? "[" : ",").append(json); }

    std::string text() const { return text_.empty() ? "[]" : text_ + ']'; }

private:
    std::string text_;
};

// A JSON array of what `to_json` makes of each element.
template <class Range, class ToJson>
std::string json_array(const Range& elements, ToJson to_json) {
    json_list list;
    for (const auto& element : elements)
        list.add_json(to_json(element));
    return list.text();
}

} // namespace flowguard::detail

#endif
