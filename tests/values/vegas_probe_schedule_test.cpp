// vegas_probe_schedule_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/probe_schedule.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::probe_schedule;
using flowguard::duration;
using flowguard::vegas_options;

constexpr double ms = 1e6; // nanoseconds

baseline base_of(double rtt, double samples = 1000) {
    baseline base;
    base.learn({.rtt = rtt, .count = samples, .in_flight = 1});
    return base;
}

// A schedule whose latest probe has just ended.
probe_schedule rested(const vegas_options& o = {}) {
    probe_schedule schedule{o};
    schedule.succeed();
    return schedule;
}

// ---- How low ----

TEST_CASE("A probe has a third of the concurrency, but at least min_limit") {
    struct row {
        double concurrency;
        std::size_t min_limit;
        std::size_t limit;
    };
    for (const row& r : std::vector<row>{
             {100, 1, 33}, {99, 1, 33}, {98.9, 1, 32}, {3, 1, 1}, {2.9, 1, 1}, {0, 1, 1}, {100, 40, 40}, {20, 9, 9}}) {
        CAPTURE(r.concurrency, r.min_limit);
        CHECK(probe_schedule{{.min_limit = r.min_limit}}.limit_at(r.concurrency) == r.limit);
    }
}

TEST_CASE("A probe is deeper than half, or there is none") {
    struct row {
        double concurrency;
        std::size_t min_limit;
        bool possible;
    };
    for (const row& r : std::vector<row>{{100, 1, true},
                                         {3, 1, true},
                                         {2, 1, true},
                                         {1.9, 1, false},
                                         {0, 1, false},
                                         {18, 9, true},
                                         {18, 10, false},
                                         {20, 10, true}}) {
        CAPTURE(r.concurrency, r.min_limit);
        CHECK(probe_schedule{{.min_limit = r.min_limit}}.is_possible_at(r.concurrency) == r.possible);
    }
}

// ---- For how long ----

TEST_CASE(
    "A probe has three times its limit of admissions, but at least min_probe, unless 20 times its limit is less") {
    struct row {
        std::size_t limit;
        std::size_t min_probe;
        std::size_t admissions;
    };
    for (const row& r : std::vector<row>{{1, 60, 20},
                                         {2, 60, 40},
                                         {3, 60, 60},
                                         {6, 60, 60},
                                         {20, 60, 60},
                                         {21, 60, 63},
                                         {33, 60, 99},
                                         {6, 19, 19},
                                         {6, 17, 18},
                                         {6, 200, 120},
                                         {1, 1, 3}}) {
        CAPTURE(r.limit, r.min_probe);
        CHECK(probe_schedule{{.min_probe = r.min_probe}}.admissions(r.limit) == r.admissions);
    }
}

TEST_CASE("A probe takes as many baselines as its limit must be used for its admissions") {
    const probe_schedule schedule{{}};
    CHECK(schedule.length(33, base_of(10 * ms)) == 30 * ms); // 99 / 33
    CHECK(schedule.length(6, base_of(10 * ms)) == 100 * ms); // 60 / 6
    CHECK(schedule.length(1, base_of(10 * ms)) == 200 * ms); // 20 / 1
    CHECK(schedule.length(33, baseline{}) == 0.0);
}

TEST_CASE("A probe may last three times what it should take, and ten RTTs, by the RTT of the successes") {
    const auto longest = [](double success_rtt, double base, std::size_t limit = 33) {
        return probe_schedule{{}}.longest(limit, {.rtt = 1e12, .success_rtt = success_rtt}, base_of(base));
    };
    CHECK(longest(20 * ms, 10 * ms) == 380ms); // (3 · 99 / 33 + 10) · 20
    CHECK(longest(20 * ms, 10 * ms, 1) == 1400ms); // (3 · 20 + 10) · 20
    CHECK(longest(5 * ms, 10 * ms) == 190ms); // at least the baseline,
    CHECK(longest(0, 10 * ms) == 190ms); // for nothing succeeded, or time-outs are not to count
    CHECK(longest(3.6e6 * ms, 10 * ms) == 1900ms); // at most ten of it
    CHECK(longest(0.02 * ms, 0.01 * ms) == 1ms); // 380 µs otherwise
    CHECK(longest(9e18, 9e18) == duration{1'000'000'000'000'000'000}); // no overflow
    CHECK(probe_schedule{{}}.longest(33, {.success_rtt = 20 * ms}, baseline{}) == 1ms);
}

// ---- When ----

TEST_CASE("Nothing stands in the way of the first probe") {
    const probe_schedule schedule{{}};
    CHECK(schedule.pause_is_over());
    CHECK(schedule.cooldown_is_over(1e15));
    CHECK(schedule.is_due(1e15, {}, base_of(10)));
}

