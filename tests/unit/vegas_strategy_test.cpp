// vegas_strategy_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include "support/rejection.hpp"
#include "support/windows.hpp"

// A plan for a probe, however long that may last.
struct a_probe {
    std::size_t limit;
    std::size_t admissions;
    std::size_t then;

    friend bool operator==(const flowguard::plan& p, const a_probe& d) {
        return p.limit == d.limit && p.admissions == d.admissions && p.then == d.then;
    }
};

template <>
struct Catch::StringMaker<a_probe> {
    static std::string convert(const a_probe& d) {
        return "a_probe{" + std::to_string(d.limit) + ", " + std::to_string(d.admissions) + ", " +
               std::to_string(d.then) + "}";
    }
};

template <>
struct Catch::StringMaker<flowguard::plan> {
    static std::string convert(const flowguard::plan& p) {
        return "plan{" + std::to_string(p.limit) + ", " + std::to_string(p.admissions) + ", " + std::to_string(p.then) +
               "}";
    }
};

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::with_drops;

static_assert(flowguard::limit_strategy<vegas_strategy>);
static_assert(std::is_copy_constructible_v<vegas_strategy> && std::is_copy_assignable_v<vegas_strategy>);
static_assert(!std::is_convertible_v<std::size_t, vegas_strategy>);
static_assert(noexcept(std::declval<vegas_strategy&>().update(std::declval<const window&>())));

// ---- Windows ----

// A window in which the limit was fully used and each of 100 requests took `rtt`.
window bound_window(std::size_t limit, duration rtt, duration length = 10ms) {
    window w = support::bound_window(limit, rtt);
    w.length = w.admitting = length;
    return w;
}

// The same with less in flight than the limit allows.
window idle_window(std::size_t limit, double in_flight, duration rtt, duration length = 10ms) {
    window w = bound_window(limit, rtt, length);
    w.mean_in_flight = in_flight;
    w.max_in_flight = static_cast<std::size_t>(in_flight) + 1;
    return w;
}

// How the RTTs of a window spread around their mean. Not at all: variation 0, and so is the slack's v.
window even(window w) {
    return w;
}

// Half of them 50 % below the mean, half above. A histogram that puts them in the middle of its buckets makes that a
// variation of 0.507 at a mean of 10 ms: of 4.98 and 15.20 ms.
window halves(window w) {
    w.all.histogram = {};
    w.all.histogram.add(w.all.mean / 2, static_cast<std::uint32_t>(w.all.samples / 2));
    w.all.histogram.add(w.all.mean * 3 / 2, static_cast<std::uint32_t>(w.all.samples - w.all.samples / 2));
    return w;
}

// A fifth of them 4.2 times the mean, the others a fifth of it: variation 1.6, so that v is 1.
void spread_wide(flowguard::rtt_histogram& histogram, duration mean, std::size_t samples) {
    histogram = {};
    histogram.add(mean / 5, static_cast<std::uint32_t>(samples - samples / 5));
    histogram.add(mean * 21 / 5, static_cast<std::uint32_t>(samples / 5));
}

window wide(window w) {
    spread_wide(w.all.histogram, w.all.mean, w.all.samples);
    return w;
}

window varying_window(std::size_t limit, duration rtt) {
    return halves(bound_window(limit, rtt));
}

window with_low(window w, std::uint32_t samples, duration rtt) {
    w.low.samples = samples;
    w.low.mean = rtt;
    w.low.histogram.add(rtt, samples);
    return w;
}

window with_wide_low(window w, std::uint32_t samples, duration rtt) {
    w = with_low(w, samples, rtt);
    spread_wide(w.low.histogram, rtt, samples);
    return w;
}

// A strategy that has just left its quick start: limit 100, baseline 10 ms of RTTs with this spread, nothing usually
// dropped, and a probe that has just ended. Its probes are from 100 to 33, 99 admissions, 30 ms; so it may look again
// after 240 ms. With wide RTTs slack is 3 + 0.6 · √busy + busy / 20.
vegas_strategy settled(vegas_options options = {}, window (*spread)(window) = wide) {
    options.initial_limit = 200;
    vegas_strategy strategy{options};
    REQUIRE(strategy.update(spread(bound_window(20, 10ms))) == plan{80, 120});
    REQUIRE(strategy.update(spread(bound_window(80, 10ms))) == plan{200, 300});
    REQUIRE(strategy.update(spread(with_drops(bound_window(200, 10ms), 50, 10ms))) == a_probe{33, 99, 100});
    REQUIRE(strategy.update(spread(bound_window(33, 10ms))) == plan{100, 150});
    REQUIRE(strategy.baseline() == 10ms);
    return strategy;
}

// ---- Construction ----

TEST_CASE("vegas_strategy starts at its initial limit, but not above 20") {
    CHECK(vegas_strategy{}.current_limit() == 20);
    CHECK(vegas_strategy{10}.current_limit() == 10);
    CHECK(vegas_strategy{vegas_options{.initial_limit = 7}}.current_limit() == 7);
    CHECK(vegas_strategy{21}.current_limit() == 20);
    CHECK(vegas_strategy{100'000}.current_limit() == 20);
    CHECK(vegas_strategy{vegas_options{.initial_limit = 100, .min_limit = 30}}.current_limit() == 30);
    CHECK(vegas_strategy{10}.baseline() == 0ns);
    CHECK(vegas_strategy{10}.queue_estimate() == 0.0);
}

TEST_CASE("vegas_strategy rejects a bad option by name, value and range") {
    const auto rejection = support::rejection<vegas_strategy, vegas_options>;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::string option = "flowguard: vegas_options::";
    CHECK(rejection({}) == "accepted");
    CHECK(rejection({.initial_limit = 0}) == option + "initial_limit is 0, must be in [1, 100000]");
    CHECK(rejection({.initial_limit = 4, .min_limit = 5}) == option + "initial_limit is 4, must be in [5, 100000]");
    CHECK(rejection({.initial_limit = 11, .max_limit = 10}) == option + "initial_limit is 11, must be in [1, 10]");
    CHECK(rejection({.min_limit = 0}) == option + "min_limit is 0, must be in [1, 100000]");
    CHECK(rejection({.min_limit = 11, .max_limit = 10}) == option + "min_limit is 11, must be in [1, 10]");
    CHECK(rejection({.max_limit = 0}) == option + "max_limit is 0, must be in [1, 268435455]");
    CHECK(rejection({.max_limit = flowguard::max_limit + 1}) ==
          option + "max_limit is 268435456, must be in [1, 268435455]");
    CHECK(rejection({.slack_floor = 0}) == option + "slack_floor is 0, must be in (0, 1e+06]");
    CHECK(rejection({.slack_factor = -1}) == option + "slack_factor is -1, must be in [0, 1e+06]");
    CHECK(rejection({.alpha = 1.5, .beta = 1}) == option + "alpha is 1.5, must be in [0, 1]");
    CHECK(rejection({.beta = -2}) == option + "beta is -2, must be in [0, 1e+06]");
    CHECK(rejection({.min_window = 0}) == option + "min_window is 0, must be in [1, 1000000]");
    CHECK(rejection({.min_probe = 1'000'001}) == option + "min_probe is 1000001, must be in [1, 1000000]");
    CHECK(rejection({.probe_share = 0}) == option + "probe_share is 0, must be in (0, 0.5]");
    CHECK(rejection({.drop_tolerance = 1}) == option + "drop_tolerance is 1, must be in [0, 1)");
    CHECK(rejection({.slack_floor = nan}) == option + "slack_floor is nan, must be in (0, 1e+06]");
    CHECK(rejection({.slack_factor = nan}) == option + "slack_factor is nan, must be in [0, 1e+06]");
    CHECK(rejection({.alpha = nan}) == option + "alpha is nan, must be in [0, 1]");
    CHECK(rejection({.beta = nan}) == option + "beta is nan, must be in [0, 1e+06]");
    CHECK(rejection({.probe_share = nan}) == option + "probe_share is nan, must be in (0, 0.5]");
    CHECK(rejection({.drop_tolerance = nan}) == option + "drop_tolerance is nan, must be in [0, 1)");
    CHECK_THROWS_AS(vegas_strategy{0}, std::invalid_argument);
    CHECK_THROWS_AS(vegas_strategy{100'001}, std::invalid_argument);
}

// ---- Quick start ----

TEST_CASE("The quick start doubles the limit while it binds and the RTT is flat") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{40, 100});
    CHECK(strategy.baseline() == 10ms);
    CHECK(strategy.update(bound_window(40, 12ms)) == plan{80, 120});
    CHECK(strategy.baseline() == 10ms); // 12 ms is flat enough to go on, but already a rise
    CHECK(strategy.queue_estimate() == Approx(40 * (1 - 10.0 / 12)));
}

TEST_CASE("The quick start takes an initial limit above 20 for a hint, and quadruples the limit below it") {
    vegas_strategy strategy{1000};
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{80, 120});
    CHECK(strategy.update(bound_window(80, 10ms)) == plan{320, 480});
    CHECK(strategy.update(bound_window(320, 10ms)) == plan{1000, 1500}); // not 1280
    CHECK(strategy.update(bound_window(1000, 10ms)) == plan{2000, 3000});
    // Doubled where that leads beyond the hint.
    strategy = vegas_strategy{100};
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{80, 120});
    CHECK(strategy.update(bound_window(80, 10ms)) == plan{160, 240});
    strategy = vegas_strategy{vegas_options{.initial_limit = 1000, .max_limit = 1000}};
    strategy.update(bound_window(20, 10ms));
    strategy.update(bound_window(80, 10ms));
    strategy.update(bound_window(320, 10ms));
    CHECK(strategy.update(bound_window(1000, 10ms)) == plan{1000, 1500});
}

