// vegas_trials_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/trials.hpp" // first: the header is self-contained

#include <chrono>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::trials;
using flowguard::vegas_options;

// Probes of 10 ms take 1 % of the time: the power of two that is closest to 1 s is 2³⁰ ns.
constexpr double probe = 10e6;
constexpr double period = 1 << 30;

// A window in which the limit was used.
measurement bound(double limit, double rtt, double variation = 0, double length = 0) {
    return {.rtt = rtt,
            .count = 100,
            .variation = variation,
            .limit = limit,
            .in_flight = limit,
            .bound = true,
            .length = length};
}

// Trials after a window with a limit of 20 and an RTT of 10, and a long time.
trials after_twenty(double variation = 0, const vegas_options& options = {}) {
    trials t{options};
    t.see(bound(20, 10, variation, 1e15));
    return t;
}

TEST_CASE("A trial is of half as much again, up to the highest limit") {
    CHECK(trials{{}}.limit_from(20) == 30);
    CHECK(trials{{}}.limit_from(4.1) == 7); // 6.15
    CHECK(trials{vegas_options{.max_limit = 25}}.limit_from(20) == 25);
}

TEST_CASE("There is a trial only with a known RTT, from a limit of eight, and where the limit can grow by a fifth") {
    CHECK(after_twenty().is_possible_at(20));
    CHECK_FALSE(trials{{}}.is_possible_at(20));
    CHECK(after_twenty().is_possible_at(8));
    CHECK_FALSE(after_twenty().is_possible_at(7.9));
    CHECK(after_twenty(0, {.max_limit = 24}).is_possible_at(20));
    CHECK_FALSE(after_twenty(0, {.max_limit = 23}).is_possible_at(20));
}

TEST_CASE("Windows that demand set, or without an RTT, are nothing to compare with") {
    trials t{{}};
    measurement idle = bound(20, 10);
    idle.bound = false;
    t.see(idle);
    measurement hung = bound(20, 0);
    hung.count = 0;
    t.see(hung);
    CHECK_FALSE(t.is_possible_at(20));
}

TEST_CASE("A trial has more admissions if the RTTs vary, and two for each permit at least") {
    CHECK(after_twenty(0).admissions(30) == 60);
    CHECK(after_twenty(0.5).admissions(30) == 120); // 60 + 240 / 4
    CHECK(after_twenty(1).admissions(30) == 300);
    CHECK(after_twenty(3).admissions(30) == 300);
    CHECK(after_twenty(0).admissions(200) == 400);
}

TEST_CASE("A trial may last three times what it should take with an RTT of half as much again, and ten such RTTs") {
    trials t{{}};
    t.see(bound(20, 1e6));
    CHECK(t.longest(30, 1) == (3 * 60 / 30 + 10) * 1500us);
    CHECK(t.longest(30, 2) == (3 * 60 / 30 + 10) * 3000us); // where the calls cost twice as much
}

TEST_CASE("The instants of trials are a third or two thirds of a period after those of probes, whatever the period") {
    struct row {
        double length; // of a probe
        double period;
    };
    for (const row& r : std::vector<row>{{probe, period},
                                         {1.5 * probe, period},
                                         {1.6 * probe, 2 * period},
                                         {8 * probe, 8 * period},
                                         {probe / 16, period / 16}}) {
        for (const double time : {0.0, 0.4 * period, 0.9 * period, 1.7e18}) {
            CAPTURE(r.length, time);
            const double wait = after_twenty().until_scheduled(r.length, time);
            CHECK(wait > 0);
            CHECK(wait <= r.period);
            const double phase = std::fmod(time + wait, r.period) / r.period;
            CHECK((phase == Approx(1.0 / 3).margin(1e-3) || phase == Approx(2.0 / 3).margin(1e-3)));
        }
    }
}

TEST_CASE("Guards with different periods have common instants for trials") {
    const double slow = after_twenty().until_scheduled(16 * probe, 0); // an instant, in the time of the clock
    CHECK(after_twenty().until_scheduled(probe, slow - 1e6) == Approx(1e6).margin(128));
    CHECK(after_twenty().until_scheduled(4 * probe, slow - 1e6) == Approx(1e6).margin(128));
}

TEST_CASE("A trial is at least half a period after the one before") {
    trials t = after_twenty();
    const double first = t.until_scheduled(probe, 0);
    t.rest();
    t.succeed(bound(30, 10), 0, 0);
    CHECK(t.until_scheduled(probe, first + 1e6) == Approx(period - 1e6).margin(128));
    CHECK(t.until_scheduled(probe, first - 1e6) == Approx(period + 1e6).margin(128)); // a clock that was set back
    t.see(bound(20, 10, 0, 0.6 * period));
    CHECK(t.until_scheduled(probe, first - 1e6) == Approx(1e6).margin(128));
}

