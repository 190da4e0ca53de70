// vegas_strategy_experiment_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/vegas_windows.hpp"
#include "support/windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;
using flowguard::vegas_strategy;
using flowguard::window;
using support::bound_window;
using support::closed_at;
using support::idle_window;
using support::settled;
using support::settled_with_waits;
using support::wide;
using support::with_drops;

const std::string found_out = "a slower service, or the queue of others: a probe will tell";

// Windows are so short that no probe is due: the strategy learns from ordinary windows alone.
constexpr duration no_time = 1us;

// Feeds windows until the strategy finds out that the RTT does not follow the limit. Returns how many it took;
// 0 if it does not, within fifty. `window_at(limit)` is such a window.
template <class WindowAt>
int windows_until_found_out(vegas_strategy& strategy, WindowAt window_at) {
    for (int n = 1; n <= 50; ++n) {
        strategy.update(window_at(strategy.current_limit()));
        if (strategy.reason() == found_out)
            return n;
    }
    return 0;
}

TEST_CASE("A service that becomes 1.9 times slower by itself gets its limit back after the cut") {
    vegas_strategy strategy = settled_with_waits();
    const auto slower = [](std::size_t limit) { return wide(bound_window(limit, 19ms, no_time)); };
    // The strategy takes 47 % of what is in flight for a queue, and cuts the limit to half in a few windows.
    std::size_t lowest = 100;
    const int windows = windows_until_found_out(strategy, [&](std::size_t limit) {
        lowest = std::min(lowest, limit);
        return slower(limit);
    });
    CHECK(windows > 0);
    CHECK(windows <= 10);
    CHECK(lowest <= 50);
    CHECK(lowest >= 20);
    CHECK(strategy.baseline() == 10ms);
    // The limit is held until two probes at common instants have shown the same.
    duration time = support::usual_time;
    for (int i = 0; i < 2; ++i) {
        const plan p = strategy.update(closed_at(time, slower(strategy.current_limit())));
        CHECK(p.limit == lowest);
        REQUIRE(p.scheduled.begins_in > 0ns);
        const window probe = wide(support::window_of_scheduled(p, time, 19ms));
        strategy.update(probe);
        time = probe.closed_at + 1s;
    }
    CHECK(strategy.baseline() == 19ms);
    CHECK(strategy.queue_estimate() == Approx(0).margin(1e-9));
    // Then it comes back,
    CHECK(strategy.current_limit() == 96);
    strategy.update(slower(strategy.current_limit()));
    CHECK(strategy.current_limit() == 100);
    // and then grows as ever, by half of 0.15 · 100 + 0.2 = 15.2, for the waits do not vary any more.
    strategy.update(slower(100));
    CHECK(strategy.current_limit() == 108);
    CHECK(windows_until_found_out(strategy, slower) == 0);
    CHECK(strategy.current_limit() > 108);
}

TEST_CASE("Probes that are too few to show a rise alone show it together, if each supports it") {
    vegas_strategy strategy = settled_with_waits();
    const auto slower = [](std::size_t limit) { return wide(bound_window(limit, 19ms, no_time)); };
    REQUIRE(windows_until_found_out(strategy, slower) > 0);
    const std::size_t held = strategy.current_limit();
    duration time = support::usual_time;
    const auto probe = [&](duration rtt) {
        const plan p = strategy.update(closed_at(time, slower(strategy.current_limit())));
        REQUIRE(p.scheduled.begins_in > 0ns);
        const window w = wide(support::window_of_scheduled(p, time, rtt));
        strategy.update(w);
        time = w.closed_at + 1s;
    };
    // The middle between 10 ms and 19 ms is 13.8 ms.
    SECTION("14.5 ms supports it") {
        int probes = 0;
        for (; strategy.baseline() == 10ms && probes < 100; ++probes) {
            CHECK(strategy.current_limit() == held);
            probe(14'500us);
        }
        CAPTURE(probes);
        CHECK(probes > 2); // two would do if each were certain
        CHECK(probes < 20);
        CHECK(strategy.baseline() == 14'500us);
    }
    SECTION("13 ms does not") {
        probe(13ms);
        CHECK(strategy.baseline() > 10ms); // it is taken into the mean
        CHECK(strategy.baseline() < 11ms);
        strategy.update(slower(held));
        CHECK(strategy.reason() != found_out);
    }
}

TEST_CASE("A wait of 9 ms at other clients' requests does not give the limit back") {
    vegas_strategy strategy = settled_with_waits();
    // The spread is that of 10 ms, of which a fifth take 42 ms and the others 2 ms.
    const auto waiting = [](std::size_t limit) {
        window w = bound_window(limit, 19ms, no_time);
        w.all.histogram = {};
        w.all.histogram.add(11ms, 80);
        w.all.histogram.add(51ms, 20);
        return w;
    };
    CHECK(windows_until_found_out(strategy, waiting) == 0);
    CHECK(strategy.current_limit() < 20);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("A queue, whose RTT falls with the limit, does not give the limit back") {
    vegas_strategy strategy = settled_with_waits();
    // Thirty workers, which take 10 ms.
    const auto thirty = [](std::size_t limit) {
        const auto in_flight = static_cast<duration::rep>(std::max<std::size_t>(limit, 30));
        return wide(bound_window(limit, 10ms * in_flight / 30, no_time));
    };
    CHECK(windows_until_found_out(strategy, thirty) == 0);
    CHECK(strategy.current_limit() < 50);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("Less demand raises the suspicion as well as a cut does, and the limit is held") {
    vegas_strategy strategy = settled_with_waits();
    strategy.update(wide(bound_window(100, 10ms, no_time)));
    const std::size_t before = strategy.current_limit();
    // A third is in flight, and takes 14 ms. The strategy takes 29 % of it for a queue, which is less than it wants.
    const int windows = windows_until_found_out(
        strategy, [](std::size_t limit) { return wide(idle_window(limit, 33, 14ms, no_time)); });
    CHECK(windows > 0);
    CHECK(strategy.current_limit() == before);
    CHECK(strategy.baseline() == 10ms);
}

TEST_CASE("The same RTT with less in flight changes nothing") {
    vegas_strategy strategy = settled_with_waits();
    const auto less = [](std::size_t limit) { return wide(idle_window(limit, 33, 10'900us, no_time)); };
    CHECK(windows_until_found_out(strategy, less) == 0);
    CHECK(strategy.current_limit() == 100);
    CHECK(strategy.baseline() == 10ms);
}

// ---- Pauses ----

TEST_CASE("Once pauses are usual, windows that met one ask for no probe, and the limit stays up") {
    vegas_strategy strategy = settled();
    const auto see = [&](duration rtt) {
        return strategy.update(bound_window(strategy.current_limit(), rtt, no_time));
    };
    for (int i = 0; i < 6; ++i) {
        see(10ms);
        see(30ms);
    }
    for (int i = 0; i < 10; ++i) {
        CHECK(see(30ms).then == 0);
        CHECK(see(10ms).then == 0);
    }
    CHECK(strategy.current_limit() >= 100);
    for (int i = 0; i < 7; ++i) // no calm window among them: a queue
        see(30ms);
    CHECK(strategy.queue_estimate() > 10);
}

} // namespace