TEST_CASE("The quick start follows the hint only while the limit binds and nothing queues") {
    vegas_strategy strategy{1000};
    CHECK(strategy.update(wide(idle_window(20, 3, 10ms))) == plan{20, 60});
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{80, 120});
    // The baseline is from 3 to 20 in flight, so it needs no probe to 26. Queue 80 · (1 − 10 / 14) = 22.86, slack
    // 3 + 0.6 · √57.14 + 57.14 / 20 = 10.39: 80 − 12.46 / 2 = 73.77.
    CHECK(strategy.update(bound_window(80, 14ms)) == plan{74, 111});
    // The quick start is over, so a probe is due; then half of the slack, 3 + 0.6 · √73.77 + 73.77 / 20 = 11.84.
    CHECK(strategy.update(bound_window(74, 10ms)) == a_probe{24, 72, 74});
    CHECK(strategy.update(wide(bound_window(24, 10ms))) == plan{80, 120});
}

TEST_CASE("The quick start grows from one, in short windows") {
    vegas_strategy strategy{1};
    CHECK(strategy.update(bound_window(1, 10ms)) == plan{2, 20});
    CHECK(strategy.update(bound_window(2, 10ms)) == plan{4, 20});
    CHECK(strategy.update(bound_window(4, 10ms)) == plan{8, 24});
    CHECK(strategy.update(bound_window(8, 10ms)) == plan{16, 48});
    CHECK(strategy.update(bound_window(16, 10ms)) == plan{32, 96});
    CHECK(strategy.update(bound_window(32, 10ms)) == plan{64, 100});
}

TEST_CASE("The quick start waits while demand is low") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(idle_window(20, 3, 10ms)) == plan{20, 60});
    CHECK(strategy.update(idle_window(20, 3, 10ms)) == plan{20, 60});
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{40, 100});
}

TEST_CASE("The quick start takes what varies within three standard errors for flat") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(varying_window(20, 10ms)) == plan{40, 100});
    // Standard error of the difference: 0.5 × √(10² + 11²) / √100 = 0.74 ms.
    CHECK(strategy.update(varying_window(40, 11ms)) == plan{80, 120});
    CHECK(strategy.baseline() == 10500us); // the mean of 100 samples and 100 more
    // 27 % more, but of few samples: 0.5 × √(13.3² / 40 + 10.5² / 200) = 1.12 ms.
    window few = varying_window(80, 13'300us);
    few.admitted = few.all.samples = 40;
    CHECK(strategy.update(few) == plan{160, 240});
    // 28 % more: 3.03 ms above 10.97 ms, with an error of 0.5 × √(14² / 100 + 10.97² / 240) = 0.78 ms.
    CHECK(strategy.update(varying_window(160, 14ms)) == a_probe{53, 159, 160}); // a probe is to confirm it
}

TEST_CASE("The quick start takes 2.5 times the baseline for flat at most, however the RTTs vary") {
    vegas_strategy strategy{vegas_options{.slack_floor = 20}}; // a slack of 0.4 × 40, lest the queue calls for a probe
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{40, 100});
    // Of ten samples: an error of 1.6 × √(24² / 10 + 10² / 100) = 12 ms, and hardly more for 26 ms.
    const auto few = [](duration rtt) {
        window w = bound_window(40, rtt);
        w.admitted = w.all.samples = 10;
        return wide(w);
    };
    CHECK(vegas_strategy{strategy}.update(few(24ms)) == plan{80, 120});
    CHECK(strategy.update(few(26ms)) == a_probe{13, 60, 40});
}

TEST_CASE("The quick start ends when a probe confirms that the RTT rises") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{40, 100});
    CHECK(strategy.update(bound_window(40, 20ms)) == a_probe{13, 60, 40});
    // The RTT fell: a deeper probe makes sure that it does not fall further.
    CHECK(strategy.update(wide(bound_window(13, 10ms))) == a_probe{4, 60, 40});
    CHECK(strategy.update(wide(bound_window(4, 10ms))) == plan{40, 100});
    // Queue 20, slack 3 + 0.6 · √20 + 1 = 6.68: 40 − 13.32 / 2 = 33.34.
    CHECK(strategy.update(bound_window(40, 20ms)) == plan{33, 100});
    CHECK(strategy.queue_estimate() == Approx(20));
    // Slack 3 + 0.6 · √33.34 + 33.34 / 20 = 8.13, and half of it: 37.41.
    CHECK(strategy.update(bound_window(33, 10ms)) == plan{37, 100});
}

TEST_CASE("The quick start does not end by a small queue before a probe") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{40, 100});
    // Queue 9.2, slack 3 + 0.6 · √30.8 + 30.8 / 20 = 7.9: not enough for a probe, 2 × 7.9 + 4, otherwise.
    CHECK(strategy.update(bound_window(40, 13ms)) == a_probe{13, 60, 40});
}

TEST_CASE("The quick start goes on when a probe shows that the first RTTs were short by chance") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{40, 100});
    CHECK(strategy.update(bound_window(40, 13ms)) == a_probe{13, 60, 40});
    CHECK(strategy.update(bound_window(13, 13ms)) == plan{80, 120});
    CHECK(strategy.baseline() == 13ms);
}

TEST_CASE("The quick start takes the first RTTs for the baseline only if less concurrency has the same") {
    // Two workers that take 10 ms: all of it queues, from the first window on.
    vegas_strategy strategy{64};
    CHECK(strategy.update(wide(bound_window(20, 100ms))) == plan{64, 100});
    CHECK(strategy.update(wide(bound_window(64, 320ms))) == a_probe{21, 63, 64});
    // As before, from as many: that says nothing. 1.3 × 21 = 27.3.
    CHECK(strategy.update(wide(bound_window(21, 105ms))) == a_probe{7, 60, 27});
    CHECK(strategy.update(wide(bound_window(7, 35ms))) == a_probe{2, 40, 9});
    CHECK(strategy.update(wide(bound_window(2, 10ms))) == a_probe{1, 20, 3});
    CHECK(strategy.update(wide(bound_window(1, 10ms))) == plan{3, 30});
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The quick start ends without a probe where demand has shown the baseline") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 59, 10ms)) == plan{20, 60});
    CHECK(vegas_strategy{strategy}.update(bound_window(20, 14ms)) == a_probe{6, 60, 20});
    // With 60, it is known as well as from a probe. Queue 20 · (1 − 10 / 14) = 5.71, slack 3 + 0.6 · √14.3 + 0.71
    // = 5.98.
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 10, 10ms)) == plan{20, 60});
    CHECK(strategy.update(bound_window(20, 14ms)) == plan{20, 100});
    // Not doubled any more: half of 3 + 0.6 · √20 + 1 = 6.68.
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{23, 100});
}

// ---- Limit ----

