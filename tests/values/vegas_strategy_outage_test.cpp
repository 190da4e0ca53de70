// vegas_strategy_outage_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas_strategy.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/vegas_windows.hpp"
#include "support/windows.hpp"

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
using support::settled;
using support::settled_with_waits;
using support::wide;
using support::with_drops;

// A window without a success.
window out(std::size_t limit) {
    return with_drops(bound_window(limit, 10ms), 100, 1s);
}

TEST_CASE("After an outage half of the limit comes back with the first success, and the quick start begins again") {
    vegas_strategy strategy = settled();
    CHECK(strategy.update(out(100)) == a_window{25, 25});
    CHECK(strategy.update(out(25)) == a_window{6, 6});
    CHECK(strategy.update(out(6)) == a_window{2, 2}); // short windows, so that the end is seen soon
    for (int i = 0; i < 500; ++i)
        strategy.update(out(strategy.current_limit()));
    CHECK(strategy.current_limit() == 1);
    CHECK(strategy.baseline() == 10ms); // which nothing has contradicted

    CHECK(strategy.update(with_drops(bound_window(1, 10ms), 50, 1s)).limit == 50);
    CHECK(std::string(strategy.reason()) == "an outage ended: half of the limit before it");
    CHECK(strategy.update(bound_window(50, 10ms)).limit == 100);
    CHECK(std::string(strategy.reason()) == "quick start: no queue yet");
}

TEST_CASE("After an outage half of the limit comes back, then all of it, and then it grows as ever") {
    vegas_strategy strategy = settled_with_waits();
    CHECK(strategy.update(out(100)) == a_window{25, 25});
    CHECK(strategy.update(out(25)) == a_window{6, 6}); // 6.25
    CHECK(strategy.update(bound_window(6, 10ms)) == a_window{50, 50});
    CHECK(strategy.update(bound_window(50, 10ms)) == a_window{100, 100});
    // The quick start is over, though nothing queues and its hint is 200: half of 3 + 0.6 · √100 + 10 = 19.
    CHECK(strategy.update(bound_window(100, 10ms)) == a_window{110, 165});
    CHECK(strategy.reason() == std::string("fewer requests queue than wanted"));
}

TEST_CASE("After an outage the limit comes back in steps of two, and never beyond the one from before") {
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(with_drops(bound_window(100, 10ms), 60, 10ms)).limit == 40);
    CHECK(strategy.update(out(40)) == a_window{10, 10});
    CHECK(strategy.update(bound_window(10, 10ms)) == a_window{20, 20}); // half of 40, though it was 100 before
    CHECK(strategy.update(bound_window(20, 10ms)).limit == 40); // not 20 · 4, though the hint is 200
    // Half of 3 + 0.6 · √40 + 40 / 10 = 10.79.
    CHECK(strategy.update(bound_window(40, 10ms)) == a_window{45, 100});
}

TEST_CASE("After an outage the quick start ends early if the RTT rises") {
    vegas_strategy strategy = settled();
    strategy.update(out(100));
    REQUIRE(strategy.update(bound_window(25, 10ms)).limit == 50);
    CHECK(strategy.update(bound_window(50, 20ms)) == a_window{50, 100}); // the first calls
    // The baseline is from more than a third of 50 in flight, so a probe decides, and a deeper one makes sure.
    CHECK(strategy.update(bound_window(50, 20ms)) == a_probe{16, 60, 50});
    CHECK(strategy.update(wide(bound_window(16, 10ms))) == a_probe{5, 60, 50});
    CHECK(strategy.update(wide(bound_window(5, 10ms))) == a_window{50, 100});
    // Queue 25, slack 0.15 · 50 + 0.2 = 7.7, for the wait does not vary: 50 − 17.3 / 2 = 41.35.
    CHECK(strategy.update(bound_window(50, 20ms)) == a_window{41, 100});
}

TEST_CASE("After a window without a success the next one is as short as can be, whatever is usual or tolerated") {
    CHECK(settled().update(out(100)) == a_window{25, 25});
    vegas_strategy one{1};
    CHECK(one.update(out(1)) == a_window{1, 2}); // two, as one says too little
    // A tolerance of 90 %, and half of the requests are usual: nothing is cut, but the window is short all the same.
    vegas_strategy tolerant{vegas_options{.initial_limit = 1, .drop_tolerance = 0.9}};
    CHECK(tolerant.update(with_drops(bound_window(1, 10ms), 50, 10ms)) == a_window{4, 4});
    CHECK(tolerant.update(out(4)) == a_window{4, 4});
    CHECK(tolerant.reason() == std::string("no request succeeded"));
}

TEST_CASE("An outage may begin in a probe, which then says nothing of the baseline and of the usual drops") {
    vegas_strategy strategy = settled();
    REQUIRE(strategy.update(wide(bound_window(100, 20ms, 250ms))) == a_probe{33, 99, 100});
    CHECK(strategy.update(out(33)) == a_window{25, 25});
    CHECK(strategy.reason() == std::string("too many drops"));
    CHECK(strategy.baseline() == 10ms);
    CHECK(strategy.update(out(25)) == a_window{6, 6}); // to a quarter again: such drops are not usual
    CHECK(strategy.update(bound_window(6, 10ms)).limit == 50); // half of the limit before the probe
}

TEST_CASE("A limit that is so high that nothing succeeds is halved each time") {
    vegas_strategy strategy = settled();
    for (const std::size_t half : {50U, 25U, 13U, 6U}) {
        while (strategy.current_limit() > 1)
            strategy.update(out(strategy.current_limit()));
        CHECK(strategy.update(bound_window(1, 10ms)).limit == half);
    }
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

TEST_CASE("A baseline of one lucky call among drops does not last") {
    // As in front of a server with a limit of its own, where all guards start at once: a call that took 0.1 ms is the
    // first window without an outage.
    vegas_strategy strategy;
    const auto window_of = [](std::uint32_t successes, duration rtt) {
        window w = bound_window(1, rtt);
        w.admitted = w.all.samples = successes;
        w.all.histogram = {};
        w.all.histogram.add(rtt, successes);
        return w;
    };
    strategy.update(window_of(1, 100us));
    REQUIRE(strategy.baseline() == 100us);
    for (const duration rtt : {5ms, 10ms, 20ms})
        strategy.update(window_of(3, rtt));
    CHECK(strategy.baseline() >= 10ms);
    CHECK(strategy.baseline() <= 20ms);
}

} // namespace
