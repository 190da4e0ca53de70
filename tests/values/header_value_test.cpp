// header_value_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/http/header_value.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using flowguard::detail::parse_priority;
using flowguard::detail::parse_timeout;
using flowguard::duration;
using flowguard::priority;

TEST_CASE("A timeout in a header is in milliseconds, or in gRPC's units") {
    struct row {
        std::string_view text;
        std::optional<duration> time;
    };
    for (const row& r : {
             row{"250", 250ms},
             row{"0", 0ms},
             row{"2H", 2h},
             row{"2M", 2min},
             row{"2S", 2s},
             row{"2m", 2ms},
             row{"2u", 2us},
             row{"2n", 2ns},
             row{"99999999S", 99999999s},
             row{"99999999H", duration::max()}, // does not fit
             row{"123456789", std::nullopt},    // more than eight digits
             row{"", std::nullopt},
             row{"m", std::nullopt},
             row{"-1", std::nullopt},
             row{"-0", std::nullopt},
             row{"-0S", std::nullopt},
             row{"+1", std::nullopt},
             row{" 1", std::nullopt},
             row{"1 ", std::nullopt},
             row{"1.5", std::nullopt},
             row{"1ms", std::nullopt},
             row{"1s", std::nullopt},
             row{"0x1", std::nullopt},
         }) {
        INFO(r.text);
        CHECK(parse_timeout(r.text) == r.time);
    }
}

TEST_CASE("A priority in a header is its name, in upper or lower case, with - or _") {
    struct row {
        std::string_view text;
        std::optional<priority> named;
    };
    for (const row& r : {
             row{"critical_plus", priority::critical_plus},
             row{"Critical", priority::critical},
             row{"SHEDDABLE-PLUS", priority::sheddable_plus},
             row{"sheddable", priority::sheddable},
             row{"", std::nullopt},
             row{"0", std::nullopt},
             row{"critical_", std::nullopt},
             row{"criticality", std::nullopt},
             row{"plus", std::nullopt},
             row{"sheddable plus", std::nullopt},
         }) {
        INFO(r.text);
        CHECK(parse_priority(r.text) == r.named);
    }
}

} // namespace