TEST_CASE("A probe is not tried early before eight lengths of it have passed") {
    probe_schedule schedule = rested();
    schedule.pass(239);
    CHECK_FALSE(schedule.cooldown_is_over(30));
    schedule.pass(1);
    CHECK(schedule.cooldown_is_over(30));
}

TEST_CASE("A probe that failed is not tried again before its share of the time has passed") {
    for (const auto& [share, pause] : std::vector<std::pair<double, double>>{{0.01, 40'000}, {0.5, 800}}) {
        probe_schedule schedule{{.probe_share = share}};
        schedule.fail(400);
        schedule.pass(pause - 1);
        CAPTURE(share);
        CHECK_FALSE(schedule.pause_is_over());
        schedule.pass(1);
        CHECK(schedule.pause_is_over());
    }
}

TEST_CASE("The pause ends early with a probe that succeeds, or if the service is another one") {
    probe_schedule schedule{{}};
    schedule.fail(400);
    schedule.end_pause();
    CHECK(schedule.pause_is_over());
    CHECK_FALSE(schedule.cooldown_is_over(30)); // which is another matter
    schedule.fail(400);
    schedule.succeed();
    CHECK(schedule.pause_is_over());
}

TEST_CASE("A baseline that rose is soon looked at again") {
    probe_schedule schedule = rested();
    CHECK_FALSE(schedule.cooldown_is_over(30));
    CHECK_FALSE(schedule.is_due(30, {}, base_of(10)));
    schedule.ask_again_soon();
    CHECK(schedule.cooldown_is_over(30));
    CHECK(schedule.is_due(30, {}, base_of(10)));
}

// The time from now until a probe of length 30 is due, in steps of 1.
int until_due(probe_schedule schedule, double variation = 0, double samples = 1000) {
    int time = 0;
    for (const baseline base = base_of(10, samples); !schedule.is_due(30, {.variation = variation}, base); ++time)
        schedule.pass(1);
    return time;
}

TEST_CASE("Probes take their share of the time, with jitter") {
    for (const double share : {0.01, 0.1}) {
        const double interval = 30 / share;
        probe_schedule schedule = rested({.probe_share = share});
        double total = 0;
        double shortest = 1e9;
        double longest = 0;
        for (int i = 0; i < 400; ++i) {
            const double time = until_due(schedule);
            total += time;
            shortest = std::min(shortest, time);
            longest = std::max(longest, time);
            schedule.succeed();
        }
        CAPTURE(share);
        CHECK(shortest >= 0.5 * interval);
        CHECK(shortest < 0.55 * interval);
        CHECK(longest > 1.45 * interval);
        CHECK(longest <= 1.5 * interval + 1);
        CHECK(total / 400 == Approx(interval).epsilon(0.05));
    }
}

TEST_CASE("Scheduled probes follow the seed") {
    const auto seeded = [](std::uint64_t seed) { return until_due(rested({.seed = seed})); };
    CHECK(seeded(1) == seeded(1));
    CHECK(seeded(2) != seeded(1));
    CHECK(seeded(0) != seeded(1));
}

TEST_CASE("Scheduled probes come sooner while the baseline is not known to 5 %") {
    // 400 v² samples are wanted, in [1, 2000].
    struct row {
        double variation;
        double samples;
        double share; // of the interval
    };
    for (const row& r : std::vector<row>{{0.5, 100, 1},
                                         {0.5, 50, 0.5},
                                         {0.5, 1000, 1},
                                         {2, 400, 0.25},
                                         {0, 1, 1},
                                         {0.01, 1, 1},
                                         {3, 1000, 0.5}}) { // of 2000, not of 3600
        const double whole = until_due(rested());
        CAPTURE(r.variation, r.samples);
        CHECK(until_due(rested(), r.variation, r.samples) == Approx(r.share * whole).margin(1));
    }
}

TEST_CASE("As many samples at low concurrency as a probe has are as good as a probe") {
    probe_schedule schedule = rested();
    schedule.pass(1e6);
    schedule.saw_low(59);
    CHECK(schedule.cooldown_is_over(30));
    schedule.saw_low(1); // 60
    CHECK_FALSE(schedule.cooldown_is_over(30));

    schedule.pass(1e6);
    schedule.saw_low(59); // the count began anew,
    CHECK(schedule.cooldown_is_over(30));
    schedule.succeed(); // as it does with a probe
    schedule.pass(1e6);
    schedule.saw_low(59);
    CHECK(schedule.cooldown_is_over(30));

    probe_schedule small{{.min_probe = 10}};
    small.saw_low(10);
    CHECK_FALSE(small.cooldown_is_over(30));
}

} // namespace
