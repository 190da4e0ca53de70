// gradient2_strategy_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/gradient2_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/rejection.hpp"
#include "support/strategy_tests.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::gradient2_options;
using flowguard::gradient2_strategy;
using flowguard::window;
using support::bound_window;
using support::used_window;
using support::with_drops;

window idle_window(std::size_t limit, duration rtt) {
    return used_window(limit, 1, 1, rtt);
}

double long_rtt_in_ms(const gradient2_strategy& strategy) {
    return static_cast<double>(strategy.long_rtt().count()) / 1e6;
}

// Limit 100 and a long RTT of 10 ms, after its warm-up.
gradient2_strategy warm(gradient2_options options = {}) {
    options.initial_limit = 100;
    gradient2_strategy strategy{options};
    for (int i = 0; i < 10; ++i)
        REQUIRE(strategy.update(idle_window(100, 10ms)) == 100);
    REQUIRE(strategy.long_rtt() == 10ms);
    return strategy;
}

// ---- Construction ----

TEST_CASE("gradient2_strategy starts at its initial limit") {
    support::check_initial_limit<gradient2_strategy, gradient2_options>();
    CHECK(gradient2_strategy{10}.long_rtt() == 0ns);
}

TEST_CASE("gradient2_strategy rejects a bad option by name, value and range") {
    const auto rejection = support::rejection<gradient2_strategy, gradient2_options>;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string option = "flowguard: gradient2_options::";
    support::check_rejects_bad_limits<gradient2_strategy, gradient2_options>("gradient2_options", 200);
    CHECK(rejection({.queue_size = 0}) == option + "queue_size is 0, must be in [1, 268435455]");
    CHECK(rejection({.queue_size = flowguard::max_limit + 1}) ==
          option + "queue_size is 268435456, must be in [1, 268435455]");
    CHECK(rejection({.rtt_tolerance = 1}) == "accepted");
    CHECK(rejection({.rtt_tolerance = 0.99}) == option + "rtt_tolerance is 0.99, must be in [1, 1000]");
    CHECK(rejection({.rtt_tolerance = 1001}) == option + "rtt_tolerance is 1001, must be in [1, 1000]");
    CHECK(rejection({.rtt_tolerance = nan}) == option + "rtt_tolerance is nan, must be in [1, 1000]");
    CHECK(rejection({.smoothing = 1}) == "accepted");
    CHECK(rejection({.smoothing = 0}) == option + "smoothing is 0, must be in (0, 1]");
    CHECK(rejection({.smoothing = 1.5}) == option + "smoothing is 1.5, must be in (0, 1]");
    CHECK(rejection({.smoothing = nan}) == option + "smoothing is nan, must be in (0, 1]");
    CHECK(rejection({.long_window = 0}) == option + "long_window is 0, must be in [1, 1000000]");
    CHECK(rejection({.long_window = 1'000'001}) == option + "long_window is 1000001, must be in [1, 1000000]");
}

// ---- The long RTT ----

// The case of Netflix's ExpAvgMeasurementTest.
TEST_CASE("The long RTT is a mean first, then an exponential average") {
    gradient2_strategy strategy{gradient2_options{.long_window = 100}};
    constexpr std::array<double, 10> expected{10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        strategy.update(idle_window(20, 1ms * (10 + i)));
        CHECK(long_rtt_in_ms(strategy) == Approx(expected[i]));
    }
    strategy.update(idle_window(20, 100ms));
    CHECK(long_rtt_in_ms(strategy) == Approx(16.1931).epsilon(1e-5)); // 14.5 + 85.5 · 2 / 101
}

TEST_CASE("A long RTT of more than twice the short one falls by 5 % more") {
    gradient2_strategy strategy = warm();
    strategy.update(idle_window(100, 5ms)); // 10 − 5 · 2 / 601 = 9.98336
    CHECK(long_rtt_in_ms(strategy) == Approx(9.98336).epsilon(1e-5));
    strategy.update(idle_window(100, 4ms)); // 9.98336 − 5.98336 · 2 / 601 = 9.96345, and 0.95 of it
    CHECK(long_rtt_in_ms(strategy) == Approx(9.46528).epsilon(1e-5));
}