TEST_CASE("The limit shrinks by half of what queues beyond the slack") {
    vegas_strategy strategy = settled();
    // Queue 100 × (1 − 10 / 12.5) = 20, slack 3 + 0.6 · √80 + 80 / 20 = 12.37: 100 − 7.63 / 2 = 96.18.
    CHECK(strategy.update(bound_window(100, 12'500us)) == plan{96, 144});
    CHECK(strategy.queue_estimate() == Approx(20));
    CHECK(strategy.current_limit() == 96);
}

TEST_CASE("The limit shrinks by at most 30 % a window") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 100ms)) == plan{70, 105}); // queue 90, slack 5.4
}

TEST_CASE("The limit stays while the queue is between the thresholds") {
    vegas_strategy strategy = settled();
    // Queue 9.91, slack 3 + 0.6 · √90.09 + 90.09 / 20 = 13.20, alpha · slack = 9.24.
    CHECK(strategy.update(bound_window(100, 11'100us)) == plan{100, 150});
}

TEST_CASE("The limit grows by half of what the queue is short of the slack") {
    vegas_strategy strategy = settled();
    // Queue 6.0 < 0.7 × 13.517; 100 + 7.517 / 2 = 103.76. Three such steps show the fraction that was kept.
    CHECK(strategy.update(bound_window(100, 10'638'298ns)) == plan{104, 156});
    // Queue 104 × 0.06 = 6.24, slack 3 + 0.6 · √97.52 + 97.52 / 20 = 13.80: 103.76 + 3.78 = 107.54.
    CHECK(strategy.update(bound_window(104, 10'638'298ns)) == plan{108, 162});
    // Queue 108 × 0.06 = 6.48, slack 3 + 0.6 · √101.06 + 101.06 / 20 = 14.08: 107.54 + 3.80 = 111.34.
    CHECK(strategy.update(bound_window(108, 10'638'298ns)) == plan{111, 166});
}

TEST_CASE("The slack is more the more the service times vary") {
    // Queue 100 · (1 − 10 / 14) = 28.57; 3 + 0.6 · √71.43 + 71.43 / 20 = 11.64.
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{86, 129}); // slack 1: 100 − 27.57 / 2 = 86.21
    strategy = settled({}, halves);
    // Slack 0.493 + 0.507 · 11.64 = 6.39: 100 − 22.18 / 2 = 88.91.
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{89, 133});
    strategy = settled({}, wide); // a variation of 1.6 counts as 1
    CHECK(strategy.update(bound_window(100, 14ms)) == plan{92, 138}); // 100 − 16.93 / 2 = 91.54
}

TEST_CASE("The slack follows the variation of the baseline, not of the latest RTTs") {
    vegas_strategy strategy = settled({}, even);
    CHECK(strategy.update(wide(bound_window(100, 14ms))) == plan{86, 129});
}

// What is left after drops of 80 % and of 99 % is a quarter each: 25, and 6.25.
vegas_strategy settled_at_6() {
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(with_drops(bound_window(100, 10ms), 80, 10ms)).limit == 25);
    REQUIRE(strategy.update(with_drops(bound_window(25, 10ms), 99, 10ms)).limit == 6);
    return strategy;
}

TEST_CASE("The slack is at most 0.4 of the limit") {
    vegas_strategy strategy = settled_at_6();
    // 3 + 0.6 · √6.25 + 6.25 / 20 = 4.8 would be more than 0.4 × 6 = 2.4, of which the limit grows by half: 7.45.
    CHECK(strategy.update(bound_window(6, 10ms)) == plan{7, 70});
    CHECK(strategy.update(bound_window(7, 10ms)) == plan{9, 90}); // 7.45 + 1.4 = 8.85
    CHECK(strategy.update(bound_window(9, 10ms)) == plan{12, 100}); // 8.85 × 1.4 = 12.39: the third, by all of it
    // Queue 12 · (1 − 10 / 15) = 4 < 0.4 × 12 = 4.8, though not < 0.7 of it.
    CHECK(strategy.update(bound_window(12, 15ms)) == plan{12, 100});
}

TEST_CASE("The slack is at most 0.4 of what is in flight") {
    const auto limit_after = [](double in_flight) {
        vegas_strategy strategy = settled();
        return strategy.update(idle_window(100, in_flight, 40ms)).limit; // three quarters of them queue
    };
    CHECK(limit_after(40) == 91); // 100 − (30 − 11.5) / 2, for 11.5 < 16
    CHECK(limit_after(20) == 97); // 100 − (15 − 8) / 2
    CHECK(limit_after(10) == 98); // 100 − (7.5 − 4) / 2
}

TEST_CASE("The slack may be 1.2 however little is in flight") {
    vegas_strategy strategy = settled_at_6();
    REQUIRE(strategy.update(with_drops(bound_window(6, 10ms), 36, 10ms)).limit == 4);
    window w = bound_window(4, 10ms);
    w.mean_in_flight = 2;
    CHECK(strategy.update(w).limit == 5); // 4 + 1.2 / 2, not 4 + 0.8 / 2
}

TEST_CASE("The limit grows by a quarter in the third window running in which nothing queues") {
    vegas_strategy strategy = settled();
    // Half of the slack: 3 + 0.6 · √100 + 5 = 14, then 3 + 0.6 · √107 + 5.35 = 14.56.
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{107, 160});
    CHECK(strategy.update(bound_window(107, 10ms)) == plan{114, 171});
    CHECK(strategy.update(bound_window(114, 10ms)) == plan{143, 214}); // 114.28 × 1.25 = 142.85
    CHECK(strategy.update(bound_window(143, 10ms)) == plan{179, 268}); // 178.56: and so on
    // Queue 179 · (1 − 10 / 10.2) = 3.5, less than a third of 3 + 0.6 · √175 + 8.8 = 19.7: still hardly anything.
    CHECK(strategy.update(bound_window(179, 10'200us)) == plan{223, 334});
}

TEST_CASE("The count of windows in which nothing queues starts again when the limit did not bind") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{107, 160});
    CHECK(strategy.update(bound_window(107, 10ms)) == plan{114, 171}); // 114.28
    CHECK(strategy.update(idle_window(114, 50, 10ms)) == plan{114, 171});
    // Half of 3 + 0.6 · √114.28 + 5.71 = 15.13, then of 3 + 0.6 · √121.84 + 6.09 = 15.72.
    CHECK(strategy.update(bound_window(114, 10ms)) == plan{122, 183});
    CHECK(strategy.update(bound_window(122, 10ms)) == plan{130, 195}); // 129.70
    CHECK(strategy.update(bound_window(130, 10ms)) == plan{162, 243}); // × 1.25
}