TEST_CASE("Trials that show nothing make the next ones rare, at instants of the guards whose trials are frequent") {
    trials t = after_twenty();
    for (const double times : {2, 4, 8, 8}) {
        CAPTURE(times);
        t.rest();
        t.see(bound(20, 10, 0, 1e15));
        const double rare = t.until_scheduled(probe, 0);
        CHECK(t.until_scheduled(probe, rare + 1e6) == Approx(times * period - 1e6).margin(1024));
        CHECK(after_twenty().until_scheduled(probe, rare - 1e6) == Approx(1e6).margin(1024));
    }
    t.succeed(bound(30, 10), 0, 0);
    CHECK(t.until_scheduled(probe, 0) <= period);
}

TEST_CASE("A trial that demand did not fill says nothing") {
    const trials t = after_twenty();
    CHECK(t.tells(bound(30, 10)));
    CHECK(t.tells(bound(25, 10)));
    CHECK_FALSE(t.tells(bound(24, 10)));
    measurement idle = bound(30, 10);
    idle.bound = false;
    CHECK_FALSE(t.tells(idle));
}

TEST_CASE("Throughput grew in a trial if the RTT rose by less than the 0.45th power of what was in flight") {
    struct row {
        double variation;
        double rtt; // in the trial, after 10
        bool is_gain;
    };
    const baseline unknown;
    for (const row& r : std::vector<row>{{0, 10, true},
                                         {0, 12, true}, // ln 1.2 / ln 1.5 = 0.4497
                                         {0, 12.1, false},
                                         {0, 15, false}, // a queue
                                         {1, 13, true}, // 0.647 < 0.65
                                         {1, 13.1, false},
                                         {2, 13.1, false}}) {
        CAPTURE(r.variation, r.rtt);
        CHECK(after_twenty(r.variation).is_gain(bound(30, r.rtt), unknown) == r.is_gain);
    }
}

TEST_CASE("Throughput that a trial won from other clients is no gain, nor is any above a knee") {
    struct row {
        double low; // the baseline, with 5 in flight, before 10 with 20
        double rtt; // in the trial
        bool is_gain;
    };
    for (const row& r : std::vector<row>{{10, 10, true}, // nothing was above the baseline
                                         {8, 10.7, true}, // ln 1.07 / ln 1.5 = 0.167; 0.8 · ln 1.25 / ln 4 = 0.129
                                         {8, 10.5, false}, // 0.120
                                         {4, 11.1, false}, // ln 2.5 / ln 4 = 0.661: a queue
                                         {4.2, 11.1, false}, // 0.26 < 0.8 · 0.626
                                         {4.2, 12.5, true}}) {
        CAPTURE(r.low, r.rtt);
        baseline base;
        base.learn({.rtt = r.low, .count = 100, .in_flight = 5});
        CHECK(after_twenty(1).is_gain(bound(30, r.rtt), base) == r.is_gain);
    }
    baseline close; // with 15 in flight: too close to tell
    close.learn({.rtt = 8, .count = 100, .in_flight = 15});
    CHECK(after_twenty().is_gain(bound(30, 10.5), close));
}

TEST_CASE("A trial is compared with all windows with about the same limit") {
    trials t{{}};
    t.see(bound(10, 100)); // another limit
    t.see(bound(20, 8));
    t.see(bound(22, 12));
    CHECK(t.is_gain(bound(31.5, 12), {})); // 10 with 21 on average
    CHECK_FALSE(t.is_gain(bound(31.5, 12.1), {}));
}

TEST_CASE("What seems to queue in a trial that succeeds is allowed, and forgotten with those that fail") {
    trials t = after_twenty();
    CHECK(t.allowed() == 0);
    t.succeed(bound(30, 12), 9, 3);
    CHECK(t.allowed() == Approx(0.2)); // (9 − 3) / 30
    t.succeed(bound(30, 12), 6, 3);
    CHECK(t.allowed() == Approx(0.2)); // not less by a success
    t.succeed(bound(30, 12), 30, 3);
    CHECK(t.allowed() == Approx(0.7));
    t.fail();
    CHECK(t.allowed() == Approx(0.49));
    for (int i = 0; i < 10; ++i)
        t.fail();
    CHECK(t.allowed() == 0);
}

} // namespace
