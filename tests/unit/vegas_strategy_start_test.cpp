// vegas_strategy_start_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <catch2/catch.hpp>

#include "flowguard/flow_guard.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/rejection.hpp"
#include "support/vegas_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using flowguard::window;
using support::a_probe;
using support::a_window;
using support::bound_window;
using support::halves;
using support::idle_window;
using support::paced_window;
using support::wide;
using support::with_wide_low;

// ---- Construction ----

TEST_CASE("vegas_strategy starts at one, or at its initial limit, but not above 20") {
    static_assert(flowguard::limit_strategy<vegas_strategy>);
    static_assert(std::is_copy_constructible_v<vegas_strategy> && std::is_copy_assignable_v<vegas_strategy>);
    static_assert(!std::is_convertible_v<std::size_t, vegas_strategy>);
    static_assert(noexcept(std::declval<vegas_strategy&>().update(std::declval<const window&>())));
    CHECK(vegas_strategy{}.current_limit() == 1);
    CHECK(vegas_strategy{10}.current_limit() == 10);
    CHECK(vegas_strategy{vegas_options{.initial_limit = 7}}.current_limit() == 7);
    CHECK(flowguard::flow_guard{vegas_strategy{10}}.current_limit() == 10);
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
    CHECK(rejection({.initial_limit = 11, .max_limit = 10}) == option + "initial_limit is 11, must be in [1, 10]");
    CHECK(rejection({.initial_limit = 4, .min_limit = 5}) == "accepted"); // it starts at 5
    CHECK(rejection({.min_limit = 0}) == option + "min_limit is 0, must be in [1, 100000]");
    CHECK(rejection({.min_limit = 11, .max_limit = 10}) == option + "min_limit is 11, must be in [1, 10]");
    CHECK(rejection({.max_limit = 0}) == option + "max_limit is 0, must be in [1, 268435455]");
    CHECK(rejection({.max_limit = flowguard::max_limit + 1}) ==
          option + "max_limit is 268435456, must be in [1, 268435455]");
    CHECK(support::rejection<vegas_strategy>(std::size_t{0}) == option + "initial_limit is 0, must be in [1, 100000]");
    CHECK(support::rejection<vegas_strategy>(std::size_t{100'001}) ==
          option + "initial_limit is 100001, must be in [1, 100000]");
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

TEST_CASE("The first window is as short as the quick start has it") {
    CHECK(vegas_strategy{}.first_plan() == a_window{1, 20});
    CHECK(vegas_strategy{10}.first_plan() == a_window{10, 30});
    CHECK(vegas_strategy{1000}.first_plan() == a_window{20, 60});
    CHECK(vegas_strategy{vegas_options{.min_limit = 40}}.first_plan() == a_window{40, 100});
    CHECK(vegas_strategy{vegas_options{.min_window = 5}}.first_plan() == a_window{1, 5});
    CHECK(vegas_strategy{20}.first_plan().scheduled == decltype(plan::scheduled){}); // no probe before an RTT is known
}

// ---- Quick start ----

TEST_CASE("The quick start doubles the limit while it binds and the RTT is flat") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == a_window{40, 40});
    CHECK(strategy.baseline() == 10ms);
    CHECK(strategy.update(bound_window(40, 12ms)) == a_window{80, 80});
    CHECK(strategy.baseline() == 10ms); // 12 ms is flat enough to go on, but already a rise
    CHECK(strategy.queue_estimate() == Approx(40 * (1 - 10.0 / 12)));
}

TEST_CASE("The quick start takes an initial limit above 20 for a hint, and quadruples the limit below it") {
    vegas_strategy strategy{1000};
    CHECK(strategy.update(bound_window(20, 10ms)) == a_window{80, 80});
    CHECK(strategy.update(bound_window(80, 10ms)) == a_window{320, 320});
    CHECK(strategy.update(bound_window(320, 10ms)) == a_window{1000, 1000}); // not 1280
    CHECK(strategy.update(bound_window(1000, 10ms)) == a_window{2000, 2000});
    // Doubled where that leads beyond the hint.
    strategy = vegas_strategy{100};
    CHECK(strategy.update(bound_window(20, 10ms)) == a_window{80, 80});
    CHECK(strategy.update(bound_window(80, 10ms)) == a_window{160, 160});
    strategy = vegas_strategy{vegas_options{.initial_limit = 1000, .max_limit = 1000}};
    strategy.update(bound_window(20, 10ms));
    strategy.update(bound_window(80, 10ms));
    strategy.update(bound_window(320, 10ms));
    CHECK(strategy.update(bound_window(1000, 10ms)) == a_window{1000, 1500});
}

TEST_CASE("The quick start follows the hint only while the limit binds and nothing queues") {
    vegas_strategy strategy{1000};
    CHECK(strategy.update(wide(idle_window(20, 3, 10ms))) == a_window{20, 60});
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == a_window{80, 80});
    CHECK(strategy.update(bound_window(80, 21ms)) == a_window{80, 120}); // the first calls
    // 2.1 times the RTT with four times as much in flight: ln 2.1 / ln 4 = 0.535 > 0.5. The baseline is from 3 to 20 in
    // flight, so it needs no probe to 26. Queue 80 · (1 − 10 / 21) = 41.90; the waits vary by 0.5 of the RTT, so the
    // slack is 3 + 0.6 · √38.10 + 38.10 / 10 = 10.51, and 2 × 10.51 + 8 is less: so a probe comes before the cut.
    CHECK(strategy.update(bound_window(80, 21ms)) == a_probe{26, 78, 80});
    // ln(21 / 10) / ln(80 / 26) = 0.66 > 0.65: all that is too much goes at once. 80 − (41.90 − 10.51) = 48.6.
    CHECK(strategy.update(wide(bound_window(26, 10ms))) == a_window{49, 100});
    CHECK(strategy.reason() == std::string("quick start ended: what only queued is cut at once"));
    // The quick start is over.
    CHECK(strategy.update(bound_window(49, 10ms)).limit < 80);
}

