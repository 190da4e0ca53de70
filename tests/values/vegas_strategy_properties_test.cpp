// vegas_strategy_properties_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/vegas_windows.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::bound_window;
using support::idle_window;
using support::paced_window;
using support::play_window;
using support::settled;
using support::wide;
using support::with_drops;
using support::with_low;

TEST_CASE("The strategy tells why") {
    const auto why = [](const vegas_strategy& s) { return std::string(s.reason()); };
    vegas_strategy strategy = settled();
    CHECK(why(vegas_strategy{}) == "the initial limit");
    strategy.update(window{});
    CHECK(why(strategy) == "no request was measured");
    strategy.update(bound_window(100, 12'500us));
    CHECK(why(strategy) == "more requests queue than wanted");
    strategy.update(bound_window(strategy.current_limit(), 10ms));
    CHECK(why(strategy) == "fewer requests queue than wanted");
    strategy.update(idle_window(100, 30, 10ms));
    CHECK(why(strategy) == "no reason to change the limit");
    strategy.update(with_drops(bound_window(100, 10ms), 20, 10ms));
    CHECK(why(strategy) == "too many drops");
    strategy = settled();
    const std::size_t probe = strategy.update(bound_window(100, 20ms, 250ms)).limit;
    CHECK(why(strategy) == "probe: measures the RTT with fewer requests in flight");
    strategy.update(wide(bound_window(probe, 10ms)));
    CHECK(why(strategy) == "probe ended: little had queued until then");
    vegas_strategy fresh{4};
    fresh.update(bound_window(4, 10ms));
    CHECK(why(fresh) == "quick start: no queue yet");
}

// A server of 400 workers that takes 10 ms, without noise, under any demand.
std::size_t windows_to_reach_400(vegas_strategy strategy, plan next) {
    for (std::size_t count = 0; count < 1000; ++count) {
        if (next.then == 0 && next.limit >= 400)
            return count;
        const duration rtt = 10ms * std::max<std::size_t>(next.limit, 400) / 400;
        const auto length = rtt * next.admissions / std::min<std::size_t>(next.limit, 400);
        window w = bound_window(next.limit, rtt, length);
        if (next.limit / 3 <= 1)
            w = with_low(w, next.limit == 1 ? 10 : 0, rtt);
        next = strategy.update(w);
    }
    return 1000;
}

// A hostile window, which is hostile in its RTTs at low concurrency as well.
window hostile_window(std::mt19937_64& random, std::size_t limit) {
    window w = support::hostile_window(random, limit);
    const window other = support::hostile_window(random, limit);
    w.low.samples = other.all.samples;
    w.low.mean = other.all.mean;
    for (flowguard::rtt_summary* summary : {&w.all, &w.low})
        for (std::uint64_t i = random() % 4; i > 0; --i)
            summary->histogram.add(support::hostile_window(random, limit).all.mean,
                                   random() % 2 == 0 ? 100 : std::numeric_limits<std::uint32_t>::max());
    return w;
}

TEST_CASE("vegas_strategy survives hostile windows and recovers from them") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        std::mt19937_64 random{seed};
        const std::size_t min = 1 + random() % 3;
        const std::size_t max = 500 + random() % 1000;
        vegas_strategy strategy{vegas_options{.initial_limit = 20, .min_limit = min, .max_limit = max}};
        plan next{20};
        for (int i = 0; i < 300; ++i) {
            next = strategy.update(hostile_window(random, next.limit));
            INFO("seed " << seed << ", window " << i);
            REQUIRE(next.limit >= min);
            REQUIRE(next.limit <= max);
            REQUIRE(next.admissions >= 1);
            REQUIRE((next.then == 0 || (next.then >= next.limit && next.then <= max)));
            REQUIRE(strategy.current_limit() >= min);
            REQUIRE(strategy.current_limit() <= max);
            REQUIRE(strategy.baseline() >= 0ns);
            REQUIRE(strategy.queue_estimate() >= 0.0);
            REQUIRE(strategy.queue_estimate() <= 1e20);
        }
        // Then nothing queues any more, and the limit comes back to its maximum.
        const auto window_at = [](std::size_t limit, duration spacing) {
            const window w =
                spacing > duration{} ? paced_window(spacing, 10ms) : bound_window(limit, 10ms, duration{1s} / limit);
            return limit / 3 <= 1 ? with_low(w, 10, 10ms) : w;
        };
        duration now = 24h;
        for (int i = 0; i < 600; ++i)
            play_window(strategy, next, now, window_at);
        INFO("seed " << seed);
        REQUIRE(strategy.current_limit() == max);
    }
}

TEST_CASE("vegas_strategy recovers from its lowest limit within 30 windows") {
    vegas_strategy strategy = settled();
    plan next{100};
    while (strategy.current_limit() > 1)
        next = strategy.update(with_drops(bound_window(next.limit, 10ms), 100, 1s));
    CHECK(windows_to_reach_400(strategy, next) <= 30);
    CHECK(windows_to_reach_400(vegas_strategy{1}, plan{1, 100}) == 7); // 4, 16, 32, and so on, to 512
    CHECK(windows_to_reach_400(vegas_strategy{20}, plan{20, 100}) == 5); // 20 · 2⁵ = 640
    CHECK(windows_to_reach_400(vegas_strategy{400}, plan{20, 100}) == 3); // 80, 320, 640
}

// Four workers at 10 ms, pinned at the limit.
void overload_four_workers(vegas_strategy& strategy) {
    plan next{strategy.current_limit(), 150};
    for (int i = 0; i < 10; ++i) {
        const duration rtt = 10ms * std::max<std::size_t>(next.limit, 4) / 4;
        next = strategy.update(bound_window(next.limit, rtt, rtt * next.admissions / next.limit));
    }
}

TEST_CASE("vegas_strategy comes down from far too high a limit within ten windows") {
    vegas_strategy fresh{100};
    overload_four_workers(fresh);
    CHECK(fresh.current_limit() <= 10);
    CHECK(fresh.baseline() == 10ms);
    vegas_strategy strategy = settled(); // for a server that had many more of them
    overload_four_workers(strategy);
    CHECK(strategy.current_limit() <= 10);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("vegas_strategy takes RTTs of zero") {
    vegas_strategy strategy{4};
    for (int i = 0; i < 50; ++i)
        strategy.update(bound_window(strategy.current_limit(), 0ns, 0ns));
    CHECK(strategy.current_limit() == 100'000); // nothing ever queued
    CHECK(strategy.baseline() == 0ns);
    CHECK(strategy.queue_estimate() == 0.0);
}

TEST_CASE("vegas_strategy copies are independent") {
    vegas_strategy strategy = settled();
    vegas_strategy copy = strategy;
    copy.update(bound_window(100, 100ms));
    CHECK(copy.current_limit() == 70);
    CHECK(strategy.current_limit() == 100);
}

} // namespace