TEST_CASE("The count of windows in which nothing queues starts again when a third of the slack did") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{107, 160});
    CHECK(strategy.update(bound_window(107, 10ms)) == plan{114, 171}); // 114.28
    // Queue 114 · (1 − 10 / 10.55) = 5.94, slack 3 + 0.6 · √108.3 + 5.42 = 14.66: 114.28 + 4.36 = 118.64.
    CHECK(strategy.update(bound_window(114, 10'550us)) == plan{119, 178});
    CHECK(strategy.update(bound_window(119, 10ms)) == plan{126, 189}); // half of 3 + 0.6 · √118.64 + 5.93 = 15.47
}

TEST_CASE("The count of windows in which nothing queues starts again when the RTT rose by more than 6 %") {
    vegas_strategy strategy = settled({.slack_floor = 30});
    // Half of the slack: 0.4 × 100, then 30 + 0.6 · √120 + 6 = 42.57.
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{120, 180});
    CHECK(strategy.update(bound_window(120, 10ms)) == plan{141, 211}); // 141.29
    // Queue 141 · (1 − 1 / 1.07) = 9.22, slack 30 + 0.6 · √132.1 + 6.60 = 43.50: less than a third of it, yet half of
    // the difference only: 158.42.
    CHECK(strategy.update(bound_window(141, 10'700us)) == plan{158, 237});
}

TEST_CASE("The limit grows by the slack when that is more than a quarter") {
    vegas_strategy strategy = settled({.slack_floor = 30});
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{120, 180});
    CHECK(strategy.update(bound_window(120, 10ms)) == plan{141, 211}); // 141.29
    // 30 + 0.6 · √141.29 + 7.06 = 44.20.
    CHECK(strategy.update(bound_window(141, 10ms)) == plan{185, 277});
}

TEST_CASE("The limit never grows in an app-limited window") {
    vegas_strategy strategy = settled();
    window reached_rarely = bound_window(100, 10ms);
    reached_rarely.mean_in_flight = 49;
    CHECK(strategy.update(reached_rarely) == plan{100, 150});
    window never_reached = bound_window(100, 10ms);
    never_reached.max_in_flight = 99;
    CHECK(strategy.update(never_reached) == plan{100, 150});
    window half = bound_window(100, 10ms);
    half.mean_in_flight = 50;
    CHECK(strategy.update(half) == plan{107, 160});
}

TEST_CASE("The limit stays within its bounds") {
    vegas_strategy high{vegas_options{.initial_limit = 60, .max_limit = 100}};
    CHECK(high.update(bound_window(20, 10ms)) == plan{60, 100});
    CHECK(high.update(bound_window(60, 10ms)) == plan{100, 150});
    CHECK(high.update(bound_window(100, 10ms)) == plan{100, 150});
    vegas_strategy low = settled({.min_limit = 20});
    CHECK(low.update(bound_window(100, 100ms)) == plan{70, 105});
    CHECK(low.update(bound_window(70, 100ms)) == plan{49, 100});
    CHECK(low.update(bound_window(49, 100ms)) == plan{34, 100});
    CHECK(low.update(bound_window(34, 100ms)) == plan{24, 100});
    CHECK(low.update(bound_window(24, 100ms)) == plan{20, 100});
    CHECK(low.update(bound_window(20, 100ms)) == plan{20, 100});
}

TEST_CASE("alpha and beta move the thresholds") {
    vegas_options options;
    options.beta = 3;
    vegas_strategy tolerant = settled(options);
    CHECK(tolerant.update(bound_window(100, 12'500us)) == plan{100, 150}); // queue 20 < 3 × 12.37
    options.alpha = 0.9;
    options.beta = 1;
    vegas_strategy eager = settled(options);
    // Queue 9.91 < 0.9 × 13.20: 100 + 3.29 / 2 = 101.64.
    CHECK(eager.update(bound_window(100, 11'100us)) == plan{102, 153});
}

TEST_CASE("A window counts no more in flight than was seen") {
    vegas_strategy strategy = settled();
    window ramp = bound_window(100, 20ms);
    ramp.mean_in_flight = 250; // a burst of admissions overstates the rate
    ramp.max_in_flight = 60;
    strategy.update(ramp);
    CHECK(strategy.queue_estimate() == Approx(30)); // 60 × (1 − 10 / 20)
}

TEST_CASE("A window that says nothing changes nothing") {
    vegas_strategy strategy = settled();
    window nothing;
    nothing.admitted = nothing.ignored = 100;
    nothing.limit = 100;
    nothing.length = 1h;
    CHECK(strategy.update(nothing) == plan{100, 150});
    CHECK(strategy.update(bound_window(100, 11'100us)) == plan{100, 150}); // nor is a probe due
}

// ---- Drops ----

TEST_CASE("Drops lower the limit by their share") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 20, 10ms)) == plan{80, 120});
}

TEST_CASE("Drops quarter the limit at most, and the next window is short after many") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 80, 10ms)) == plan{25, 25});
    CHECK(strategy.update(with_drops(bound_window(25, 10ms), 99, 10ms)) == plan{6, 10}); // 6.25
    CHECK(strategy.update(with_drops(bound_window(6, 10ms), 99, 10ms)) == plan{2, 10}); // 1.56
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 60, 10ms)) == plan{40, 40});
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 50, 10ms)) == plan{50, 100}); // not more than half
}

TEST_CASE("Drops of more than half are not looked into") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 1h), 51, 10ms)) == plan{49, 49});
    strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 1h), 50, 10ms)) == a_probe{16, 60, 50});
}

TEST_CASE("Drops are let pass up to the tolerance") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms), 5, 10ms)) == plan{107, 160});
    vegas_strategy strict = settled({.drop_tolerance = 0.01});
    CHECK(strict.update(with_drops(bound_window(100, 10ms), 5, 10ms)) == plan{95, 142});
}

TEST_CASE("Drops lower the limit even when demand is low") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(idle_window(100, 3, 10ms), 20, 10ms)) == plan{80, 120});
}

TEST_CASE("Drops are looked into by a probe, and those that it does not spare are usual") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 250ms), 20, 10ms)) == a_probe{26, 78, 80});
    CHECK(strategy.update(wide(with_drops(bound_window(26, 10ms), 20, 10ms))) == plan{80, 120});
    // Half of 3 + 0.6 · √80 + 4 = 12.37.
    CHECK(strategy.update(with_drops(bound_window(80, 10ms), 20, 10ms)) == plan{86, 129}); // 86.18
    // 10 % more than usual may be bad luck: the standard error of 20 of 100 is 4 %, and the tolerance 5 %. The slack at
    // 86.18 is 12.88, and no probe is due.
    CHECK(strategy.update(with_drops(bound_window(86, 10ms), 30, 10ms)) == plan{93, 139});
    // 20 % more is not: 92.62 × 0.8 = 74.1.
    CHECK(strategy.update(with_drops(bound_window(93, 10ms), 40, 10ms)) == plan{74, 111});
    // Usual is the least that was seen, but for bad luck: now none, so at most two standard errors, 8 %. Queue
    // 74 · (1 − 10 / 11.2) = 7.93, slack 3 + 0.6 · √66.2 + 3.31 = 11.19, alpha · slack = 7.83. And then 22 % too many:
    // 74.1 × 0.78 = 57.8.
    CHECK(strategy.update(bound_window(74, 11'200us)) == plan{74, 111});
    CHECK(strategy.update(with_drops(bound_window(74, 10ms), 30, 10ms)) == plan{58, 100});
    // Nothing but drops is never usual. 57.8 / 4.
    CHECK(strategy.update(with_drops(bound_window(58, 10ms), 100, 10ms)) == plan{14, 14});
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

TEST_CASE("Prompt drops weigh by the time for which they held permits") {
    struct row {
        std::uint32_t dropped; // of 100; the others take 10 ms
        duration after;
        std::size_t limit;
    };
    for (const row& r : {row{20, 10ms, 80}, row{20, 100ms, 80}, // not more than by their number
                         row{50, 2ms, 83}, // 2 / (2 + 10) of the time
                         row{20, 1ms, 107}, row{50, 0ms, 107}}) { // within the tolerance: the limit grows
        vegas_strategy strategy = settled();
        CAPTURE(r.dropped, r.after.count());
        CHECK(strategy.update(with_drops(bound_window(100, 10ms), r.dropped, r.after)).limit == r.limit);
    }
}

TEST_CASE("After an outage half of the limit comes back with the first success, and the quick start begins again") {
    vegas_strategy strategy = settled();
    const auto out = [&](std::size_t limit) { return strategy.update(with_drops(bound_window(limit, 10ms), 100, 1s)); };
    CHECK(out(100) == plan{25, 25});
    CHECK(out(25) == plan{6, 6});
    CHECK(out(6) == plan{2, 2}); // short windows, so that the end is seen soon
    for (int i = 0; i < 500; ++i)
        out(strategy.current_limit());
    CHECK(strategy.current_limit() == 1);
    CHECK(strategy.baseline() == 10ms); // which nothing has contradicted

    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 50, 1s)).limit == 50);
    CHECK(std::string(strategy.reason()) == "an outage ended: half of the limit before it");
    CHECK(strategy.update(bound_window(50, 10ms)).limit >= 100);
    CHECK(std::string(strategy.reason()) == "quick start: no queue yet");
}

TEST_CASE("A limit that is so high that nothing succeeds is halved each time") {
    vegas_strategy strategy = settled();
    for (const std::size_t half : {50U, 25U, 13U, 6U}) {
        while (strategy.current_limit() > 1)
            strategy.update(with_drops(bound_window(strategy.current_limit(), 10ms), 100, 1s));
        CHECK(strategy.update(bound_window(1, 10ms)).limit == half);
    }
}

TEST_CASE("Drops at a limit of one are usual") {
    vegas_strategy strategy{1};
    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 30, 10ms)) == plan{2, 20});
}

