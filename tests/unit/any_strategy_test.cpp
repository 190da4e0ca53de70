// any_strategy_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/any_strategy.hpp" // first: self-contained

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/aimd_strategy.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/gradient2_strategy.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/manual_clock.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::any_strategy;
using flowguard::duration;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using flowguard::plan;
using flowguard::vegas_strategy;
using support::bound_window;
using support::manual_clock;

struct immovable_memory {
    std::unique_ptr<int> owned;

    static std::size_t current_limit() noexcept { return 10; }
    static std::size_t update(const flowguard::window&) noexcept { return 10; }
};

static_assert(std::constructible_from<any_strategy, fixed_limit>);
static_assert(!std::constructible_from<any_strategy, immovable_memory>); // cannot be copied
static_assert(!std::constructible_from<any_strategy, int>);
static_assert(std::is_nothrow_move_constructible_v<any_strategy> && std::is_nothrow_move_assignable_v<any_strategy>);
static_assert(std::is_same_v<decltype(flow_guard{any_strategy(fixed_limit(1))}), flow_guard<any_strategy>>);

// Has none of the optional members.
struct plain_strategy {
    std::size_t limit = 7;

    std::size_t current_limit() const { return limit; }
    std::size_t update(const flowguard::window&) { return ++limit; }
};

struct talkative_strategy : plain_strategy {
    static plan first_plan() { return {2, 3, 7}; }
    static duration baseline() { return 5ms; }
    static const char* reason() { return "why not"; }
};

} // namespace

TEMPLATE_TEST_CASE("any_strategy answers as the strategy that it holds", "", vegas_strategy,
                   flowguard::gradient2_strategy, flowguard::aimd_strategy) {
    TestType strategy;
    any_strategy any{TestType()};
    CHECK(any.current_limit() == strategy.current_limit());
    std::size_t changes = 0;
    for (int i = 0; i < 200; ++i) {
        const std::size_t before = strategy.current_limit();
        const flowguard::window w = bound_window(before, i < 100 ? 10ms : 80ms);
        const plan wanted = strategy.update(w);
        CHECK(any.update(w) == wanted);
        CHECK(any.current_limit() == strategy.current_limit());
        if constexpr (requires { strategy.baseline(); })
            CHECK(any.baseline() == strategy.baseline());
        if constexpr (requires { strategy.reason(); })
            CHECK(any.reason() == std::string(strategy.reason()));
        changes += strategy.current_limit() != before ? 1 : 0;
    }
    CHECK(changes > 5);
}

TEST_CASE("any_strategy forwards the optional members of a strategy, or does as a guard does without them") {
    const any_strategy plain{plain_strategy()};
    CHECK(plain.first_plan() == plan(7));
    CHECK(plain.baseline() == 0ns);
    CHECK(plain.reason() == std::string());
    const any_strategy talkative{talkative_strategy()};
    CHECK(talkative.first_plan() == plan(2, 3, 7));
    CHECK(talkative.baseline() == 5ms);
    CHECK(talkative.reason() == std::string("why not"));
}

TEST_CASE("A copy of any_strategy goes its own way") {
    any_strategy first{plain_strategy()};
    any_strategy second(first);
    second.update({});
    CHECK(first.current_limit() == 7);
    CHECK(second.current_limit() == 8);
    first = second;
    first.update({});
    CHECK(first.current_limit() == 9);
    CHECK(second.current_limit() == 8);
    const any_strategy moved = std::move(first);
    CHECK(moved.current_limit() == 9);
    first = second; // a moved-from object may be assigned to
    CHECK(first.current_limit() == 8);
    first = fixed_limit(3);
    CHECK(first.current_limit() == 3);
}

TEST_CASE("A guard whose strategy is chosen at run time does as one whose strategy is not") {
    const auto limits_of = [](auto& guard) {
        manual_clock::at = 9h;
        std::vector<std::size_t> limits;
        for (int i = 0; i < 60; ++i) {
            std::vector<typename std::decay_t<decltype(guard)>::ticket> held;
            while (auto t = guard.try_acquire())
                held.push_back(std::move(t));
            // A service with 20 workers.
            manual_clock::at += 10ms * (1 + static_cast<int>(held.size()) / 20);
            for (auto& t : held)
                t.success();
            limits.push_back(guard.current_limit());
        }
        limits.push_back(static_cast<std::size_t>(guard.stats().baseline_rtt.count()));
        return limits;
    };
    flow_guard<vegas_strategy, manual_clock> known{vegas_strategy(5)};
    flow_guard<any_strategy, manual_clock> chosen{vegas_strategy(5)};
    const auto expected = limits_of(known);
    CHECK(limits_of(chosen) == expected);
    CHECK(chosen.stats().limit_reason == std::string(known.stats().limit_reason));

    chosen.reset();
    CHECK(chosen.current_limit() == 5);
    CHECK(limits_of(chosen) == expected);
}

TEST_CASE("Guards with different strategies have one type") {
    std::array<flow_guard<any_strategy>, 2> guards{flow_guard<any_strategy>(fixed_limit(3)),
                                                   flow_guard<any_strategy>(vegas_strategy(2))};
    CHECK(guards[0].current_limit() == 3);
    CHECK(guards[1].current_limit() == 2);
}
