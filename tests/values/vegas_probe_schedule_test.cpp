// vegas_probe_schedule_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/probe_schedule.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <tuple>
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
        double limit;
    };
    for (const row& r : std::vector<row>{{100, 1, 33},
                                         {99, 1, 33},
                                         {98.9, 1, 32},
                                         {3, 1, 1},
                                         {2.9, 1, 2.9 / 3}, // below one it need not be whole
                                         {1, 1, 1.0 / 3},
                                         {0.3, 1, 0.1},
                                         {0.02, 1, 0.01}, // as low as a limit may be
                                         {0, 1, 0.01},
                                         {100, 40, 40},
                                         {20, 9, 9},
                                         {3, 2, 2},
                                         {0, 2, 2}}) {
        CAPTURE(r.concurrency, r.min_limit);
        CHECK(probe_schedule{{.min_limit = r.min_limit}}.limit_at(r.concurrency) == Approx(r.limit));
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
                                         {1.9, 1, true},
                                         {1, 1, true},
                                         {0.02, 1, true}, // to 0.01
                                         {0.019, 1, false},
                                         {0, 1, false},
                                         {3.9, 2, false},
                                         {4, 2, true},
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
        double limit;
        std::size_t min_probe;
        std::size_t admissions;
    };
    for (const row& r : std::vector<row>{{0.01, 60, 10}, // below one, they take longest
                                         {0.99, 60, 10},
                                         {0.5, 7, 7},
                                         {1, 60, 20},
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
    CHECK(schedule.length(0.25, base_of(10 * ms)) == 400 * ms); // 10 / 0.25
    CHECK(schedule.length(33, baseline{}) == 0.0);
}

TEST_CASE("A probe may last three times what it should take, and ten RTTs, by the RTT of the successes") {
    const auto longest = [](double success_rtt, double base, double limit = 33) {
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
    CHECK(schedule.until_scheduled(30, {}, base_of(10), false, 4096 * 10 - 1) == 1.0); // however soon the instant
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

// How long it is until the next scheduled probe of length 30, which take 1 % of the time. The period is 4096, the power
// of two that is closest to 3000: log2 3000 is 11.55.
double until_scheduled(const probe_schedule& schedule, double time, double length = 30) {
    return schedule.until_scheduled(length, {}, base_of(10), false, time);
}

TEST_CASE("A baseline that rose is soon looked at again") {
    probe_schedule schedule = rested();
    CHECK_FALSE(schedule.cooldown_is_over(30));
    CHECK(until_scheduled(schedule, 4095) == 1.0 + 4096);
    schedule.ask_again_soon();
    CHECK(schedule.cooldown_is_over(30));
    CHECK(until_scheduled(schedule, 4095) == 1.0);
}

TEST_CASE("Scheduled probes begin at the multiples of a power of two") {
    probe_schedule schedule{{}};
    for (const auto& [time, wait] : std::vector<std::pair<double, double>>{
             {0, 4096}, {1, 4095}, {4095, 1}, {4096, 4096}, {5000, 3192}, {1e6 * 4096 + 96, 4000}}) {
        CAPTURE(time);
        CHECK(until_scheduled(schedule, time) == wait);
    }
}

TEST_CASE("The period is the power of two that is closest to the length over the share of the time") {
    struct row {
        double length;
        double share;
        double period;
    };
    for (const row& r : std::vector<row>{{28.9, 0.01, 2048}, // 2890; √(2048 · 4096) is 2896.3
                                         {29, 0.01, 4096},
                                         {57.9, 0.01, 4096}, // √(4096 · 8192) is 5792.6
                                         {58, 0.01, 8192},
                                         {29, 0.1, 256},
                                         {29, 0.5, 64},
                                         {0, 0.01, 1},
                                         {1e18, 0.01, 1125899906842624.0}}) { // at most 2⁵⁰ ns, 13 days
        CAPTURE(r.length, r.share);
        CHECK(until_scheduled(probe_schedule{{.probe_share = r.share}}, 0, r.length) == r.period);
    }
}

TEST_CASE("Guards of one server share instants, whatever their intervals") {
    const probe_schedule schedule{{}};
    for (const double time : {0.0, 12'345.0, 1e9 + 1}) {
        const double slow = time + until_scheduled(schedule, time, 500); // of 65'536
        CHECK(slow - 1 + until_scheduled(schedule, slow - 1, 30) == slow);
        CHECK(slow - 1 + until_scheduled(schedule, slow - 1, 100) == slow);
        CHECK(time + until_scheduled(schedule, time, 30) <= slow);
    }
}

TEST_CASE("A scheduled probe is at least half a period after the latest probe") {
    for (const auto& [since, time, wait] :
         std::vector<std::tuple<double, double, double>>{{0, 2048, 2048},
                                                         {0, 2049, 2047 + 4096}, // 2047 would be too short
                                                         {1, 2049, 2047},
                                                         {1000, 3048, 1048},
                                                         {1000, 3049, 1047 + 4096},
                                                         {4096, 8191, 1}}) {
        probe_schedule schedule = rested();
        schedule.pass(since);
        CAPTURE(since, time);
        CHECK(until_scheduled(schedule, time) == wait);
    }
}

TEST_CASE("Scheduled probes come sooner while the baseline is not known to 5 %") {
    // 400 v² samples are wanted, in [1, 2000].
    struct row {
        double variation;
        double samples;
        double period; // 4096 if enough are known
    };
    for (const row& r : std::vector<row>{{0.5, 100, 4096},
                                         {0.5, 50, 2048},
                                         {0.5, 1000, 4096},
                                         {2, 400, 1024},
                                         {0, 1, 4096},
                                         {0.01, 1, 4096},
                                         {3, 1000, 2048}}) { // of 2000, not of 3600
        CAPTURE(r.variation, r.samples);
        const baseline base = base_of(10, r.samples);
        CHECK(probe_schedule{{}}.until_scheduled(30, {.variation = r.variation}, base, false, 0) == r.period);
    }
}

TEST_CASE("Scheduled probes come every eight lengths while the baseline is in doubt") {
    CHECK(probe_schedule{{}}.until_scheduled(30, {.variation = 0.5}, base_of(10, 1000), true, 0) == 256.0); // 240
    // where that is no more than their share of the time,
    CHECK(probe_schedule{{.probe_share = 0.5}}.until_scheduled(30, {}, base_of(10, 1000), true, 0) == 64.0); // 60
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