TEST_CASE("Drops of more than half are never usual") {
    // At a limit of one: 50 % go on with the quick start, 70 % end it.
    vegas_strategy half{1};
    CHECK(half.update(with_drops(bound_window(1, 10ms), 50, 10ms)) == plan{2, 20});
    vegas_strategy more{1};
    CHECK(more.update(with_drops(bound_window(1, 10ms), 70, 10ms)) == plan{1, 10});
    CHECK(more.update(bound_window(1, 10ms)) == plan{1, 10}); // 1 + 0.4 / 2
    // In a probe.
    vegas_strategy strategy = settled();
    CHECK(strategy.update(with_drops(bound_window(100, 10ms, 250ms), 20, 10ms)) == a_probe{26, 78, 80});
    CHECK(strategy.update(wide(with_drops(bound_window(26, 10ms), 80, 10ms))) == plan{80, 120});
    CHECK(strategy.update(with_drops(bound_window(80, 10ms), 70, 10ms)) == plan{64, 100}); // 20 % beyond 50 %
}

TEST_CASE("A drop's time is a lower bound of its RTT when it is above the mean") {
    vegas_strategy strategy = settled();
    strategy.update(with_drops(bound_window(100, 10ms), 4, 260ms));
    CHECK(strategy.queue_estimate() == Approx(50)); // RTT 0.96 × 10 + 0.04 × 260 = 20 ms
    strategy = settled();
    strategy.update(with_drops(bound_window(100, 10ms), 4, 1ms)); // a prompt rejection says nothing
    CHECK(strategy.queue_estimate() == Approx(0).margin(1e-9));
}

TEST_CASE("A window of drops alone says nothing of the RTT") {
    vegas_strategy strategy = settled();
    strategy.update(with_drops(bound_window(100, 10ms), 100, 1ms));
    CHECK(strategy.baseline() == 10ms);
    CHECK(strategy.current_limit() == 25);
    vegas_strategy fresh{20};
    fresh.update(with_drops(bound_window(20, 10ms), 100, 1ms));
    CHECK(fresh.baseline() == 0ns);
    CHECK(fresh.current_limit() == 5);
}

