// vegas_strategy_start_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/rejection.hpp"
#include "support/strategy_tests.hpp"
#include "support/vegas_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::a_probe;
using support::bound_window;
using support::halves;
using support::idle_window;
using support::wide;
using support::with_wide_low;

// ---- Construction ----

TEST_CASE("vegas_strategy starts at its initial limit, but not above 20") {
    support::check_initial_limit<vegas_strategy, vegas_options>();
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
    support::check_rejects_bad_limits<vegas_strategy, vegas_options>("vegas_options", 100'000);
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
    // 3 + 0.6 · √57.14 + 57.14 / 10 = 13.25: 80 − 9.61 / 2 = 75.20.
    CHECK(strategy.update(bound_window(80, 14ms)) == plan{75, 112});
    // The quick start is over, so a probe is due; then half of the slack, 3 + 0.6 · √75.20 + 75.20 / 10 = 15.72: 83.06.
    CHECK(strategy.update(bound_window(75, 10ms)) == a_probe{25, 75, 75});
    CHECK(strategy.update(wide(bound_window(25, 10ms))) == plan{83, 124});
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
    CHECK(strategy.update(halves(bound_window(20, 10ms))) == plan{40, 100});
    // Standard error of the difference: 0.5 × √(10² + 11²) / √100 = 0.74 ms.
    CHECK(strategy.update(halves(bound_window(40, 11ms))) == plan{80, 120});
    CHECK(strategy.baseline() == 10500us); // the mean of 100 samples and 100 more
    // 27 % more, but of few samples: 0.5 × √(13.3² / 40 + 10.5² / 200) = 1.12 ms.
    window few = halves(bound_window(80, 13'300us));
    few.admitted = few.all.samples = 40;
    CHECK(strategy.update(few) == plan{160, 240});
    // 28 % more: 3.03 ms above 10.97 ms, with an error of 0.5 × √(14² / 100 + 10.97² / 240) = 0.78 ms.
    CHECK(strategy.update(halves(bound_window(160, 14ms))) == a_probe{53, 159, 160}); // a probe is to confirm it
}

TEST_CASE("The quick start takes 2.5 times the baseline for flat at most, however the RTTs vary") {
    vegas_strategy strategy{
        vegas_options{.slack_floor = 20}}; // a slack of 20, so that the queue is no reason for a probe
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
    // Queue 20, slack 3 + 0.6 · √20 + 20 / 10 = 7.68: 40 − 12.32 / 2 = 33.84.
    CHECK(strategy.update(bound_window(40, 20ms)) == plan{34, 100});
    CHECK(strategy.queue_estimate() == Approx(20));
    // Slack 3 + 0.6 · √33.84 + 33.84 / 10 = 9.87, and half of it: 38.78.
    CHECK(strategy.update(bound_window(34, 10ms)) == plan{39, 100});
}

TEST_CASE("The quick start does not end by a small queue before a probe") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == plan{40, 100});
    // Queue 40 · (1 − 10 / 14) = 11.43, slack 3 + 0.6 · √28.57 + 28.57 / 10 = 9.06: a reason for a cut, but after the
    // quick start not for a probe, which needs 2 × 9.06 + 4.
    CHECK(strategy.update(bound_window(40, 14ms)) == a_probe{13, 60, 40});
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
    // With 60, it is known as well as from a probe. Queue 20 · (1 − 10 / 14) = 5.71, slack 3 + 0.6 · √14.29 + 1.43
    // = 6.70, and 0.7 of it 4.69.
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 10, 10ms)) == plan{20, 60});
    CHECK(strategy.update(bound_window(20, 14ms)) == plan{20, 100});
    // Not doubled any more: half of 3 + 0.6 · √20 + 2 = 7.68.
    CHECK(strategy.update(bound_window(20, 10ms)) == plan{24, 100});
}

} // namespace
