// lab_oracle_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The oracle, which finds the best fixed limits, and the experiments that compare limiters with it.

#include "lab/experiment.hpp"
#include "lab/oracle.hpp"
#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/time.hpp"
#include "runs.hpp"
#include "theory.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::record;
using lab::scenario;
using lab::spread;

TEST_CASE("The oracle finds the smallest sufficient limit of each phase") {
    scenario s;
    s.services = spread::fixed;
    s.phases = {{.length = 10, .rate = 2000, .workers = 4}, {.length = 10, .rate = 4000, .workers = 8}};
    lab::oracle limits(s);
    REQUIRE(limits.smallest().size() == 2);
    // The load is five times the capacity. With a limit equal to the number of workers, four workers are idle for 5.5 %
    // of the time, which is too much, and eight workers for 2.9 %.
    REQUIRE(20 * (1 - erlang_b(4, 20)) < 0.95 * 4);
    REQUIRE(40 * (1 - erlang_b(8, 40)) > 0.95 * 8);
    CHECK(limits.smallest()[0] == 5);
    CHECK(limits.smallest()[1] == 8);
    const record best = limits.best_run(1);
    const record smallest = limits.smallest_run(1);
    CHECK(succeeded(smallest) >= 0.93 * succeeded(best));
    CHECK(smallest.p99(0, 100) <= best.p99(0, 100));
    CHECK(best.succeeded(0, 100) == Approx(4000).epsilon(0.02));
    CHECK(smallest.bins[50].limit == 5);
    CHECK(smallest.bins[150].limit == 8);
}

TEST_CASE("The oracle can take part with other shares of the best goodput") {
    scenario s;
    s.phases = {{.length = 10, .rate = 4400, .workers = 40}};
    lab::oracle limits(s);
    CHECK(limits.smallest(0.8)[0] < limits.smallest()[0]);
    CHECK(limits.smallest(0.99)[0] > limits.smallest()[0]);

    lab::experiment e;
    e.scenarios = {s};
    e.who = {{.name = "the one it is compared with", .make = {}, .oracle_share = lab::oracle::enough},
             {.name = "higher limits", .make = {}, .oracle_share = 0.99}};
    const lab::result r = e.run([](std::size_t) {}).front();
    CHECK(r.scores[0][0].p99 == 1);
    CHECK(r.scores[0][0].goodput == Approx(0.95).margin(0.02));
    CHECK(r.scores[1][0].p99 > 1);
    CHECK(r.scores[1][0].goodput == Approx(0.99).margin(0.02));
}

TEST_CASE("The oracle knows the best limit of a sharing server") {
    scenario s;
    s.contention = 0.05;
    s.coherence = 0.02; // best at 7
    s.phases = {{.length = 10, .rate = 3 * s.capacity(0)}};
    lab::oracle limits(s);
    CHECK(limits.smallest()[0] >= 3);
    CHECK(limits.smallest()[0] <= 7);
    CHECK(succeeded(limits.best_run(1)) == Approx(10 * s.capacity(0)).epsilon(0.05));
}

TEST_CASE("Limiters are made at time 0") {
    // Some limiters measure from the time at which they were made. That must not be the end of the previous run.
    std::vector<double> made_at;
    lab::experiment e;
    scenario s;
    s.phases = {{.length = 2, .rate = 50, .workers = 4}};
    e.scenarios = {s};
    e.seeds = 2;
    e.who = {{.name = "says when it is made", .make = [&](std::size_t initial_limit, std::uint64_t) {
                  made_at.push_back(lab::in_seconds(lab::virtual_clock::now().time_since_epoch()));
                  return std::make_unique<lab::scheduled_limiter>(std::vector{initial_limit});
              }}};
    e.run([](std::size_t) {});
    CHECK(made_at == std::vector<double>{0, 0});
}

} // namespace
