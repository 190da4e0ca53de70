// lab_layers_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the lab simulates of guards that differ, and of guards behind guards; and how the default strategy does there.
// docs/fleets.md has the figures.

#include "lab/contenders.hpp"
#include "lab/experiment.hpp"
#include "lab/fixed_scenarios.hpp"
#include "lab/fleet.hpp"
#include "lab/fleet_scenarios.hpp"
#include "lab/oracle.hpp"
#include "lab/record.hpp"
#include "lab/sampled_scenarios.hpp"
#include "lab/scenario.hpp"
#include "lab/score.hpp"
#include "lab/simulation.hpp"
#include "lab/table.hpp"
#include "lab/wild_scenarios.hpp"
#include "runs.hpp"
#include "theory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::outcome;
using lab::record;
using lab::scenario;
using lab::spread;
using ends = std::vector<remembering_limiter::end>;

// One limiter in front, and one in the server. Both remember what they saw.
struct layered_run {
    ends outside, inside;
    record run;

    layered_run(const scenario& s, std::size_t limit, std::size_t inner_limit) {
        lab::virtual_clock::set({});
        limiters one;
        one.push_back(std::make_unique<remembering_limiter>(limit, outside));
        run = lab::simulation(s, std::move(one), 1, 200, std::make_unique<remembering_limiter>(inner_limit, inside))
                  .run();
    }
};

// ---- Near and far ----

TEST_CASE("The second half of the guards is far away") {
    scenario s;
    s.distance = 0.4;
    s.phases = {{.guards = 3}, {.guards = 1}};
    CHECK(s.distance_of(0) == 0);
    CHECK(s.distance_of(1) == 0);
    CHECK(s.distance_of(2) == 0.4);
    s.phases = {{.guards = 4}};
    CHECK(s.distance_of(1) == 0);
    CHECK(s.distance_of(2) == 0.4);
    s.phases = {{.guards = 1}};
    CHECK(s.distance_of(0) == 0);
}

TEST_CASE("A far guard holds its permits for as long as the network takes, and the record leaves that time out") {
    scenario s;
    s.service = 0.1;
    s.services = spread::fixed;
    s.distance = 0.4;
    s.phases = {{.length = 100, .rate = 2000, .workers = 10, .guards = 2}};
    limiters two = fixed(1);
    two.push_back(std::move(fixed(1).front()));
    const record r = run(s, std::move(two));
    // With one permit, a guard gets an answer each 0.1 or 0.5 s. The last quarter is 25 s.
    CHECK(static_cast<double>(r.succeeded_by_guard[0]) == Approx(250).epsilon(0.03));
    CHECK(static_cast<double>(r.succeeded_by_guard[1]) == Approx(50).epsilon(0.03));
    CHECK(r.in_flight_integral / 100 == Approx(2).epsilon(0.03));
    for (const lab::bin& b : r.bins)
        for (const float rtt : b.rtts)
            REQUIRE(rtt == Approx(0.1).epsilon(0.001));
}

TEST_CASE("A refusal travels as far as an answer") {
    scenario s;
    s.refusal_time = 0.1;
    s.distance = 0.4;
    s.outages = {.every = 1, .lasts = 1};
    s.phases = {{.length = 100, .rate = 2000, .workers = 10, .guards = 2}};
    ends near, far;
    limiters two;
    two.push_back(std::make_unique<remembering_limiter>(1, near));
    two.push_back(std::make_unique<remembering_limiter>(1, far));
    run(s, std::move(two));
    CHECK(ended_with(near, outcome::dropped) == Approx(1000).epsilon(0.03));
    CHECK(ended_with(far, outcome::dropped) == Approx(200).epsilon(0.03));
}

// ---- A caller with a static limit ----

TEST_CASE("A fleet has one strategy, except for the guard with a static limit") {
    scenario s;
    s.initial_limit = 7;
    s.phases = {{.length = 30, .rate = 1.5 * s.capacity(40), .workers = 40, .guards = 3}};
    const lab::limiter_factory make = lab::contenders().front().make;
    lab::virtual_clock::set({});
    const lab::fleet equal = lab::make_fleet(s, make, 1);
    REQUIRE(equal.guards.size() == 3);
    for (const auto& g : equal.guards)
        CHECK(g->limit() == 7);
    CHECK(equal.inner == nullptr);

    s.static_limit = 80;
    s.inner_guard = true;
    const lab::fleet mixed = lab::make_fleet(s, make, 1);
    REQUIRE(mixed.guards.size() == 3);
    CHECK(mixed.guards[0]->limit() == 80);
    CHECK(mixed.guards[1]->limit() == 7);
    CHECK(mixed.guards[2]->limit() == 7);
    REQUIRE(mixed.inner != nullptr);
    CHECK(mixed.inner->limit() == 7);
}