// From 10 ms to 2 ms, each window multiplies the long RTT by 0.95, and the average lowers it a little more. So this
// takes at most ln(5) / −ln(0.95) = 31.4 windows.
TEST_CASE("The long RTT recovers from an overload within 32 windows") {
    gradient2_strategy strategy = warm();
    for (int i = 0; i < 32; ++i)
        strategy.update(idle_window(100, 1ms));
    CHECK(long_rtt_in_ms(strategy) <= 2);
    CHECK(long_rtt_in_ms(strategy) >= 1.9);
}

// ---- The limit ----

TEST_CASE("gradient2_strategy grows by smoothing × queue_size while the RTT is as usual") {
    gradient2_strategy strategy{20};
    for (const std::size_t expected : {20U, 21U, 22U, 23U}) // 20.8, 21.6, 22.4, 23.2
        CHECK(strategy.update(bound_window(strategy.current_limit(), 10ms)) == expected);
    gradient2_strategy eager = warm({.queue_size = 25, .smoothing = 1});
    CHECK(eager.update(bound_window(100, 10ms)) == 125);
}

TEST_CASE("gradient2_strategy shrinks in proportion to the RTT beyond the tolerance") {
    gradient2_strategy strategy = warm();
    // Long 10 + 10 · 2 / 601 = 10.03328, gradient 1.5 · 10.03328 / 20 = 0.752496; 100 − 0.2 · (100 − 79.2496) = 95.85.
    CHECK(strategy.update(bound_window(100, 20ms)) == 95);
    CHECK(long_rtt_in_ms(strategy) == Approx(10.03328).epsilon(1e-5));
    // Gradient 1.5 · 10.133 / 40 = 0.38, so 0.5; 95.85 − 0.2 · (95.85 − 51.925) = 87.065.
    CHECK(strategy.update(bound_window(95, 40ms)) == 87);
    // Again: 87.065 − 0.2 · (87.065 − 47.532) = 79.158.
    CHECK(strategy.update(bound_window(87, 40ms)) == 79);
}

TEST_CASE("gradient2_strategy takes RTTs within the tolerance as a sign of no queue") {
    CHECK(warm({.queue_size = 10}).update(bound_window(100, 15ms)) == 102); // gradient 1.5 · 10.017 / 15 > 1
    // Tolerance 1: long 10.01664, gradient 0.667776; 100 − 0.2 · (100 − 70.7776) = 94.16.
    CHECK(warm({.rtt_tolerance = 1}).update(bound_window(100, 15ms)) == 94);
    CHECK(warm({.rtt_tolerance = 3, .smoothing = 1}).update(bound_window(100, 30ms)) == 104);
}

TEST_CASE("gradient2_strategy keeps the limit while less than half of it is used") {
    CHECK(warm().update(used_window(100, 49.9, 100, 100ms)) == 100);
    CHECK(warm().update(used_window(100, 250, 49, 100ms)) == 100); // Little's law may overstate
    // Gradient 0.5: 100 − 0.2 · (100 − 54) = 90.8.
    CHECK(warm().update(used_window(100, 50, 50, 100ms)) == 90);
}

TEST_CASE("gradient2_strategy does not grow where demand sets the concurrency") {
    const gradient2_options eager{.queue_size = 10, .smoothing = 1};
    CHECK(warm(eager).update(used_window(100, 90, 99, 10ms)) == 100); // never reached
    CHECK(warm(eager).update(used_window(100, 49.9, 100, 10ms)) == 100); // reached, but rarely
    CHECK(warm(eager).update(used_window(100, 50, 100, 10ms)) == 110);
}

TEST_CASE("gradient2_strategy stays within its bounds") {
    gradient2_strategy high = warm({.max_limit = 101});
    CHECK(high.update(bound_window(100, 10ms)) == 100); // 100.8
    CHECK(high.update(bound_window(100, 10ms)) == 101); // 101.6
    CHECK(high.update(bound_window(101, 10ms)) == 101);
    gradient2_strategy low = warm({.min_limit = 90});
    CHECK(low.update(bound_window(100, 100ms)) == 90); // 90.8
    CHECK(low.update(bound_window(90, 100ms)) == 90); // 90.8 − 0.2 · 41.4 = 82.5
    CHECK(low.update(bound_window(90, 10ms)) == 90);
    CHECK(low.update(bound_window(90, 10ms)) == 91); // from 90: 90.8, 91.6
}