TEST_CASE("The strategy tells why") {
    const auto why = [](const vegas_strategy& s) { return std::string(s.reason()); };
    vegas_strategy strategy = settled();
    CHECK(why(vegas_strategy{}) == "the initial limit");
    strategy.update(window{});
    CHECK(why(strategy) == "no request was measured");
    strategy.update(bound_window(100, 12'500us));
    CHECK(why(strategy) == "more requests queue than wanted");
    strategy.update(bound_window(strategy.current_limit(), 10ms));
    CHECK(why(strategy) == "fewer requests queue than wanted");
    strategy.update(idle_window(100, 30, 10ms));
    CHECK(why(strategy) == "no reason to change the limit");
    strategy.update(with_drops(bound_window(100, 10ms), 20, 10ms));
    CHECK(why(strategy) == "too many drops");
    strategy = settled();
    const std::size_t probe = strategy.update(bound_window(100, 20ms, 250ms)).limit;
    CHECK(why(strategy) == "probe: measures the RTT with fewer requests in flight");
    strategy.update(wide(bound_window(probe, 10ms)));
    CHECK(why(strategy) == "more requests queue than wanted"); // as the window before the probe said
    vegas_strategy fresh{4};
    fresh.update(bound_window(4, 10ms));
    CHECK(why(fresh) == "quick start: no queue yet");
}

// ---- Baseline ----

TEST_CASE("The baseline averages over samples that agree") {
    vegas_strategy strategy{20};
    strategy.update(varying_window(20, 10ms));
    window w = with_low(idle_window(20, 3, 10ms), 50, 10'900us);
    w.low.histogram = {};
    w.low.histogram.add(5ms, 25);
    w.low.histogram.add(17ms, 25);
    strategy.update(w);
    CHECK(strategy.baseline() == 10'300us); // (100 × 10 + 50 × 10.9) / 150
}

TEST_CASE("The baseline remembers 2000 samples") {
    vegas_strategy strategy{20};
    strategy.update(varying_window(20, 10ms));
    for (int i = 0; i < 100; ++i) {
        strategy.update(with_wide_low(idle_window(20, 3, 10ms), 500, 10ms));
    }
    window w = with_wide_low(idle_window(20, 3, 10ms), 500, 10'500us);
    spread_wide(w.low.histogram, 11ms, 500); // in other buckets: not less spread
    strategy.update(w);
    CHECK(strategy.baseline() == 10'100us); // (2000 × 10 + 500 × 10.5) / 2500
}

TEST_CASE("The baseline falls at once when low concurrency shows a clearly shorter RTT") {
    vegas_strategy strategy = settled();
    strategy.update(with_low(bound_window(100, 10ms), 10, 5ms));
    CHECK(strategy.baseline() == 5ms);
    CHECK(strategy.queue_estimate() == Approx(50));
}

TEST_CASE("The baseline is replaced by what is more than 3.5 standard errors from it") {
    vegas_strategy strategy{20};
    strategy.update(varying_window(20, 10ms));
    const auto with_halves_low = [](duration rtt) {
        window w = with_low(idle_window(20, 3, 10ms), 100, rtt);
        w.low.histogram = halves(bound_window(1, rtt)).all.histogram;
        return w;
    };
    // The error is 0.5 × √(8.2² + 10²) / √100 = 0.65 ms, and 2.8 of them; the variation is known to 3 % or so.
    vegas_strategy averaging = strategy;
    averaging.update(with_halves_low(8'200us));
    CHECK(averaging.baseline() == 9'100us);
    // 0.5 × √(7.5² + 10²) / √100 = 0.63 ms, and 4.0 of them.
    strategy.update(with_halves_low(7'500us));
    CHECK(strategy.baseline() == 7'500us);
}

TEST_CASE("The baseline needs ten samples at low concurrency") {
    vegas_strategy strategy = settled();
    strategy.update(with_low(bound_window(100, 10ms), 9, 5ms));
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The baseline does not rise from a third of the limit, where requests may queue as well") {
    vegas_strategy strategy = settled();
    strategy.update(with_low(idle_window(100, 30, 20ms), 80, 20ms));
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The baseline rises when requests that were alone in flight took so much longer that it matters") {
    // Slack 1: the queue would have to be three requests, or a quarter of the limit, which is less.
    vegas_strategy strategy{1};
    strategy.update(bound_window(1, 10ms));
    CHECK(strategy.update(bound_window(2, 10ms)).limit == 4);
    vegas_strategy other = strategy;
    strategy.update(with_low(bound_window(4, 14ms), 20, 14ms)); // 4 · (1 − 10 / 14) = 1.14
    CHECK(strategy.baseline() == 14ms);
    other.update(with_low(bound_window(4, 13ms), 20, 13ms)); // 0.92
    CHECK(other.baseline() == 10ms);
}

TEST_CASE("A small service that becomes slower keeps its limit") {
    const auto workers = GENERATE(std::size_t{4}, std::size_t{8}, std::size_t{16});
    const auto slower = GENERATE(2, 4, 10);
    vegas_strategy strategy{4};
    plan next{4};
    const auto run = [&](int windows, duration service) {
        for (int i = 0; i < windows; ++i) {
            const auto in_flight = static_cast<duration::rep>(std::max(next.limit, workers));
            const duration rtt = service * in_flight / static_cast<duration::rep>(workers);
            window w = halves(bound_window(next.limit, rtt));
            next = strategy.update(next.limit < 6 ? with_low(w, 10, rtt) : w);
        }
    };
    run(300, 10ms);
    CHECK(strategy.current_limit() >= workers);
    run(300, 10ms * slower);
    CHECK(strategy.current_limit() >= workers);
}

TEST_CASE("The baseline does not take in a longer RTT whose spread did not grow with it, for that is a wait") {
    const auto baseline_after = [](double spread_of_mean) {
        vegas_strategy strategy = settled(); // baseline: 100 samples, variation 1.6
        window w = with_low(idle_window(100, 3, 10ms), 100, 11ms);
        spread_wide(w.low.histogram, duration{static_cast<duration::rep>(spread_of_mean * 11e6)}, 80);
        w.low.histogram.add(11ms, 20);
        strategy.update(w);
        return strategy.baseline();
    };
    CHECK(baseline_after(0.5) == 10ms);
    CHECK(baseline_after(2) > 10ms);
}

TEST_CASE("A probe needs to show three slacks for a wait, and a quarter of the limit for a slower service") {
    // Queue 100 · (1 − 10 / 14.5) = 31.03; slack 3 + 0.6 · √68.97 + 68.97 / 20 = 11.43.
    const auto baseline_after = [](window (*spread)(window)) {
        vegas_strategy strategy = settled();
        REQUIRE(strategy.update(spread(bound_window(100, 14'500us, 1h))) == a_probe{33, 99, 100});
        window low = bound_window(33, 14'500us);
        low.admitted = low.all.samples = 1000; // enough to be sure of it
        strategy.update(spread(low));
        return strategy.baseline();
    };
    CHECK(baseline_after(even) == 10ms);
    CHECK(baseline_after(wide) == 14'500us);
}

TEST_CASE("A baseline that 100 windows running did not come near is given up where no probe is possible") {
    // A third of 50 is not allowed, and 30 is more than half of it.
    vegas_strategy strategy{vegas_options{.initial_limit = 30, .min_limit = 30, .max_limit = 50}};
    strategy.update(wide(bound_window(30, 10ms)));
    const auto windows = [&](int n, duration rtt) {
        for (int i = 0; i < n; ++i)
            strategy.update(bound_window(strategy.current_limit(), rtt));
    };
    windows(99, 15ms);
    CHECK(strategy.baseline() == 10ms);
    SECTION("after the next one") {
        windows(1, 15ms);
        CHECK(strategy.baseline() == 15ms);
    }
    SECTION("later after one that was near it, which weighs as much as ten") {
        windows(1, 12ms);
        windows(10, 15ms);
        CHECK(strategy.baseline() == 10ms);
        windows(1, 15ms);
        CHECK(strategy.baseline() == 15ms);
    }
    SECTION("not by windows in which demand was less than the limit") {
        for (int i = 0; i < 100; ++i)
            strategy.update(idle_window(strategy.current_limit(), 5, 15ms));
        CHECK(strategy.baseline() == 10ms);
    }
}

TEST_CASE("A baseline that 100 windows running did not come near is given up by a probe where one is possible") {
    const auto baseline_after = [](int windows) {
        vegas_strategy strategy = settled();
        for (int i = 0; i < windows; ++i)
            strategy.update(bound_window(strategy.current_limit(), 13ms, 1us));
        CHECK(strategy.baseline() == 10ms);
        const std::size_t probe = strategy.update(bound_window(strategy.current_limit(), 13ms, 1h)).limit;
        REQUIRE(probe <= strategy.current_limit() / 2);
        strategy.update(bound_window(probe, 13ms));
        return strategy.baseline();
    };
    CHECK(baseline_after(98) == 10ms);
    CHECK(baseline_after(99) == 13ms);
}

TEST_CASE("A window without a success does not end a baseline in doubt") {
    vegas_strategy strategy = settled();
    for (int i = 0; i < 100; ++i)
        strategy.update(bound_window(strategy.current_limit(), 13ms, 1us));
    REQUIRE(strategy.baseline() == 10ms);
    window nothing = bound_window(1, 10ms); // too few in flight for a probe
    nothing.all = {};
    nothing.dropped = 100;
    nothing.dropped_mean_rtt = 1s;
    strategy.update(nothing);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("A small service whose work takes a constant time longer gets its limit back within 200 windows") {
    const auto workers = GENERATE(std::size_t{4}, std::size_t{8}, std::size_t{16});
    const auto longer = GENERATE(5ms, 10ms, 40ms);
    vegas_strategy strategy{4};
    plan next{4};
    const auto run = [&](int windows, duration added) {
        for (int i = 0; i < windows; ++i) {
            const duration work = 10ms + added;
            const auto in_flight = static_cast<duration::rep>(std::max(next.limit, workers));
            const duration rtt = work * in_flight / static_cast<duration::rep>(workers);
            window w =
                bound_window(next.limit, rtt, 100 * work / static_cast<duration::rep>(std::min(next.limit, workers)));
            w.all.histogram = {};
            w.all.histogram.add(rtt - 5ms, 50); // the spread stays that of the 10 ms
            w.all.histogram.add(rtt + 5ms, 50);
            if (next.limit < 6) {
                w = with_low(w, 10, rtt);
                w.low.histogram = w.all.histogram;
            }
            next = strategy.update(w);
        }
    };
    run(300, 0ms);
    CHECK(strategy.current_limit() >= workers);
    run(200, longer);
    CHECK(strategy.current_limit() >= workers);
}

TEST_CASE("The baseline does not rise by requests among others, even if it matters") {
    vegas_strategy strategy{6};
    CHECK(strategy.update(bound_window(6, 10ms)) == plan{12, 36});
    strategy.update(with_low(bound_window(6, 100ms), 20, 100ms));
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The first baseline is taken at low concurrency where the first window has that") {
    vegas_strategy strategy{20};
    // Far too high a limit for this server: it is not doubled, but looked into.
    CHECK(strategy.update(with_low(bound_window(20, 200ms), 33, 40ms)) == a_probe{6, 60, 20});
    CHECK(strategy.baseline() == 40ms);
}

// ---- Probes ----

TEST_CASE("A probe comes before a big cut") {
    vegas_strategy strategy = settled();
    // Queue 50 > 2 × 9.74 + 10; slack 3 + 0.6 · √50 + 50 / 20 = 9.74.
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.current_limit() == 100);
    // It confirms the baseline: 100 − (50 − 9.74) / 2 = 79.87.
    CHECK(strategy.update(wide(bound_window(33, 10ms))) == plan{80, 120});
}

TEST_CASE("A probe does not come before eight lengths of a probe have passed") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 239ms)) == plan{80, 120});
    strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 241ms)) == a_probe{33, 99, 100}); // 8 × 99 / 33 × 10 ms = 240 ms
}

TEST_CASE("A probe is not for a small excess") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 12'500us, 250ms)) == plan{96, 144}); // queue 20 < 2 × 12.37 + 10
}

TEST_CASE("A probe is a third of what is in flight, when that is less than the limit") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(idle_window(100, 60, 40ms, 250ms)) == a_probe{20, 60, 100}); // queue 45 > 2 × 10.2 + 10
}

TEST_CASE(
    "A probe has three times its limit of admissions, but at least min_probe, unless 20 times its limit is less") {
    const auto admissions = [](std::size_t limit, std::size_t min_probe) {
        vegas_strategy strategy{vegas_options{.initial_limit = limit, .min_probe = min_probe}};
        return strategy.update(with_drops(bound_window(limit, 10ms), 10, 10ms));
    };
    CHECK(admissions(4, 60) == a_probe{1, 20, 4}); // 4 × 0.9 = 3.6
    CHECK(admissions(10, 60) == a_probe{3, 60, 9});
    CHECK(admissions(20, 60) == a_probe{6, 60, 18});
    CHECK(admissions(20, 19) == a_probe{6, 19, 18});
    CHECK(admissions(20, 17) == a_probe{6, 18, 18});
    CHECK(admissions(20, 200) == a_probe{6, 120, 18});
}

TEST_CASE("A probe in which the RTT falls with the concurrency only queued, and is looked below") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 30ms, 250ms)) == a_probe{33, 99, 100});
    // ln(30 / 11) = 1.00 > 0.65 · ln(100 / 33) = 0.72: 1.3 × 33 = 42.9.
    CHECK(strategy.update(bound_window(33, 11ms)) == a_probe{11, 60, 43});
    CHECK(strategy.current_limit() == 43);
    CHECK(strategy.update(bound_window(11, 10ms)) == plan{43, 100});
}

TEST_CASE("A probe in which the RTT stays shows that the service became slower, and costs no concurrency") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(wide(bound_window(100, 40ms, 250ms))) == a_probe{33, 99, 100});
    // Then nothing queued: half of the slack more, 3 + 0.6 · √100 + 5 = 14.
    CHECK(strategy.update(wide(bound_window(33, 40ms))) == plan{107, 160});
    CHECK(strategy.baseline() == 40ms);
    CHECK(strategy.queue_estimate() == Approx(0).margin(1e-9));
    // A baseline that rose is soon looked at again.
    CHECK(strategy.update(bound_window(107, 40ms)) == a_probe{35, 105, 107});
}

TEST_CASE("A probe raises the baseline only where that makes much of a difference") {
    vegas_strategy strategy = settled();
    // Queue 100 · (1 − 10 / 13) = 23.08 < 100 / 4, which is less than three slacks: 3 + 0.6 · √76.92 + 76.92 / 20
    // = 12.11.
    CHECK(strategy.update(bound_window(100, 13ms, 1h)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 13ms)) == plan{95, 142}); // 100 − 10.97 / 2 = 94.51
    CHECK(strategy.baseline() == 10ms);
    // Nor does it look again soon. Queue 95 · 0.231 = 21.9, slack 3 + 0.6 · √72.6 + 72.6 / 20 = 11.74: 94.51 − 5.09.
    CHECK(strategy.update(bound_window(95, 13ms)) == plan{89, 133});

    strategy = settled();
    // Queue 37.5 > 100 / 4.
    CHECK(strategy.update(bound_window(100, 16ms, 1h)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 16ms));
    CHECK(strategy.baseline() == 16ms);
}

TEST_CASE("A probe in which the RTT hardly fell is one measurement with the window before it") {
    // Queue 50, slack 9.74 as above. ln(20 / 18) = 0.105 < 0.15 · ln(100 / 33) = 0.166.
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    window low = bound_window(33, 18ms);
    low.admitted = low.all.samples = 50;
    strategy.update(low);
    CHECK(strategy.baseline() == 19'333'333ns); // (100 × 20 + 50 × 18) / 150

    strategy = settled(); // it may also have risen by chance: ln(22 / 20) = 0.095
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 22ms));
    CHECK(strategy.baseline() == 21ms);

    strategy = settled(); // ln(20 / 16) = 0.223: then it counts alone
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(bound_window(33, 16ms));
    CHECK(strategy.baseline() == 16ms);
}

