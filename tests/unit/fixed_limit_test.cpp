// fixed_limit_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/fixed_limit.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <random>
#include <type_traits>
#include <utility>

#include <catch2/catch.hpp>

#include "flowguard/flow_guard.hpp"
#include "support/rejection.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::fixed_limit;
using flowguard::window;

static_assert(flowguard::limit_strategy<fixed_limit>);
static_assert(std::is_copy_constructible_v<fixed_limit> && std::is_copy_assignable_v<fixed_limit>);
static_assert(!std::is_convertible_v<std::size_t, fixed_limit>);
static_assert(!std::is_default_constructible_v<fixed_limit>);
static_assert(noexcept(std::declval<fixed_limit&>().update(std::declval<const window&>())));

TEST_CASE("fixed_limit keeps its limit, whatever the window says") {
    fixed_limit strategy{100};
    CHECK(strategy.current_limit() == 100);
    CHECK(strategy.update(support::bound_window(100, 10ms)) == 100);
    CHECK(strategy.update(support::bound_window(100, 1h)) == 100);
    CHECK(strategy.update(support::with_drops(support::bound_window(100, 10ms), 100, 1s)) == 100);
    CHECK(strategy.update(support::empty_window(100)) == 100);
    std::mt19937_64 random{1};
    for (int i = 0; i < 1000; ++i)
        REQUIRE(strategy.update(support::hostile_window(random, 100)) == 100);
    CHECK(strategy.current_limit() == 100);
}

TEST_CASE("fixed_limit accepts every limit that a guard can have, and no other") {
    CHECK(fixed_limit{1}.current_limit() == 1);
    CHECK(fixed_limit{flowguard::max_limit}.current_limit() == flowguard::max_limit);
    const auto rejection = [](std::size_t limit) { return support::rejection<fixed_limit>(limit); };
    CHECK(rejection(0) == "flowguard: fixed_limit's limit is 0, must be in [1, 268435455]");
    CHECK(rejection(flowguard::max_limit + 1) ==
          "flowguard: fixed_limit's limit is 268435456, must be in [1, 268435455]");
}

TEST_CASE("A guard works with a fixed_limit") {
    flowguard::flow_guard guard{fixed_limit{1}};
    for (int i = 0; i < 100; ++i) {
        auto ticket = guard.try_acquire();
        REQUIRE(ticket);
        REQUIRE_FALSE(guard.try_acquire());
        ticket.drop();
    }
    CHECK(guard.stats().windows == 10); // each of 10 · limit requests
    CHECK(guard.current_limit() == 1);
}

} // namespace
