// lab_simulation_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What happens to requests in a run of the lab.

#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "runs.hpp"
#include "theory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <catch2/catch.hpp>

namespace {

using lab::record;
using lab::rejected_callers;
using lab::scenario;
using lab::spread;

bool same(const record& a, const record& b) {
    return std::equal(a.bins.begin(), a.bins.end(), b.bins.begin(), b.bins.end(),
                      [](const lab::bin& x, const lab::bin& y) {
                          return x.offered == y.offered && x.rejected == y.rejected && x.succeeded == y.succeeded &&
                                 x.limit == y.limit && x.rtts == y.rtts;
                      }) &&
           a.succeeded_by_guard == b.succeeded_by_guard && a.in_flight_integral == b.in_flight_integral &&
           a.time_in_flight == b.time_in_flight;
}

TEST_CASE("No request is lost or counted twice") {
    for (const named_change& how : varied_scenarios()) {
        scenario s = varied(how);
        s.phases.push_back({.length = 30, .rate = 0, .workers = 12, .guards = s.phases.back().guards});
        INFO(how.name);
        const record r = run(s, vegas(s.guards()));
        CHECK(answered(r) + rejected(r) ==
              offered(r)); // at the end, no request is in service, on its way back, or waiting
        CHECK(succeeded(r) <= answered(r));
        if (s.time_out == 0)
            CHECK(succeeded(r) == answered(r));
        else
            CHECK(succeeded(r) < answered(r));
    }
}

TEST_CASE("A server also does the work of callers that gave up") {
    // One worker takes 0.1 s for each request, and four are in flight. The first one is answered in time. All others
    // wait behind work whose callers have given up.
    scenario s;
    s.service = 0.1;
    s.services = spread::fixed;
    s.time_out = 0.15;
    s.phases = {{.length = 100, .rate = 1000, .workers = 1}};
    const record flooded = run(s, fixed(4));
    CHECK(succeeded(flooded) == 1);
    CHECK(answered(flooded) > 2600); // four per 0.15 s

    std::size_t at_time_out = 0;
    for (const lab::bin& b : flooded.bins)
        for (const float rtt : b.rtts)
            at_time_out += std::abs(rtt - 0.15F) < 1e-4F ? 1U : 0U; // exactly the requests whose callers gave up
    CHECK(static_cast<double>(at_time_out) == answered(flooded) - 1);

    // When the callers stay away, the server first completes all the work that it has.
    s.phases = {{.length = 10, .rate = 1000, .workers = 1},
                {.length = 40, .rate = 1, .workers = 1},
                {.length = 50, .rate = 1, .workers = 1}};
    const record relieved = run(s, fixed(4), 1, 100); // bins of 1 s
    double admitted = 0;
    for (std::size_t i = 0; i <= 10; ++i)
        admitted += static_cast<double>(relieved.bins[i].rtts.size());
    const auto backlog = static_cast<std::size_t>(0.1 * admitted); // seconds
    REQUIRE(backlog > 20);
    REQUIRE(backlog < 45);
    CHECK(relieved.succeeded(1, backlog) == 0);
    CHECK(relieved.succeeded(backlog + 10, 100) >
          0.8 * relieved.sum(backlog + 10, 100, [](const lab::bin& b) { return b.offered; }));
}

TEST_CASE("A permit comes back at the time-out, or with an answer in time") {
    scenario s;
    s.service = 1;
    s.services = spread::fixed;
    s.time_out = 0.25;
    s.phases = {{.length = 100, .rate = 1000, .workers = 1000}};
    const auto ends = ends_of(s, 1);
    REQUIRE(ends.size() > 380);
    CHECK(ends.size() <= 400);
    CHECK(std::all_of(ends.begin(), ends.end(), [](const auto& e) { return e.how == lab::outcome::dropped; }));
    s.time_out = 1.25;
    const auto in_time = ends_of(s, 1);
    REQUIRE(in_time.size() > 95);
    CHECK(std::none_of(in_time.begin(), in_time.end(), [](const auto& e) { return e.how == lab::outcome::dropped; }));
}

TEST_CASE("A response on its way downstream holds no worker") {
    scenario s;
    s.service = 0.1;
    s.services = spread::fixed;
    s.downstream = 0.9;
    s.phases = {{.length = 101, .rate = 1000, .workers = 1}};
    const record r = run(s, fixed(10));
    CHECK(succeeded(r) == Approx(1000).margin(15)); // ten per second, because ten are in flight for 1 s each
    for (const lab::bin& b : r.bins)
        for (const float rtt : b.rtts)
            REQUIRE(rtt >= 0.9999F);
}

TEST_CASE("Rejected callers leave, retry or wait") {
    scenario s;
    s.service = 0.01;
    s.phases = {{.length = 20, .rate = 200, .workers = 1}};
    const record leave = run(s, fixed(1));
    s.rejected = rejected_callers::retry;
    const record retry = run(s, fixed(1));
    s.rejected = rejected_callers::wait;
    const record wait = run(s, fixed(1));
    CHECK(offered_by_bin(leave) == offered_by_bin(retry));
    CHECK(offered_by_bin(leave) == offered_by_bin(wait));
    CHECK(rejected(leave) > 1.1 * rejected(retry));
    CHECK(succeeded(retry) > 1.1 * succeeded(leave));
    CHECK(rejected(wait) == 0);
    CHECK(succeeded(wait) == Approx(2000).epsilon(0.1)); // the worker is never idle
    s.time_out = 0.1;
    CHECK(rejected(run(s, fixed(1))) > 1000); // the callers that gave up while they waited
}

TEST_CASE("Nothing completes during a stall, and no work is lost") {
    scenario s;
    s.service = 0.01;
    s.stalls = {.every = 1.5, .lasts = 0.5};
    s.phases = {{.length = 150, .rate = 1000, .workers = 4}};
    const bool sharing = GENERATE(false, true);
    if (sharing)
        s.contention = 0.2;
    const auto ends = ends_of(s, 8);
    for (const auto& [at, dropped] : ends) {
        const double since = std::fmod(at + 1e-7, 1.5); // the clock counts whole nanoseconds
        REQUIRE(since <= 1 + 2e-7);
    }
    const double per_second = sharing ? usl(8, 0.2, 0) / 0.01 : 4 / 0.01;
    CHECK(static_cast<double>(ends.size()) == Approx(100 * per_second).epsilon(0.03));
}

TEST_CASE("The same seed gives the same run") {
    for (const named_change& how : varied_scenarios()) {
        const scenario s = varied(how);
        INFO(how.name);
        const record first = run(s, vegas(s.guards()), 5);
        CHECK(same(first, run(s, vegas(s.guards()), 5)));
        CHECK_FALSE(same(first, run(s, vegas(s.guards()), 6)));
    }
}

} // namespace