TEST_CASE("A probe in which the RTT fell, but not to the baseline, is followed by a deeper one") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 40ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 20ms)) == a_probe{11, 60, 100}); // ln 2 = 0.69 < 0.72
    CHECK(strategy.update(bound_window(11, 20ms)) == plan{100, 150});
    CHECK(strategy.baseline() == 20ms);
}

TEST_CASE("A probe that reads the baseline is not followed by a deeper one, even where it took away a queue") {
    // 10 ms are known from at most a third of the limit; then there is demand.
    vegas_strategy strategy{20};
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 30, 10ms)) == plan{20, 60});
    // Queue 20 · (1 − 10 / 30) = 13.33 > 2 × 4.88 + 2; slack 3 + 0.6 · √6.67 + 6.67 / 20 = 4.88.
    CHECK(strategy.update(bound_window(20, 30ms)) == a_probe{6, 60, 20});

    // ln(30 / 11.1) = 0.99 > 0.65 · ln(20 / 6) = 0.78, and more than 10 % from the baseline: 1.3 × 6 = 7.8.
    vegas_strategy queueing = strategy;
    CHECK(queueing.update(bound_window(6, 11'100us)) == a_probe{2, 40, 8});

    // As short as it gets: 20 − (13.33 − 4.88) / 2 = 15.77.
    CHECK(strategy.update(wide(bound_window(6, 10ms))) == plan{16, 100});
}

TEST_CASE("A probe is deeper than half, or there is none") {
    vegas_strategy three{3};
    CHECK(three.update(with_drops(bound_window(3, 10ms), 10, 10ms)) == a_probe{1, 20, 3});
    vegas_strategy nine{vegas_options{.initial_limit = 20, .min_limit = 9}};
    CHECK(nine.update(with_drops(bound_window(20, 10ms), 10, 10ms)) == a_probe{9, 60, 18});
    vegas_strategy ten{vegas_options{.initial_limit = 20, .min_limit = 10}};
    CHECK(ten.update(with_drops(bound_window(20, 10ms), 10, 10ms)) == plan{18, 100});
}

// The window of a probe from 100 to 33, which was for 99 admissions, and ended with fewer.
window cut_short(std::size_t admitted, duration length) {
    window w = bound_window(33, 10ms, length);
    w.admitted = w.all.samples = admitted;
    w.all.histogram = {};
    w.all.histogram.add(10ms, static_cast<std::uint32_t>(admitted));
    return w;
}

TEST_CASE("A probe has a bound of three times what it should take, and ten RTTs") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)).within == 3 * 20ms * 99 / 33 + 10 * 20ms);
    CHECK(settled().update(bound_window(100, 20ms)).within == 0ns); // no probe

    // Some calls hung for an hour, or the machine stood still: that is no measure of how long a probe takes.
    CHECK(settled().update(bound_window(100, 1h, 250ms)).within == 3 * 100ms * 99 / 33 + 10 * 100ms);
    vegas_strategy instant{vegas_options{.initial_limit = 20}}; // all in no time, and then in 1 µs
    instant.update(bound_window(20, 0ns, 0ns));
    CHECK(instant.update(bound_window(40, 1us)).within == 1ms);
}

TEST_CASE("A probe that less than half of its admissions were for says nothing, and changes nothing") {
    for (const std::size_t admitted : {std::size_t{0}, std::size_t{1}, std::size_t{49}}) {
        vegas_strategy strategy = settled();
        REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
        CHECK(strategy.update(cut_short(admitted, 380ms)) == plan{100, 150});
        CHECK(strategy.reason() == std::string("probe failed: too few requests ended"));
        CHECK(strategy.baseline() == 10ms);
        CHECK(strategy.current_limit() == 100);
    }
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    strategy.update(cut_short(50, 380ms)); // half is enough
    CHECK(strategy.reason() == std::string("more requests queue than wanted"));
}

TEST_CASE("A probe that failed is not tried again before a hundred times as long") {
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    plan next = strategy.update(cut_short(0, 400ms));
    duration waited{};
    for (; next.then == 0 && waited < 1h; waited += 1s)
        next = strategy.update(bound_window(next.limit, 20ms, 1s)); // calls for a probe as loudly as any
    CHECK(waited == 40s);
}

TEST_CASE("The quick start ends where its probe fails") {
    vegas_strategy strategy{vegas_options{.initial_limit = 20}};
    strategy.update(bound_window(20, 10ms));
    const plan probe = strategy.update(bound_window(40, 40ms));
    REQUIRE(probe.then == 40);
    window nothing = cut_short(0, 1s);
    nothing.limit = probe.limit;
    CHECK(strategy.update(nothing).limit == 40);
    const plan next = strategy.update(bound_window(40, 40ms));
    CHECK(next.then == 0);
    CHECK(next.limit == 28);
    CHECK(strategy.reason() == std::string("more requests queue than wanted"));
}

TEST_CASE("A probe that the next window does not show is forgotten") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(100, 10ms)) == plan{107, 160});
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("A probe whose window says nothing is forgotten") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(bound_window(100, 20ms, 250ms)) == a_probe{33, 99, 100});
    window nothing;
    nothing.admitted = nothing.ignored = 99;
    nothing.limit = 33;
    CHECK(strategy.update(nothing) == plan{100, 150});
    CHECK(strategy.current_limit() == 100);
    // A window like that of the probe is an ordinary one now. Queue 33 · (1 − 10 / 20) = 16.5, slack
    // 3 + 0.6 · √83.5 + 83.5 / 20 = 12.66: 100 − 3.84 / 2 = 98.08.
    CHECK(strategy.update(bound_window(33, 20ms)) == plan{98, 147});
    CHECK(strategy.queue_estimate() == Approx(16.5));
    CHECK(strategy.baseline() == 10ms);
}

// The limit stays whatever queues, so that scheduled probes are all that happens.
const vegas_options unmoved{.alpha = 0, .beta = 1e6};

// An RTT that shows a queue, or nothing to probe for; with a third in flight it is 10 ms.
constexpr duration steady = 12ms;

// Feeds windows of 10 ms in which nothing is to be done, until a probe; the time that took.
duration until_probe(vegas_strategy& strategy) {
    duration time{};
    for (;;) {
        time += 10ms;
        if (const plan p = strategy.update(bound_window(100, steady, 10ms)); p.then != 0) {
            strategy.update(wide(bound_window(33, 10ms)));
            return time;
        }
    }
}