TEST_CASE("The quick start grows from one, in short windows if the first calls are quick") {
    vegas_strategy strategy{1};
    CHECK(strategy.update(bound_window(1, 10ms)) == a_window{4, 4});
    CHECK(strategy.update(bound_window(4, 10ms)) == a_window{16, 16});
    CHECK(strategy.update(bound_window(16, 10ms)) == a_window{32, 32});
    CHECK(strategy.update(bound_window(32, 10ms)) == a_window{64, 64});
}

TEST_CASE("The quick start waits while demand is low") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(idle_window(20, 3, 10ms)) == a_window{20, 60});
    CHECK(strategy.update(idle_window(20, 3, 10ms)) == a_window{20, 60});
    CHECK(strategy.update(bound_window(20, 10ms)) == a_window{40, 40});
}

TEST_CASE("The quick start takes what varies within three standard errors for flat") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(halves(bound_window(20, 10ms))) == a_window{40, 40});
    // Standard error of the difference: 0.5 × √(10² + 11²) / √100 = 0.74 ms.
    CHECK(strategy.update(halves(bound_window(40, 11ms))) == a_window{80, 80});
    CHECK(strategy.baseline() == 10500us); // the mean of 100 samples and 100 more
    // 27 % more, but of few samples: 0.5 × √(13.3² / 40 + 10.5² / 200) = 1.12 ms.
    window few = halves(bound_window(80, 13'300us));
    few.admitted = few.all.samples = 40;
    CHECK(strategy.update(few) == a_window{80, 120}); // the first calls
    CHECK(strategy.update(few) == a_window{160, 160});
    strategy.update(bound_window(160, 20ms)); // the first calls
    // ln(20 / 13.3) / ln 2 = 0.589 > 0.5: throughput hardly grows. 9.03 ms above 10.97 ms, with an error of
    // 0.5 × √(20² / 100 + 10.97² / 240) = 1.06 ms.
    CHECK(strategy.update(halves(bound_window(160, 20ms))) == a_probe{53, 159, 160}); // a probe is to confirm it
}

TEST_CASE("The quick start takes five times the baseline of few samples for flat at most, however the RTTs vary") {
    // A slack of 20, so that the queue is no reason for a probe.
    vegas_strategy strategy{vegas_options{.initial_limit = 20, .slack_floor = 20}};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == a_window{40, 40});
    // Of ten samples: an error of 1.6 × √(49² / 10 + 10² / 100) = 25 ms, and hardly more for 51 ms.
    const auto few = [](duration rtt) {
        window w = bound_window(40, rtt);
        w.admitted = w.all.samples = 10;
        return wide(w);
    };
    strategy.update(few(51ms)); // the first calls
    vegas_strategy unsure = strategy; // it waits for more windows,
    CHECK(unsure.update(few(49ms)) == a_window{40, 100});
    CHECK(unsure.reason() == std::string("quick start: a queue, or bad luck"));
    CHECK(unsure.update(wide(bound_window(40, 10ms))) == a_window{40, 100}); // (10 · 49 + 100 · 10) / 110 = 13.5
    CHECK(unsure.update(wide(bound_window(40, 10ms))) == a_window{80, 80}); // and 11.9 with 210
    CHECK(strategy.update(few(51ms)) == a_probe{13, 60, 40});
}

