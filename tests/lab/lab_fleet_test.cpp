// lab_fleet_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Many guards with the default strategy in front of one server, which do not talk to each other. docs/fleets.md has the
// figures.

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/window.hpp"
#include "lab/limiter.hpp"
#include "lab/oracle.hpp"
#include "lab/scenario.hpp"
#include "lab/score.hpp"
#include "lab/simulation.hpp"
#include "lab/time.hpp"
#include "support/random_numbers.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using flowguard::vegas_strategy;

// The default strategy on a host whose clock is ahead.
struct skewed {
    vegas_strategy strategy{};
    flowguard::duration ahead{};

    std::size_t current_limit() const { return strategy.current_limit(); }
    flowguard::plan first_plan() const { return strategy.first_plan(); }
    flowguard::plan update(flowguard::window w) {
        w.closed_at += ahead;
        return strategy.update(w);
    }
};

// `guards` guards, whose clocks are off by up to `skew` seconds, on 40 workers, at `load` times their capacity.
lab::score fleet(std::size_t guards, double skew, double load = 1.5) {
    lab::scenario s;
    s.service = 0.02;
    s.time_out = 2;
    s.phases = {{.length = 600, .rate = load * s.capacity(40), .workers = 40, .guards = guards}};
    lab::virtual_clock::set({});
    support::random_numbers random(guards);
    std::vector<std::unique_ptr<lab::limiter>> all;
    for (std::size_t i = 0; i < guards; ++i)
        all.push_back(std::make_unique<lab::guard_limiter<skewed>>(
            skewed{.ahead = lab::seconds(skew * (2 * random.uniform() - 1) + skew)}));
    lab::oracle limits(s);
    return score_of(s, lab::simulation(s, std::move(all), 1).run(), limits.yardstick_for(1));
}

// Nearly all of the goodput, and a queue that is at most so much longer than the best one.
void check_fleet(const lab::score& s, double most_p99) {
    CAPTURE(s.in_time, s.in_time_strict, s.goodput, s.p99);
    CHECK(s.goodput > 0.97);
    CHECK(s.p99 < most_p99);
}

void check_short_queue(const lab::score& s, double most_p99) {
    check_fleet(s, most_p99);
    CHECK(s.in_time_strict > 0.95);
}

TEST_CASE("32 guards on one server lose next to nothing, and share it") {
    const lab::score s = fleet(32, 0);
    check_short_queue(s, 1.5);
    CHECK(*s.fairness > 0.8);
}

TEST_CASE("Guards that start together under a heavy load do not take each other's queue for the baseline") {
    check_fleet(fleet(8, 0, 12), 2.5);
}

TEST_CASE("Clocks that are off by 15 RTTs make no difference to a fleet") {
    check_short_queue(fleet(32, 0.3), 1.5);
}

TEST_CASE("Clocks that are off by many seconds cost a fleet its common probes, but no goodput") {
    check_fleet(fleet(32, 20), 2.5);
}

TEST_CASE("With more guards than workers, limits fall below one") {
    const lab::score s = fleet(128, 0);
    check_short_queue(s, 1.6);
    CHECK(*s.fairness > 0.8);
}

} // namespace