TEST_CASE("Scheduled probes take 1 % of the time, with jitter") {
    vegas_strategy strategy = settled(unmoved);
    duration total{};
    duration shortest = 1h;
    duration longest{};
    for (int i = 0; i < 400; ++i) {
        const duration time = until_probe(strategy);
        total += time;
        shortest = std::min(shortest, time);
        longest = std::max(longest, time);
    }
    const duration probe = 30ms; // 99 / 33 × 10 ms
    CHECK(shortest >= 50 * probe);
    CHECK(shortest < 60 * probe);
    CHECK(longest > 140 * probe);
    CHECK(longest <= 150 * probe + 10ms);
    CHECK(static_cast<double>(total.count()) / (400.0 * static_cast<double>(probe.count())) ==
          Approx(100).epsilon(0.05));
}

TEST_CASE("Scheduled probes follow the seed") {
    const auto seeded = [](std::uint64_t seed) {
        vegas_options options = unmoved;
        options.seed = seed;
        return settled(options);
    };
    vegas_strategy one = seeded(1);
    vegas_strategy same = seeded(1);
    vegas_strategy other = seeded(2);
    const duration expected = until_probe(one);
    CHECK(until_probe(same) == expected);
    CHECK(until_probe(other) != expected);
}

TEST_CASE("Scheduled probes are spared where demand is low or shows the baseline itself") {
    vegas_strategy strategy = settled(unmoved);
    CHECK(strategy.update(idle_window(100, 40, 10ms, 1h)) == plan{100, 150});
    strategy = settled(unmoved);
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 60, 10ms)) == plan{100, 150});
    strategy = settled(unmoved);
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 59, 10ms)) == a_probe{33, 99, 100});
    CHECK(strategy.update(bound_window(33, 10ms)) == plan{100, 150}); // and the count starts again
    CHECK(strategy.update(with_low(bound_window(100, steady, 1h), 59, 10ms)) == a_probe{33, 99, 100});
}

TEST_CASE("Scheduled probes come sooner while the baseline is not known to 5 %") {
    vegas_strategy strategy = settled(unmoved); // 500 samples, but at a variation of 1.9 it takes 1450: a third
    window w = bound_window(100, steady, 10ms);
    w.all.histogram = {};
    w.all.histogram.add(2ms, 80);
    w.all.histogram.add(72ms, 16); // variation about 1.9
    duration time{};
    do
        time += 10ms;
    while (strategy.update(w).then == 0);
    CHECK(time >= 50 * 30ms * 0.3);
    CHECK(time <= 150 * 30ms * 0.4);
}

// ---- Properties ----

window random_window(std::mt19937_64& random, std::size_t limit) {
    const auto any = [&]<class T>(std::initializer_list<T> values) { return values.begin()[random() % values.size()]; };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    const duration most_time = duration::max();
    const auto rtt = [&] { return any({0ns, 1ns, -5ns, duration{10ms}, duration{12ms}, duration{3h}, most_time}); };
    const std::size_t most = std::numeric_limits<std::size_t>::max();
    window w;
    w.admitted = any({std::size_t{0}, std::size_t{1}, std::size_t{100}, most});
    w.all.samples = any({std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{100}, most});
    w.dropped = any({std::size_t{0}, std::size_t{0}, std::size_t{1}, std::size_t{100}, most});
    w.all.mean = rtt();
    w.dropped_mean_rtt = rtt();
    w.limit = any({std::size_t{0}, limit, limit, limit, limit / 3, most});
    w.max_in_flight = any({std::size_t{0}, limit, limit, limit / 2, most});
    w.mean_in_flight = any({0.0, static_cast<double>(limit), static_cast<double>(limit), nan, infinity, -1.0, 1e300});
    w.length = rtt();
    for (int i = static_cast<int>(random() % 4); i > 0; --i)
        w.all.histogram.add(rtt(), any({1U, 100U, std::numeric_limits<std::uint32_t>::max()}));
    w.low.samples = any({std::size_t{0}, std::size_t{0}, std::size_t{10}, std::size_t{1000}, most});
    w.low.mean = rtt();
    w.low.histogram = w.all.histogram;
    return w;
}

// A server of 400 workers that takes 10 ms, without noise, under any demand.
std::size_t windows_to_reach_400(vegas_strategy strategy, plan next) {
    for (std::size_t count = 0; count < 1000; ++count) {
        if (next.then == 0 && next.limit >= 400)
            return count;
        const duration rtt = 10ms * std::max<std::size_t>(next.limit, 400) / 400;
        const auto length = rtt * next.admissions / std::min<std::size_t>(next.limit, 400);
        window w = bound_window(next.limit, rtt, length);
        if (next.limit / 3 <= 1)
            w = with_low(w, next.limit == 1 ? 10 : 0, rtt);
        next = strategy.update(w);
    }
    return 1000;
}

TEST_CASE("vegas_strategy survives hostile windows and recovers from them") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        std::mt19937_64 random{seed};
        const std::size_t min = 1 + random() % 3;
        const std::size_t max = 500 + random() % 1000;
        vegas_strategy strategy{vegas_options{.initial_limit = 20, .min_limit = min, .max_limit = max, .seed = seed}};
        plan next{20};
        for (int i = 0; i < 300; ++i) {
            next = strategy.update(random_window(random, next.limit));
            INFO("seed " << seed << ", window " << i);
            REQUIRE(next.limit >= min);
            REQUIRE(next.limit <= max);
            REQUIRE(next.admissions >= 1);
            REQUIRE((next.then == 0 || (next.then >= next.limit && next.then <= max)));
            REQUIRE(strategy.current_limit() >= min);
            REQUIRE(strategy.current_limit() <= max);
            REQUIRE(strategy.baseline() >= 0ns);
            REQUIRE(strategy.queue_estimate() >= 0.0);
            REQUIRE(strategy.queue_estimate() <= 1e20);
        }
    }
}

TEST_CASE("vegas_strategy recovers from its lowest limit within 30 windows") {
    vegas_strategy strategy = settled();
    plan next{100};
    while (strategy.current_limit() > 1)
        next = strategy.update(with_drops(bound_window(next.limit, 10ms), 100, 1s));
    CHECK(windows_to_reach_400(strategy, next) <= 30);
    CHECK(windows_to_reach_400(vegas_strategy{1}, plan{1, 100}) == 9); // 2⁹ = 512
    CHECK(windows_to_reach_400(vegas_strategy{20}, plan{20, 100}) == 5); // 20 · 2⁵ = 640
    CHECK(windows_to_reach_400(vegas_strategy{400}, plan{20, 100}) == 3); // 80, 320, 640
}

// Four workers at 10 ms, pinned at the limit.
void overload_four_workers(vegas_strategy& strategy) {
    plan next{strategy.current_limit(), 150};
    for (int i = 0; i < 10; ++i) {
        const duration rtt = 10ms * std::max<std::size_t>(next.limit, 4) / 4;
        next = strategy.update(bound_window(next.limit, rtt, rtt * next.admissions / next.limit));
    }
}

TEST_CASE("vegas_strategy comes down from far too high a limit within ten windows") {
    vegas_strategy fresh{100};
    overload_four_workers(fresh);
    CHECK(fresh.current_limit() <= 10);
    CHECK(fresh.baseline() == 10ms);
    vegas_strategy strategy = settled(); // for a server that had many more of them
    overload_four_workers(strategy);
    CHECK(strategy.current_limit() <= 10);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("vegas_strategy takes RTTs of zero") {
    vegas_strategy strategy{4};
    for (int i = 0; i < 50; ++i)
        strategy.update(bound_window(strategy.current_limit(), 0ns, 0ns));
    CHECK(strategy.current_limit() == 100'000); // nothing ever queued
    CHECK(strategy.baseline() == 0ns);
    CHECK(strategy.queue_estimate() == 0.0);
}

TEST_CASE("vegas_strategy copies are independent") {
    vegas_strategy strategy = settled();
    vegas_strategy copy = strategy;
    copy.update(bound_window(100, 100ms));
    CHECK(copy.current_limit() == 70);
    CHECK(strategy.current_limit() == 100);
}

} // namespace