TEST_CASE("The quick start ends when a probe confirms that the RTT rises") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == a_window{40, 40});
    CHECK(strategy.update(bound_window(40, 20ms)) == a_window{40, 100}); // the first calls
    CHECK(strategy.update(bound_window(40, 20ms)) == a_probe{13, 60, 40});
    // The RTT fell: a deeper probe makes sure that it does not fall further.
    CHECK(strategy.update(wide(bound_window(13, 10ms))) == a_probe{4, 60, 40});
    CHECK(strategy.update(wide(bound_window(4, 10ms))) == a_window{40, 100});
    // Queue 20, slack 0.15 · 40 + 0.2 = 6.2, for the wait does not vary: 40 − 13.8 / 2 = 33.1.
    CHECK(strategy.update(bound_window(40, 20ms)) == a_window{33, 100});
    CHECK(strategy.queue_estimate() == Approx(20));
    // Slack 0.15 · 33 + 0.2 = 5.15, and half of it: 35.68.
    CHECK(strategy.update(bound_window(33, 10ms)) == a_window{36, 100});
}

TEST_CASE("The quick start does not end by a small queue before a probe") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(wide(bound_window(20, 10ms))) == a_window{40, 40});
    strategy.update(bound_window(40, 14'200us)); // the first calls
    // 1.42 times the RTT with twice as much in flight is more than √2. Queue 40 · (1 − 10 / 14.2) = 11.83, slack
    // 0.15 · 40 + 0.2 = 6.2: a reason for a cut, but after the quick start not for a probe, which needs 2 × 6.2 + 4.
    CHECK(strategy.update(bound_window(40, 14'200us)) == a_probe{13, 60, 40});
}

TEST_CASE("The quick start goes on while throughput grows, though the RTT rises") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(bound_window(20, 10ms)) == a_window{40, 40});
    strategy.update(bound_window(40, 14'100us)); // the first calls
    CHECK(strategy.update(bound_window(40, 14'100us)) == a_window{80, 80}); // less than √2
    strategy.update(bound_window(80, 19'900us));
    CHECK(strategy.update(bound_window(80, 19'900us)) == a_window{160, 160}); // compared with 14.1 ms
    CHECK(strategy.baseline() == 10ms);
    strategy.update(bound_window(160, 28'300us));
    CHECK(strategy.update(bound_window(160, 28'300us)) == a_probe{53, 159, 160});
}

TEST_CASE("The quick start ends when a probe shows a clearly longer RTT than that of the first calls") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(halves(bound_window(20, 10ms))) == a_window{40, 40});
    strategy.update(halves(bound_window(40, 14'200us))); // the first calls
    CHECK(strategy.update(halves(bound_window(40, 14'200us))) == a_probe{13, 60, 40});
    // The RTT did not fall in the probe. The mean of both windows, 13.9 ms, is clearly above 10 ms, with an error of
    // 0.5 × √(13.9² / 160 + 10² / 100) = 0.74 ms.
    window low = halves(bound_window(13, 13'400us));
    low.admitted = low.all.samples = 60;
    CHECK(strategy.update(low) == a_window{40, 100});
    CHECK(strategy.reason() == std::string("probe ended: a slower service, or the queue of others"));
}

TEST_CASE("The quick start takes the first RTTs for the baseline only if less concurrency has the same") {
    // Two workers that take 10 ms: all of it queues, from the first window on.
    vegas_strategy strategy{64};
    CHECK(strategy.update(wide(bound_window(20, 100ms))) == a_window{64, 64});
    CHECK(strategy.update(wide(bound_window(64, 320ms))) == a_window{64, 100}); // the first calls
    CHECK(strategy.update(wide(bound_window(64, 320ms))) == a_probe{21, 63, 64});
    // As before, from as many: that says nothing. 1.3 × 21 = 27.3.
    CHECK(strategy.update(wide(bound_window(21, 105ms))) == a_probe{7, 60, 27});
    CHECK(strategy.update(wide(bound_window(7, 35ms))) == a_probe{2, 40, 9});
    CHECK(strategy.update(wide(bound_window(2, 10ms))) == a_probe{1, 10, 3, 15ms}); // 2 / 3 in flight
    CHECK(strategy.update(wide(paced_window(15ms, 10ms))) == a_window{3, 30});
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The quick start ends without a probe where demand has shown the baseline") {
    vegas_strategy strategy{20};
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 59, 10ms)) == a_window{20, 60});
    CHECK(strategy.update(idle_window(20, 16, 10ms)) == a_window{20, 60});
    CHECK(vegas_strategy{strategy}.update(bound_window(20, 14ms)) == a_probe{6, 60, 20});
    // With 60, it is known as well as from a probe. Queue 20 · (1 − 10 / 14) = 5.71, slack 0.15 · 20 + 0.2 = 3.2:
    // 20 − 2.51 / 2 = 18.74.
    CHECK(strategy.update(with_wide_low(idle_window(20, 4, 10ms), 10, 10ms)) == a_window{20, 60});
    CHECK(strategy.update(idle_window(20, 16, 10ms)) == a_window{20, 60});
    CHECK(strategy.update(bound_window(20, 14ms)) == a_window{19, 100});
    // Not doubled any more: half of 0.15 · 18.74 + 0.2 = 3.01.
    CHECK(strategy.update(bound_window(19, 10ms)) == a_window{20, 100});
}

} // namespace
