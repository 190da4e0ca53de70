// header_value.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_HTTP_HEADER_VALUE_HPP
#define FLOWGUARD_DETAIL_HTTP_HEADER_VALUE_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"

namespace flowguard::detail {

// Parsers for what clients say in headers of their requests. A value that is not understood counts as missing.

// The length of a unit of time; zero if the unit is unknown.
constexpr duration unit_of(std::string_view unit) noexcept {
    if (unit.empty() || unit == "m")
        return std::chrono::milliseconds(1);
    if (unit == "S")
        return std::chrono::seconds(1);
    if (unit == "M")
        return std::chrono::minutes(1);
    if (unit == "H")
        return std::chrono::hours(1);
    if (unit == "u")
        return std::chrono::microseconds(1);
    return duration(unit == "n" ? 1 : 0);
}

// A time-out as in grpc-timeout (gRPC over HTTP/2, Requests): up to eight digits and one of H, M, S, m, u, n. A number
// without a unit is in milliseconds, as Envoy sends it.
inline std::optional<duration> parse_timeout(std::string_view value) noexcept {
    constexpr std::size_t most_digits = 8;
    std::uint64_t number = 0; // unsigned: from_chars() reads no sign
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const auto digits = static_cast<std::size_t>(end - value.data());
    if (error != std::errc() || digits > most_digits)
        return std::nullopt;
    const duration unit = unit_of(value.substr(digits));
    if (unit == duration::zero())
        return std::nullopt;
    const auto times = static_cast<std::int64_t>(number);
    return times <= (duration::max)() / unit ? times * unit : (duration::max)();
}

// Parses the name of a priority, as to_string() returns it. Upper and lower case are the same, and so are - and _.
inline std::optional<priority> parse_priority(std::string_view value) noexcept {
    const auto alike = [](char given, char known) {
        const bool upper = given >= 'A' && given <= 'Z';
        return (upper ? static_cast<char>(given - 'A' + 'a') : given == '-' ? '_' : given) == known;
    };
    for (const auto known :
         {priority::critical_plus, priority::critical, priority::sheddable_plus, priority::sheddable}) {
        const std::string_view name = to_string(known);
        if (std::equal(value.begin(), value.end(), name.begin(), name.end(), alike))
            return known;
    }
    return std::nullopt;
}

} // namespace flowguard::detail

#endif
