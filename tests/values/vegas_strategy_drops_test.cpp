// vegas_strategy_drops_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "support/vegas_windows.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::plan;
using flowguard::vegas_strategy;
using support::a_probe;
using support::a_window;
using support::bound_window;
using support::idle_window;
using support::paced_window;
using support::settled;
using support::settled_with_waits;
using support::wide;
using support::with_drops;

// ---- Drops ----

TEST_CASE("Drops lower the limit by their share") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 20, 10ms)) == a_window{80, 120});
}

TEST_CASE("Drops quarter the limit at most, and the next window is short after many") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 80, 10ms)) == a_window{25, 25});
    CHECK(strategy.update(with_drops(bound_window(25, 10ms), 99, 10ms)) == a_window{6, 10}); // 6.25
    CHECK(strategy.update(with_drops(bound_window(6, 10ms), 99, 10ms)) == a_window{2, 10}); // 1.56
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 60, 10ms)) == a_window{40, 40});
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 50, 10ms)) == a_window{50, 100}); // not more than half
}

TEST_CASE("Drops of more than half are not looked into") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 1h), 51, 10ms)) == a_window{49, 49});
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 1h), 50, 10ms)) == a_probe{16, 60, 50});
}

TEST_CASE("Drops do not cut the limit below one, whether anything succeeds or not") {
    vegas_strategy strategy{1};
    REQUIRE(strategy.update(bound_window(1, 10ms)).limit == 4);
    CHECK(strategy.update(with_drops(bound_window(4, 10ms), 99, 10ms)) == a_window{1, 10}); // quartered
    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 100, 1s)) == a_window{1, 2});
    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 100, 1s)) == a_window{1, 2});
    // Half of the limit before the outage comes back: less than one, but that is already there.
    CHECK(strategy.update(bound_window(1, 10ms)).spacing == 0ns);

    strategy = settled();
    for (const auto& [limit, left] : {std::pair{100, 25}, {25, 6}, {6, 2}, {2, 1}}) // 25, 6.25, 1.56, not 0.39
        CHECK(strategy.update(with_drops(bound_window(static_cast<std::size_t>(limit), 10ms), 99, 10ms)).limit ==
              static_cast<std::size_t>(left));
    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 99, 10ms)).spacing == 0ns);
    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 100, 1s)) == a_window{1, 2});
}

TEST_CASE("Drops are let pass up to the tolerance") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 5, 10ms)) == a_window{110, 165}); // 100 + 19 / 2
    vegas_strategy strict = settled({.drop_tolerance = 0.01});
    CHECK(strict.update(with_drops(bound_window(100, 10ms), 5, 10ms)) == a_window{95, 142});
}

TEST_CASE("Drops lower the limit even when demand is low") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(idle_window(100, 3, 10ms), 20, 10ms)) == a_window{80, 120});
}

TEST_CASE("Drops are looked into by a probe, and those that it does not spare are usual") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 250ms), 20, 10ms)) == a_probe{26, 78, 80});
    CHECK(strategy.update(wide(with_drops(bound_window(26, 10ms), 20, 10ms))) == a_window{80, 120});
    // Half of 3 + 0.6 · √80 + 8 = 16.37.
    CHECK(strategy.update(with_drops(bound_window(80, 10ms), 20, 10ms)) == a_window{88, 132}); // 88.18
    // 10 % more than usual may be bad luck: the standard error of 20 of 100 is 4 %, and the tolerance 5 %. The slack at
    // 88.18 is 17.45, and no probe is due.
    CHECK(strategy.update(with_drops(bound_window(88, 10ms), 30, 10ms)) == a_window{97, 145});
    // 20 % more is not: 96.91 × 0.8 = 77.53.
    CHECK(strategy.update(with_drops(bound_window(97, 10ms), 40, 10ms)) == a_window{78, 117});
    // Usual is the least that was seen, but for bad luck: now none, so at most two standard errors, 8 %. Queue
    // 78 · (1 − 10 / 11.6) = 10.76, slack 3 + 0.6 · √66.77 + 6.68 = 14.58, alpha · slack = 10.21. And then 22 % too
    // many: 77.53 × 0.78 = 60.47.
    CHECK(strategy.update(bound_window(78, 11'600us)) == a_window{78, 117});
    CHECK(strategy.update(with_drops(bound_window(78, 10ms), 30, 10ms)) == a_window{60, 100});
    // Nothing but drops is never usual. 60.47 / 4.
    CHECK(strategy.update(with_drops(bound_window(60, 10ms), 100, 10ms)) == a_window{15, 15});
}

TEST_CASE("Drops that come at random, as they are usual, do not strand the limit") {
    // 16 workers, tasks of 10 ms, and a share of them fails at once, whatever the limit. Where the limit ends, for each
    // share and seed, is what the workers need.
    for (const double failing : {0.05, 0.1, 0.2, 0.4})
        for (std::uint32_t seed = 1; seed <= 20; ++seed) {
            std::mt19937 random(seed);
            vegas_strategy strategy;
            plan next = strategy.current_limit();
            double busy = 0;
            constexpr int windows = 500;
            for (int i = 0; i < windows; ++i) {
                std::binomial_distribution<std::uint32_t> drops(100, failing);
                const double rtt = 10e6 * std::max(1.0, static_cast<double>(next.limit) / 16);
                const flowguard::duration mean{static_cast<flowguard::duration::rep>(rtt)};
                busy += std::min(static_cast<double>(next.limit), 16.0) / windows;
                next = strategy.update(with_drops(bound_window(next.limit, mean), drops(random), 0ms));
            }
            INFO("failing " << failing << ", seed " << seed);
            CHECK(busy > 0.85 * 16);
        }
}

TEST_CASE("Drops of more than half are never usual") {
    // At a limit of one: 50 % go on with the quick start, 70 % end it.
    vegas_strategy half{1};
    CHECK(half.update(with_drops(bound_window(1, 10ms), 50, 10ms)) == a_window{4, 4});
    // The limit of one stays. The probe is at a third of it: one request every 10 ms · 3.
    vegas_strategy more{1};
    CHECK(more.update(with_drops(bound_window(1, 10ms), 70, 10ms)) == a_probe{1, 10, 1, 30ms});
    CHECK(more.update(paced_window(30ms, 10ms)) == a_window{1, 10}); // 1 + (0.15 + 0.2) / 2
    // In a probe.
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 250ms), 20, 10ms)) == a_probe{26, 78, 80});
    CHECK(strategy.update(wide(with_drops(bound_window(26, 10ms), 80, 10ms))) == a_window{80, 120});
    CHECK(strategy.update(with_drops(bound_window(80, 10ms), 70, 10ms)) == a_window{64, 100}); // 20 % beyond 50 %
}

} // namespace
