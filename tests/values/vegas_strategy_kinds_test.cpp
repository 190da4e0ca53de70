// vegas_strategy_kinds_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What vegas_strategy does when calls differ in cost.

#include "flowguard/strategies/vegas_strategy.hpp" // first: self-contained

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::vegas_strategy;
using flowguard::window;

// A window of so many long calls among 100, each of which waits for so long. Alone, short calls take 1 ms, and long
// ones 101 ms.
window window_of(std::size_t limit, std::size_t long_calls, duration wait, bool told) {
    window w = support::bound_window(limit, 1ms + static_cast<duration::rep>(long_calls) * 1ms + wait);
    w.all.histogram = {};
    w.all.histogram.add(1ms + wait, static_cast<std::uint32_t>(100 - long_calls));
    w.all.histogram.add(101ms + wait, static_cast<std::uint32_t>(long_calls));
    w.all.kinds[0] = {100, w.all.mean};
    if (told) {
        w.all.kinds[0] = {100 - long_calls, 1ms + wait};
        w.all.kinds[5] = {long_calls, 101ms + wait};
    }
    return w;
}

// The queue that the strategy sees in the last of five windows in which the mix is another one, after five windows with
// ten long calls each.
double queue_after_shift(std::size_t long_calls, duration wait, bool told) {
    vegas_strategy strategy{20};
    for (int i = 0; i < 5; ++i)
        strategy.update(window_of(20, 10, 0ns, told));
    for (int i = 0; i < 5; ++i)
        strategy.update(window_of(20, long_calls, wait, told));
    return strategy.queue_estimate();
}

TEST_CASE("Another mix of kinds is no queue") {
    for (const std::size_t long_calls : std::vector<std::size_t>{0, 1, 10, 50, 100}) {
        CAPTURE(long_calls);
        CHECK(queue_after_shift(long_calls, 0ns, true) == Approx(0).margin(0.1));
    }
    CHECK(queue_after_shift(50, 0ns, false) > 10);
}

TEST_CASE("A wait is a queue in any mix") {
    CHECK(queue_after_shift(10, 11ms, true) == Approx(10).margin(0.1)); // half of the RTT
    CHECK(queue_after_shift(50, 51ms, true) == Approx(10).margin(0.1));
}

TEST_CASE("Calls of one kind are as calls without a kind") {
    vegas_strategy without{20};
    vegas_strategy with{20};
    for (int i = 0; i < 200; ++i) {
        window w = support::bound_window(without.current_limit(), 10ms + (i % 7) * 1ms + (i > 100 ? 10ms : 0ms));
        const auto first = without.update(w);
        w.all.kinds[4] = {100, w.all.mean};
        const auto second = with.update(w);
        REQUIRE(first.limit == second.limit);
        REQUIRE(first.admissions == second.admissions);
        REQUIRE(first.then == second.then);
    }
}

} // namespace