TEST_CASE("gradient2_strategy does not settle below twice its queue_size") {
    gradient2_strategy strategy = warm();
    // Each window brings the limit nearer to 8 = 0.5 · 8 + 4, by a factor of 0.9: 92 · 0.9¹⁰⁰ = 0.002. In the end, the
    // long RTT is 28 s, and the gradient is 0.43.
    for (int i = 0; i < 100; ++i)
        strategy.update(bound_window(strategy.current_limit(), 100s));
    CHECK(strategy.current_limit() == 8);
}

// ---- Drops ----

TEST_CASE("gradient2_strategy counts drops with the time that they took") {
    // Half of the requests take 10 ms, and half take 30 ms. That is the same as 20 ms for all.
    gradient2_strategy strategy = warm();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 50, 30ms)) == 95);
    CHECK(long_rtt_in_ms(strategy) == Approx(10.03328).epsilon(1e-5));
}

TEST_CASE("gradient2_strategy takes prompt rejections as a sign of neither speed nor overload") {
    gradient2_strategy strategy = warm({.queue_size = 10});
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 90, 1us)) == 102);
    CHECK(strategy.long_rtt() == 10ms);
    CHECK(strategy.update(with_drops(bound_window(102, 10ms), 100, 1us)) == 102); // nothing succeeded
    CHECK(strategy.long_rtt() == 10ms);
}

TEST_CASE("gradient2_strategy shrinks when all requests time out, but does not learn their RTT") {
    gradient2_strategy strategy = warm();
    // Gradient 1.5 · 10 / 20 = 0.75: 100 − 0.2 · (100 − 79) = 95.8.
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 100, 20ms)) == 95);
    CHECK(strategy.long_rtt() == 10ms);
    gradient2_strategy cold{100};
    CHECK(cold.update(with_drops(bound_window(100, 10ms), 100, 20ms)) == 100); // no long RTT is known to compare with
    CHECK(cold.long_rtt() == 0ns);
}

TEST_CASE("gradient2_strategy changes nothing for a window that says nothing") {
    gradient2_strategy strategy = warm();
    CHECK(strategy.update(window{}) == 100);
    window w = support::empty_window(100);
    w.all.mean = w.dropped_mean_rtt = 1h; // the means of no samples
    CHECK(strategy.update(w) == 100);
    CHECK(strategy.long_rtt() == 10ms);
}

// ---- Properties ----

// A server has 40 workers and takes 10 ms, and demand always uses the limit. This is the weakness that the header
// describes.
TEST_CASE("The limit of gradient2_strategy creeps up to max_limit under an overload that lasts") {
    gradient2_strategy strategy{20};
    std::size_t windows = 0;
    while (strategy.current_limit() < 200 && windows < 10'000) {
        const std::size_t limit = strategy.current_limit();
        strategy.update(bound_window(limit, 10ms * std::max<std::size_t>(limit, 40) / 40));
        ++windows;
    }
    CHECK(strategy.current_limit() == 200);
    CHECK(windows > 225); // at 0.8 a window, it would take 225
}

TEST_CASE("gradient2_strategy takes RTTs of zero") {
    gradient2_strategy strategy{100};
    for (int i = 0; i < 1000; ++i)
        strategy.update(bound_window(strategy.current_limit(), 0ns));
    CHECK(strategy.current_limit() == 200); // nothing ever queued
    CHECK(strategy.long_rtt() == 0ns);
    gradient2_strategy falling = warm();
    for (int i = 0; i < 20'000; ++i) // 0.95²⁰⁰⁰⁰ is far below the least double
        falling.update(bound_window(falling.current_limit(), 0ns));
    CHECK(falling.current_limit() == 200);
    CHECK(falling.long_rtt() == 0ns);
    CHECK(falling.update(bound_window(200, 1ns)) == 180); // 200 − 0.2 · (200 − 104) = 180.8: gradient 0.5
}

TEST_CASE("gradient2_strategy survives hostile windows and recovers from them") {
    support::check_survives_hostile_windows<gradient2_strategy, gradient2_options>(
        1000, [](const gradient2_strategy& strategy) { REQUIRE(strategy.long_rtt() >= 0ns); });
}

} // namespace
