// header_value_fuzz.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A libFuzzer target for what clients send: time-outs, priorities, and the deadlines that gRPC makes of a time-out; and
// for what rejected clients are told. It looks for a header that is not read as another, slower reader reads it.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "flowguard/detail/grpc/call_deadline.hpp"
#include "flowguard/detail/http/header_value.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/http/retry_after.hpp"
#include "flowguard/priority.hpp"
#include "support/byte_source.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using flowguard::duration;
using fuzz::require;

// In nanoseconds, exactly; below zero if the text is no time-out.
double timeout_of(std::string_view text) {
    std::size_t digits = 0;
    double number = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits)
        number = 10 * number + (text[digits] - '0');
    const std::string_view unit = text.substr(digits);
    if (digits < 1 || digits > 8 || unit.size() > 1)
        return -1;
    switch (unit.empty() ? 'm' : unit[0]) {
    case 'H':
        return number * 3600e9;
    case 'M':
        return number * 60e9;
    case 'S':
        return number * 1e9;
    case 'm':
        return number * 1e6;
    case 'u':
        return number * 1e3;
    case 'n':
        return number;
    default:
        return -1;
    }
}

void check_timeout(std::string_view text) {
    const std::optional<duration> read = flowguard::detail::parse_timeout(text);
    const double expected = timeout_of(text);
    require(read.has_value() == (expected >= 0), "whether it is a time-out");
    if (read && expected < 9e18) // a double holds so many digits exactly
        require(static_cast<double>(read->count()) == expected, "time-out");
    else if (read)
        require(*read >= duration(9'000'000'000'000'000'000), "long time-out");
}

void check_priority(std::string_view text) {
    std::string plain(text);
    for (char& c : plain)
        c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    std::optional<flowguard::priority> expected;
    for (std::size_t i = 0; i < flowguard::priority_count; ++i)
        if (plain == to_string(static_cast<flowguard::priority>(i)))
            expected = static_cast<flowguard::priority>(i);
    require(flowguard::detail::parse_priority(text) == expected, "priority");
}

// gRPC computes a deadline from the time-out in the header. It may overflow, so that any bits come out.
void check_deadline(support::byte_source from) {
    using clock = std::chrono::system_clock;
    const clock::time_point arrival{duration{from.take<std::uint32_t>() * std::int64_t{1'000'000'000}}};
    const clock::time_point deadline{from.take<clock::duration>()};
    const flowguard::detail::call_deadline d(deadline, arrival);
    const auto until = d.in_time_of<std::chrono::steady_clock>();
    const auto now = std::chrono::steady_clock::now();
    if (deadline <= arrival)
        require(until <= now, "a deadline that has passed");
    else if (deadline - arrival > std::chrono::hours(1))
        require(until > now, "a deadline in more than an hour");
    if (d.exists() && deadline > arrival)
        require(d.explains_cancellation(deadline) && !d.explains_cancellation(arrival - duration(1)),
                "whether the deadline explains a cancellation");
}

void check_retry_after(support::byte_source from) {
    flowguard::guard_stats now;
    now.limit = from.take<std::size_t>();
    now.in_flight = from.take<std::size_t>();
    now.waiting = from.take<std::size_t>();
    now.rtt_mean = from.take<duration>();
    const double jitter = from.take<std::uint8_t>() / 256.0;
    const auto told = flowguard::retry_after(now, jitter);
    require(told >= std::chrono::seconds(1) && told <= std::chrono::seconds(181), "Retry-After");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_timeout(text);
    check_priority(text);
    check_deadline(support::byte_source({data, size}));
    check_retry_after(support::byte_source({data, size}));
    return 0;
}
