// contenders.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_CONTENDERS_HPP
#define LAB_CONTENDERS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "limiter.hpp"
#include "opponents/brpc_auto.hpp"
#include "opponents/envoy_gradient.hpp"
#include "opponents/netflix_vegas.hpp"
#include "opponents/no_limit.hpp"
#include "opponents/rust_vegas.hpp"

namespace lab {

/// A participant in the comparison.
struct contender {
    std::string name;
    limiter_factory make;

    // Above 0: not a strategy, but the oracle, with the smallest limits for this share of the best goodput.
    double oracle_share = 0;
};

namespace detail {

// Where published strategies start that leave it to their users.
inline std::size_t or_usual(std::size_t initial_limit) {
    return initial_limit == 0 ? 20 : initial_limit;
}

template <flowguard::limit_strategy Strategy>
std::unique_ptr<limiter> guard_with(Strategy strategy) {
    return std::make_unique<guard_limiter<Strategy>>(std::move(strategy));
}

} // namespace detail

/// All contenders. The first is the library's default strategy. All others have their own defaults, except for the
/// initial limit. The last ones show what is possible at all: they are the oracle itself, with other shares of the best
/// goodput than the oracle that scores are relative to.
inline std::vector<contender> contenders() {
    using detail::guard_with;
    using detail::or_usual;
    return {
        {"vegas",
         [](std::size_t initial_limit, std::uint64_t) {
             return guard_with(initial_limit == 0 ? flowguard::vegas_strategy()
                                                  : flowguard::vegas_strategy(initial_limit));
         }},
        {"gradient2",
         [](std::size_t initial_limit, std::uint64_t) {
             flowguard::gradient2_options o;
             o.initial_limit = std::min(or_usual(initial_limit), o.max_limit); // max_limit is Netflix's, and low
             return guard_with(flowguard::gradient2_strategy(o));
         }},
        {"aimd", [](std::size_t initial_limit,
                    std::uint64_t) { return guard_with(flowguard::aimd_strategy(or_usual(initial_limit))); }},
        {"static 100", [](std::size_t, std::uint64_t) { return guard_with(flowguard::fixed_limit(100)); }},
        {"no limit", [](std::size_t, std::uint64_t) { return std::make_unique<no_limit>(); }},
        {"netflix vegas",
         [](std::size_t initial_limit, std::uint64_t seed) {
             return std::make_unique<netflix_vegas>(or_usual(initial_limit), seed);
         }},
        {"envoy p50",
         [](std::size_t, std::uint64_t seed) { return std::make_unique<envoy_gradient>(50, seconds(60), seed); }},
        {"envoy p90",
         [](std::size_t, std::uint64_t seed) { return std::make_unique<envoy_gradient>(90, seconds(10), seed); }},
        {"brpc", [](std::size_t initial_limit,
                    std::uint64_t seed) { return std::make_unique<brpc_auto>(or_usual(initial_limit), seed); }},
        {"rust vegas", [](std::size_t initial_limit,
                          std::uint64_t) { return std::make_unique<rust_vegas>(or_usual(initial_limit)); }},
        {.name = "oracle 97%", .make = {}, .oracle_share = 0.97},
        {.name = "oracle 99.5%", .make = {}, .oracle_share = 0.995},
    };
}

} // namespace lab

#endif