TEST_CASE("The first guard has its share of the demand, and the others share the rest") {
    scenario s;
    s.phases = {{.length = 400, .rate = 0.5 * s.capacity(10), .workers = 10, .guards = 4}};
    const auto share = [&s](std::size_t guard) {
        const record r = run(s, fixed(no_limit));
        return lab::detail::shares_of(r.succeeded_by_guard)[guard] / 4;
    };
    CHECK(share(0) == Approx(0.25).epsilon(0.05));
    s.first_demand = 0.7;
    CHECK(share(0) == Approx(0.7).epsilon(0.03));
    CHECK(share(1) == Approx(0.1).epsilon(0.05));
    CHECK(share(3) == Approx(0.1).epsilon(0.05));
}

// ---- A guard in the server ----

TEST_CASE("A limit in the server, equal to the number of workers, drops calls as Erlang B says") {
    const double utilisation = GENERATE(0.8, 1.5);
    scenario s = queue(40, utilisation, 200'000);
    s.refusal_time = 0; // else calls would be in flight at the end
    const layered_run r(s, no_limit, 40);
    CHECK(ended_with(r.outside, outcome::dropped) / offered(r.run) ==
          Approx(erlang_b(40, 40 * utilisation)).epsilon(0.03).margin(0.002));
    CHECK(ended_with(r.outside, outcome::success) == succeeded(r.run));
    CHECK(r.inside.size() == static_cast<std::size_t>(succeeded(r.run)));
    CHECK(answered(r.run) == succeeded(r.run)); // a rejection is no answer
}

TEST_CASE("A call that the server's guard rejects comes back after the time of a refusal, dropped or ignored") {
    scenario s;
    s.refusal_time = 0.05;
    s.phases = {{.length = 100, .rate = 2000, .workers = 10}};
    for (const bool ignored : {false, true}) {
        s.inner_rejections_are_ignored = ignored;
        const layered_run r(s, 1, 0);
        CHECK(static_cast<double>(r.outside.size()) == Approx(2000).epsilon(0.03));
        CHECK(ended_with(r.outside, ignored ? outcome::ignored : outcome::dropped) ==
              static_cast<double>(r.outside.size()));
        CHECK(answered(r.run) == 0);
    }
}

TEST_CASE("The permit in the server is held until the work is done, even if the caller gave up") {
    scenario s;
    s.service = 1;
    s.services = spread::fixed;
    s.time_out = 0.25;
    s.phases = {{.length = 100.5, .rate = 2000, .workers = 10}};
    const layered_run r(s, 5, 1);
    CHECK(succeeded(r.run) == 0);
    CHECK(r.inside.size() == 100); // one each second
    CHECK(ended_with(r.inside, outcome::success) == 100);
}

// ---- A service in front ----

// J. Jackson: Networks of Waiting Lines. Operations Research 5(4), 1957. P. Burke: The Output of a Queuing System.
// Operations Research 4(6), 1956. What leaves a queue of M/M/1 is a Poisson process. So the second queue is one as
// well, and a request is in each of them for service / (1 − utilisation).
TEST_CASE("Two services, one after the other, take as long as Jackson says") {
    scenario s = queue(1, 0.5, 400'000);
    s.front_workers = 1;
    s.front_service = 1.2;
    const record r = run(s, fixed(no_limit));
    CHECK(r.time_in_flight / offered(r) == Approx(1 / (1 - 0.5) + 1.2 / (1 - 0.6)).epsilon(0.03));
}

TEST_CASE("A request that has moved on to the server holds its permit, and no worker of the service in front") {
    scenario s;
    s.service = 0.9;
    s.services = spread::fixed;
    s.front_workers = 1;
    s.front_service = 0.1;
    s.phases = {{.length = 400, .rate = 2000, .workers = 100}};
    CHECK(succeeded(run(s, fixed(1))) == Approx(400).epsilon(0.03));   // 0.1 s and 0.9 s for each
    CHECK(succeeded(run(s, fixed(40))) == Approx(4000).epsilon(0.03)); // the one worker in front is always busy
}

TEST_CASE("The capacity of a chain is that of its narrowest service") {
    scenario s;
    s.service = 0.02;
    CHECK(s.capacity(40) == Approx(2000));
    s.front_workers = 80;
    s.front_service = 0.02;
    CHECK(s.capacity(40) == Approx(2000));
    CHECK(s.capacity(400) == Approx(4000));
}

// ---- Scores and scenarios ----

TEST_CASE("Only the scenarios of fleets compare guards, and only their tables have columns for that") {
    std::vector<scenario> others = lab::fixed_scenarios();
    for (scenario& s : lab::wild_scenarios())
        others.push_back(std::move(s));
    for (scenario& s : lab::sampled_scenarios(20))
        others.push_back(std::move(s));
    for (const scenario& s : others)
        CHECK_FALSE(s.compares_guards);

    std::set<std::string> names;
    for (const scenario& s : lab::fleet_scenarios()) {
        CHECK(s.compares_guards);
        names.insert(s.name);
    }
    CHECK(names.size() == lab::fleet_scenarios().size());

    const lab::result without{.of = others.front(), .scores = {{lab::score{}}}, .runs = {}, .oracle_run = {}};
    CHECK(scores_of(without, {"one"})[0].back() == "fairness");
    lab::score compared;
    compared.least_share = 0.25;
    const lab::result with{.of = lab::fleet_scenarios().front(), .scores = {{compared}}, .runs = {}, .oracle_run = {}};
    const lab::table t = scores_of(with, {"one"});
    CHECK(t[0].back() == "inner osc.");
    REQUIRE(t[1].size() == t[0].size());
    CHECK(t[1][10] == "0.25");
    CHECK(t[1].back() == "-");
}

// ---- The default strategy ----

scenario named(const std::string& name) {
    for (scenario& s : lab::fleet_scenarios())
        if (s.name == name)
            return s;
    FAIL("no scenario has the name " << name);
    return {};
}

struct judged {
    lab::score score;
    double dip = 0; // the lowest goodput of ten bins running in the second half, over its mean there
};

judged judge(const scenario& s) {
    const record r = lab::run_fleet(s, lab::contenders().front().make, 1);
    lab::oracle limits(s);
    judged result{score_of(s, r, limits.yardstick_for(1))};
    const double mean = r.succeeded(100, 200) / 100;
    result.dip = 1;
    for (std::size_t i = 100; i + 10 <= 200; ++i)
        result.dip = std::min(result.dip, r.succeeded(i, i + 10) / 10 / mean);
    return result;
}

// Nearly all of the goodput, and no long gap in it. In ten bins, of 0.6 s, are 12,000 answers: by chance, their number
// varies by 1 %. With two services that both have more demand than they can serve, it once falls to 0.89.
void check_steady(const judged& j) {
    CAPTURE(j.score.goodput, j.score.p99, j.score.oscillation, *j.score.inner_oscillation, j.dip);
    CHECK(j.score.goodput > 0.96);
    CHECK(j.score.p99 < 1.2);
    CHECK(j.dip > 0.85);
}

TEST_CASE("Guards in the clients and one in the server do not disturb each other") {
    const std::string name = GENERATE(as<std::string>{}, "8 1.5x", "8 3x", "32 1.5x");
    INFO(name);
    const judged j = judge(named("layers " + name));
    check_steady(j);
    CHECK(*j.score.least_share > 0.8);
    CHECK(*j.score.inner_oscillation < 0.2);
    CHECK(j.score.oscillation < 0.2);
}

TEST_CASE("A guard before a service that calls another one through a guard loses next to nothing") {
    const std::string name = GENERATE(as<std::string>{}, "B 1.5x", "B 3x", "A 1.5x", "A 3x");
    INFO(name);
    check_steady(judge(named("chain " + name)));
}

TEST_CASE("Guards at different distances lose next to nothing together") {
    const std::string name = GENERATE(as<std::string>{}, "4 + 4, 2 min", "16 + 16, 2 min");
    INFO(name);
    const lab::score s = judge(named("far " + name)).score;
    CAPTURE(s.in_time, s.goodput, s.p99, *s.far_share);
    CHECK(s.in_time > 0.97);
    CHECK(s.goodput > 0.97);
    CHECK(s.p99 < 1.5);
    CHECK(*s.far_share > 0.5);
    CHECK(*s.far_share < 1.5); // so the near guards together have more than half of a fair share
}

} // namespace
