// vegas_strategy_trial_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
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
using flowguard::vegas_strategy;
using flowguard::window;
using support::bound_window;
using support::closed_at;
using support::idle_window;
using support::settled_with_waits;
using support::usual_time;
using support::with_drops;

// The time of the test, and what a strategy planned at it.
struct scene {
    vegas_strategy strategy = settled_with_waits();
    duration time = usual_time;

    plan update(window w) {
        time += w.length;
        return strategy.update(closed_at(time, w));
    }

    std::string reason() const { return strategy.reason(); }

    // Windows in which hardly anything queues, until a trial is planned, and the time when it begins. The first window
    // waits for the pause after the latest probe. Returns the limit before the trial.
    std::size_t until_trial() {
        plan p = update(bound_window(strategy.current_limit(), 11ms, 1h));
        for (int i = 0; i < 1000 && p.scheduled.limit <= strategy.current_limit(); ++i)
            p = update(bound_window(strategy.current_limit(), 11ms, 100ms));
        const std::size_t limit = strategy.current_limit();
        REQUIRE(p.scheduled.limit > limit * 3 / 2 - 1);
        REQUIRE(p.scheduled.limit <= limit * 3 / 2 + 1);
        REQUIRE(p.scheduled.admissions == 2 * p.scheduled.limit);
        REQUIRE(p.scheduled.within > 0ns);
        time += p.scheduled.begins_in;
        tried = p.scheduled.limit;
        return limit;
    }

    std::size_t tried = 0;
};

TEST_CASE("If a trial shows more throughput, its limit stays, and what seems to queue there is no reason for a cut") {
    scene s;
    s.until_trial();
    CHECK(s.update(bound_window(s.tried, 12'500us, 30ms)).limit == s.tried); // ln(12.5 / 11) < 0.45 · ln 1.5
    CHECK(s.reason() == "trial of a higher limit: more throughput");
    for (int i = 0; i < 20; ++i)
        s.update(bound_window(s.strategy.current_limit(), 12'500us, 1ms));
    CHECK(s.strategy.current_limit() >= s.tried);
}

TEST_CASE("If a trial shows no more throughput, the limit is as before") {
    scene s;
    const std::size_t before = s.until_trial();
    const duration baseline = s.strategy.baseline();
    CHECK(s.update(bound_window(s.tried, 16'500us, 30ms)).limit == before); // the throughput of before
    CHECK(s.reason() == "trial of a higher limit: no more throughput");
    CHECK(s.strategy.current_limit() == before);
    CHECK(s.strategy.baseline() == baseline);
}

TEST_CASE("If demand does not fill a trial, the limit is as before") {
    scene s;
    const std::size_t before = s.until_trial();
    CHECK(s.update(idle_window(s.tried, static_cast<double>(before) - 5, 11ms, 30ms)).limit == before);
    CHECK(s.reason() == "trial of a higher limit: demand did not fill it");
}

TEST_CASE("Drops in a trial count as in any window") {
    scene s;
    const std::size_t before = s.until_trial();
    s.update(with_drops(bound_window(s.tried, 11ms, 30ms), 60, 11ms));
    CHECK(s.strategy.current_limit() < before);
}

TEST_CASE("There is no trial while calls are dropped") {
    scene s;
    s.update(bound_window(100, 11ms, 1h));
    for (int i = 0; i < 100; ++i) {
        const std::size_t limit = s.strategy.current_limit();
        const window w = with_drops(bound_window(limit, 11ms, 100ms), 40, 11ms);
        CHECK(s.update(w).scheduled.limit <= limit);
    }
}

} // namespace
