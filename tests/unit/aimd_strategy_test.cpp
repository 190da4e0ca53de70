// aimd_strategy_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/aimd_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/window.hpp"
#include "support/rejection.hpp"
#include "support/strategy_tests.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::aimd_options;
using flowguard::aimd_strategy;
using flowguard::window;
using support::bound_window;
using support::used_window;
using support::with_drops;

window overload(std::size_t limit) {
    return with_drops(bound_window(limit, 10ms), 20, 10ms);
}

// ---- Construction ----

TEST_CASE("aimd_strategy starts at its initial limit") {
    support::check_initial_limit<aimd_strategy, aimd_options>();
}

TEST_CASE("aimd_strategy rejects a bad option by name, value and range") {
    const auto rejection = support::rejection<aimd_strategy, aimd_options>;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string option = "flowguard: aimd_options::";
    support::check_rejects_bad_limits<aimd_strategy, aimd_options>("aimd_options", 100'000);
    CHECK(rejection({.backoff_ratio = 0.5}) == "accepted");
    CHECK(rejection({.backoff_ratio = 0.49}) == option + "backoff_ratio is 0.49, must be in [0.5, 1)");
    CHECK(rejection({.backoff_ratio = 1}) == option + "backoff_ratio is 1, must be in [0.5, 1)");
    CHECK(rejection({.backoff_ratio = nan}) == option + "backoff_ratio is nan, must be in [0.5, 1)");
    CHECK(rejection({.drop_tolerance = 0}) == "accepted");
    CHECK(rejection({.drop_tolerance = -1e-9}) == option + "drop_tolerance is -1e-09, must be in [0, 1)");
    CHECK(rejection({.drop_tolerance = 1}) == option + "drop_tolerance is 1, must be in [0, 1)");
    CHECK(rejection({.drop_tolerance = nan}) == option + "drop_tolerance is nan, must be in [0, 1)");
    CHECK(rejection({.rtt_limit = 1ns}) == "accepted");
    CHECK(rejection({.rtt_limit = 24h}) == "accepted");
    CHECK(rejection({.rtt_limit = 0ns}) == option + "rtt_limit in seconds is 0, must be in (0, 86400]");
    CHECK(rejection({.rtt_limit = -5ns}) == option + "rtt_limit in seconds is -5e-09, must be in (0, 86400]");
    CHECK(rejection({.rtt_limit = 25h}) == option + "rtt_limit in seconds is 90000, must be in (0, 86400]");
}

// ---- Increase ----

// The cases of Netflix's AIMDLimitTest.
TEST_CASE("aimd_strategy does what Netflix's AIMDLimit does") {
    CHECK(aimd_strategy{20}.update(used_window(20, 10, 20, 1ms)) == 21);
    CHECK(aimd_strategy{30}.update(with_drops(used_window(30, 0, 0, 0ns), 100, 0ns)) == 27);
    CHECK(aimd_strategy{aimd_options{.initial_limit = 21, .max_limit = 21}}.update(bound_window(21, 1ms)) == 21);
}

TEST_CASE("aimd_strategy grows by one a window while the limit binds") {
    aimd_strategy strategy{1};
    for (std::size_t limit = 1; limit < 100; ++limit)
        REQUIRE(strategy.update(bound_window(limit, 10ms)) == limit + 1);
}

TEST_CASE("aimd_strategy does not grow where demand sets the concurrency") {
    aimd_strategy strategy{100};
    CHECK(strategy.update(used_window(100, 49.9, 100, 10ms)) == 100); // reached, but rarely
    CHECK(strategy.update(used_window(100, 90, 99, 10ms)) == 100); // never reached
    CHECK(strategy.update(used_window(100, 250, 49, 10ms)) == 100); // Little's law may overstate
    CHECK(strategy.update(used_window(100, 50, 100, 10ms)) == 101);
}

TEST_CASE("aimd_strategy takes more in flight than the limit, after a fall of it, as full use of the limit") {
    aimd_strategy strategy{10};
    CHECK(strategy.update(used_window(10, 30, 90, 10ms)) == 11);
}

// ---- Decrease ----

TEST_CASE("aimd_strategy lowers the limit by a tenth for each window of overload") {
    // 20 · 0.9ⁿ: 18, 16.2, 14.58, 13.122, 11.8098, 10.62882, 9.565938, 8.609…, 7.748…, 6.973…
    aimd_strategy strategy{20};
    for (const std::size_t expected : {18U, 16U, 14U, 13U, 11U, 10U, 9U, 8U, 7U, 6U})
        CHECK(strategy.update(overload(strategy.current_limit())) == expected);
    // The fraction was kept: 6.973 + 1 + 1 = 8.973, and 0.9 of that is 8.076.
    CHECK(strategy.update(bound_window(6, 10ms)) == 7);
    CHECK(strategy.update(bound_window(7, 10ms)) == 8);
    CHECK(strategy.update(overload(8)) == 8);
}

TEST_CASE("aimd_strategy lowers the limit whether it binds or not") {
    CHECK(aimd_strategy{100}.update(with_drops(used_window(100, 3, 4, 10ms), 20, 10ms)) == 90);
    CHECK(aimd_strategy{100}.update(used_window(100, 3, 4, 6s)) == 90);
}

TEST_CASE("aimd_strategy tolerates a share of drops") {
    CHECK(aimd_strategy{100}.update(with_drops(bound_window(100, 10ms), 5, 1s)) == 101);
    CHECK(aimd_strategy{100}.update(with_drops(bound_window(100, 10ms), 6, 1s)) == 90);
    const aimd_options strict{.initial_limit = 100, .drop_tolerance = 0};
    CHECK(aimd_strategy{strict}.update(bound_window(100, 10ms)) == 101);
    CHECK(aimd_strategy{strict}.update(with_drops(bound_window(100, 10ms), 1, 1s)) == 90);
}

TEST_CASE("aimd_strategy takes a mean RTT above rtt_limit as overload") {
    CHECK(aimd_strategy{100}.update(bound_window(100, 5s)) == 101);
    CHECK(aimd_strategy{100}.update(bound_window(100, 5s + 1ns)) == 90);
    const aimd_options tight{.initial_limit = 100, .rtt_limit = 20ms};
    CHECK(aimd_strategy{tight}.update(bound_window(100, 20ms)) == 101);
    CHECK(aimd_strategy{tight}.update(bound_window(100, 21ms)) == 90);
}

TEST_CASE("aimd_strategy backs off by its ratio, and only once if a window has both signs of overload") {
    aimd_strategy strategy{aimd_options{.initial_limit = 100, .backoff_ratio = 0.5}};
    CHECK(strategy.update(with_drops(bound_window(100, 6s), 50, 6s)) == 50);
    CHECK(strategy.update(with_drops(bound_window(50, 6s), 100, 6s)) == 25); // nothing succeeded
}

TEST_CASE("aimd_strategy stays within its bounds") {
    aimd_strategy strategy{aimd_options{.initial_limit = 11, .min_limit = 10, .max_limit = 12}};
    CHECK(strategy.update(overload(11)) == 10); // 9.9
    CHECK(strategy.update(overload(10)) == 10);
    CHECK(strategy.update(bound_window(10, 10ms)) == 11); // from 10, not from 9.9 or 9
    CHECK(strategy.update(bound_window(11, 10ms)) == 12);
    CHECK(strategy.update(bound_window(12, 10ms)) == 12);
    CHECK(strategy.update(overload(12)) == 10); // from 12: 10.8
}

TEST_CASE("aimd_strategy changes nothing for a window that says nothing") {
    aimd_strategy strategy{100};
    CHECK(strategy.update(window{}) == 100);
    window w = support::empty_window(100);
    w.all.mean = 1h; // the mean of no samples
    CHECK(strategy.update(w) == 100);
}

// ---- Properties ----

// D.-M. Chiu, R. Jain, 1989: an increase keeps the difference of two limits, and a decrease multiplies it. The
// difference is 90 − 10 = 80 at first. After 40 decreases it is 80 · 0.9⁴⁰ = 1.18, which whole limits show as 1 or 2.
TEST_CASE("aimd_strategy objects that share a resource come to equal limits") {
    aimd_strategy few{10};
    aimd_strategy many{90};
    for (int cuts = 0; cuts < 40;) {
        const bool full = few.current_limit() + many.current_limit() > 100;
        cuts += full ? 1 : 0;
        for (aimd_strategy* strategy : {&few, &many})
            strategy->update(full ? overload(strategy->current_limit())
                                  : bound_window(strategy->current_limit(), 10ms));
    }
    CHECK(many.current_limit() - few.current_limit() >= 1);
    CHECK(many.current_limit() - few.current_limit() <= 2);
    CHECK(many.current_limit() + few.current_limit() >= 88); // 0.9 of more than 100, two fractions cut off
    CHECK(many.current_limit() + few.current_limit() <= 94); // 0.9 of at most 104
}

TEST_CASE("aimd_strategy survives hostile windows and recovers from them") {
    support::check_survives_hostile_windows<aimd_strategy, aimd_options>(50, [](const aimd_strategy&) {});
}

} // namespace
