// strategy_tests.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the tests of the strategies share.

#ifndef FLOWGUARD_SUPPORT_STRATEGY_TESTS_HPP
#define FLOWGUARD_SUPPORT_STRATEGY_TESTS_HPP

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <utility>

#include "flowguard/flow_guard.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/rejection.hpp"
#include "support/windows.hpp"

namespace support {

// Checks that a Strategy starts at its initial limit, from each of its constructors.
template <class Strategy, class Options>
void check_initial_limit() {
    static_assert(flowguard::limit_strategy<Strategy>);
    static_assert(std::is_copy_constructible_v<Strategy> && std::is_copy_assignable_v<Strategy>);
    static_assert(!std::is_convertible_v<std::size_t, Strategy>);
    static_assert(noexcept(std::declval<Strategy&>().update(std::declval<const flowguard::window&>())));
    CHECK(Strategy{}.current_limit() == 20);
    CHECK(Strategy{10}.current_limit() == 10);
    CHECK(Strategy{Options{.initial_limit = 7}}.current_limit() == 7);
    CHECK(flowguard::flow_guard{Strategy{10}}.current_limit() == 10);
}

// Checks that a Strategy accepts its defaults, and rejects a bad limit by name, value and range. `options` is the name
// of its Options, `highest` the default of their max_limit.
template <class Strategy, class Options>
void check_rejects_bad_limits(const std::string& options, std::size_t highest) {
    const auto rejects = [&](const Options& bad, const std::string& text) {
        CHECK(rejection<Strategy>(bad) == "flowguard: " + options + "::" + text);
    };
    const std::string to_highest = ", " + std::to_string(highest) + "]";
    CHECK(rejection<Strategy>(Options{}) == "accepted");
    rejects({.initial_limit = 0}, "initial_limit is 0, must be in [1" + to_highest);
    rejects({.initial_limit = 4, .min_limit = 5}, "initial_limit is 4, must be in [5" + to_highest);
    rejects({.initial_limit = 11, .max_limit = 10}, "initial_limit is 11, must be in [1, 10]");
    rejects({.min_limit = 0}, "min_limit is 0, must be in [1" + to_highest);
    rejects({.min_limit = 11, .max_limit = 10}, "min_limit is 11, must be in [1, 10]");
    rejects({.max_limit = 0}, "max_limit is 0, must be in [1, 268435455]");
    rejects({.max_limit = flowguard::max_limit + 1}, "max_limit is 268435456, must be in [1, 268435455]");

    const std::string initial_limit = "flowguard: " + options + "::initial_limit is ";
    CHECK(rejection<Strategy>(std::size_t{0}) == initial_limit + "0, must be in [1" + to_highest);
    CHECK(rejection<Strategy>(highest + 1) ==
          initial_limit + std::to_string(highest + 1) + ", must be in [1" + to_highest);
}

// Checks that a Strategy stays within its bounds in hostile windows, and then gets to its highest limit within
// `recovery` windows in which the limit binds. `holds(strategy)` may check more after each hostile window.
template <class Strategy, class Options, class Holds>
void check_survives_hostile_windows(int recovery, Holds holds) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        std::mt19937_64 random{seed};
        const std::size_t min = 1 + random() % 3;
        const std::size_t max = 20 + random() % 30;
        Strategy strategy{Options{.initial_limit = 20, .min_limit = min, .max_limit = max}};
        for (int i = 0; i < 300; ++i) {
            const std::size_t next = strategy.update(hostile_window(random, strategy.current_limit()));
            INFO("seed " << seed << ", window " << i);
            REQUIRE(next >= min);
            REQUIRE(next <= max);
            REQUIRE(next == strategy.current_limit());
            holds(strategy);
        }
        for (int i = 0; i < recovery; ++i)
            strategy.update(bound_window(strategy.current_limit(), std::chrono::milliseconds(10)));
        REQUIRE(strategy.current_limit() == max);
    }
}

} // namespace support

#endif
