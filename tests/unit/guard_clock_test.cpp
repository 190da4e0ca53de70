// guard_clock_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Guards whose clocks are set while they work, or are unusual. Best run with -fsanitize=undefined.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::plan;
using flowguard::vegas_strategy;
using flowguard::wait_order;
using flowguard::window;
using std::chrono::nanoseconds;
using support::manual_clock_of;
using support::scripted_strategy;

constexpr nanoseconds longest_rtt{std::int64_t{1} << 42}; // 73 minutes
constexpr auto in_2023 = 1'700'000'000s;                  // since 1970

// Each test has a clock of its own, because all guards of a program that have the same clock share its beginning. Most
// of these clocks call themselves steady, so that a guard measures with them, and are not: as on a virtual machine that
// stands still.

// Makes calls one after the other. Each takes `rtt`.
template <class Clock, class Guard>
void call(Guard& guard, int times, nanoseconds rtt) {
    for (int i = 0; i < times; ++i) {
        auto ticket = guard.try_acquire();
        REQUIRE(ticket);
        Clock::at += std::chrono::duration_cast<typename Clock::duration>(rtt);
        ticket.success();
    }
}

} // namespace

TEST_CASE("A clock set from 1970 to 2023 makes the RTTs of calls in flight as long as they may be, and no others") {
    using clock = manual_clock_of<nanoseconds, struct forward>;
    clock::at = 10s;
    const scripted_strategy strategy{20, {plan(20, 4)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    call<clock>(guard, 30, 1ms); // the first window
    std::vector<flow_guard<scripted_strategy, clock>::ticket> tickets;
    for (int i = 0; i < 3; ++i)
        tickets.push_back(guard.try_acquire());
    call<clock>(guard, 1, 1ms);
    clock::at = in_2023;
    for (auto& t : tickets)
        t.success();
    call<clock>(guard, 8, 1ms);

    const std::vector<window>& windows = strategy.windows();
    REQUIRE(windows.size() == 4);
    CHECK(windows[0].all.mean == 1ms);
    CHECK(windows[1].all.mean == (3 * longest_rtt + 1ms) / 4);
    CHECK(windows[1].length == in_2023 - 10s - 30ms);
    CHECK(windows[1].mean_in_flight == 4);
    CHECK(windows[2].all.mean == 1ms);
    CHECK(windows[2].length == 4ms);
    CHECK(windows[3].all.mean == 1ms);
    CHECK(windows[3].admitting == 3ms);
}

TEST_CASE("vegas_strategy finds the RTT and the limit again after its clock was set by 53 years") {
    using clock = manual_clock_of<nanoseconds, struct forward_vegas>;
    using guard_type = flow_guard<vegas_strategy, clock>;
    clock::at = 10s;
    guard_type guard{vegas_strategy{}};
    const auto full = [&](int rounds) {
        for (int i = 0; i < rounds; ++i) {
            std::vector<guard_type::ticket> tickets;
            while (auto t = guard.try_acquire())
                tickets.push_back(std::move(t));
            clock::at += 5ms;
            for (auto& t : tickets)
                t.success();
        }
    };
    full(30); // the first window has 20 requests, one at a time
    const std::size_t limit = guard.current_limit();
    REQUIRE(guard.stats().baseline_rtt == 5ms);
    auto t = guard.try_acquire();
    clock::at = in_2023;
    t.success();
    full(20);
    CHECK(guard.stats().baseline_rtt == 5ms);
    CHECK(guard.stats().rtt_mean == 5ms);
    CHECK(guard.current_limit() >= limit / 2);
}

TEST_CASE("A clock set back by an hour makes RTTs 0, and keeps no window open for that hour") {
    using clock = manual_clock_of<nanoseconds, struct back>;
    clock::at = 10h;
    const scripted_strategy strategy{20, {plan(20, 4)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    call<clock>(guard, 30, 1ms);
    const auto straggler = guard.try_acquire();
    call<clock>(guard, 2, 1ms);
    auto last = guard.try_acquire(); // the window is full
    clock::at -= 1h;
    last.success(); // 0 ms
    call<clock>(guard, 1, 1ms); // its admission sees that the clock was set back
    REQUIRE(strategy.windows().size() == 1);
    call<clock>(guard, 200, 1ms);
    REQUIRE(strategy.windows().size() >= 2);
    // 10 + 250 times the mean of the others, which is 2/3 ms, because one of four is left: 173.3 ms.
    CHECK(strategy.windows()[1].all.samples == 3);
    CHECK(strategy.windows()[1].all.mean == 2'000'000ns / 3);
    CHECK(strategy.windows()[1].unfinished == 1);
    CHECK(strategy.windows()[1].length == 0ns);
    CHECK(strategy.windows()[2].all.mean == 1ms);
}

TEST_CASE("A clock that is set back by an hour does not prolong a probe") {
    using clock = manual_clock_of<nanoseconds, struct back_in_probe>;
    clock::at = 10h;
    const scripted_strategy strategy{9, {plan(3, 20, 9, 100ms), plan(9, 4)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    call<clock>(guard, 13, 1ms);
    REQUIRE(guard.current_limit() == 3);
    clock::at -= 1h;
    call<clock>(guard, 1, 100ms);
    REQUIRE(guard.current_limit() == 9);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows()[1].admitted == 1);
}

TEST_CASE("Calls of two years each count as 73 minutes") {
    using clock = manual_clock_of<nanoseconds, struct years>;
    const scripted_strategy strategy{20, {plan(20, 8)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    call<clock>(guard, 30 + 8, 2 * 365 * 24h);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows()[0].all.mean == longest_rtt);
    CHECK(strategy.windows()[1].all.mean == longest_rtt);
    CHECK(strategy.windows()[1].all.quantile(1) >= longest_rtt * 15 / 16);
}

TEST_CASE("A clock that counts from 1601 in ticks of 100 ns measures like any other") {
    using clock = manual_clock_of<std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>, struct from_1601>;
    clock::at = clock::duration{133'500'000'000'000'000}; // in 2024
    const scripted_strategy strategy{20, {plan(20, 10)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    call<clock>(guard, 40, 1ms);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows()[0].all.mean == 1ms);
    CHECK(strategy.windows()[1].all.mean == 1ms);
    CHECK(strategy.windows()[1].length == 10ms);
    CHECK(guard.trace().back().at == nanoseconds::max()); // does not fit into nanoseconds
}

TEST_CASE("A clock that ticks once a second measures whole seconds, and does not shorten max_wait") {
    using clock = manual_clock_of<std::chrono::seconds, struct seconds>;
    clock::at = 100s;
    const scripted_strategy strategy{1, {plan(1, 10)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 10, .max_wait = 1500ms}};
    call<clock>(guard, 10, 0s);
    call<clock>(guard, 5, 0s);
    call<clock>(guard, 5, 3s);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows()[0].all.mean == 0s);
    CHECK(strategy.windows()[1].all.mean == 1500ms);
}

TEST_CASE("A clock that begins at its least time, or is set to it, causes no overflow") {
    using clock = manual_clock_of<nanoseconds, struct least>;
    clock::at = GENERATE(as<nanoseconds>{}, nanoseconds::min(), -1h, 0h, nanoseconds::max() - 1h);
    asio::io_context context;
    flow_guard<vegas_strategy, clock> guard{
        vegas_strategy{}, guard_options{.max_wait = 1s, .order = wait_order::adaptive, .ageing = 1ms}};
    call<clock>(guard, 1000, 1ms);
    CHECK(guard.stats().windows > 5);
    std::vector<flow_guard<vegas_strategy, clock>::ticket> held;
    while (auto t = guard.try_acquire())
        held.push_back(std::move(t));
    for (int i = 0; i < 50; ++i)
        guard.async_acquire(asio::bind_executor(context.get_executor(), [](flowguard::error_code, auto) {}));
    CHECK(guard.waiting() == 50);
    clock::at = nanoseconds::max();
    held.clear();
    clock::at = nanoseconds::min();
    CHECK(guard.waiting() < 50);
}

TEST_CASE("Setting a clock that is not steady changes no RTT, and no bound of a probe") {
    using clock = manual_clock_of<nanoseconds, struct not_steady, false>;
    clock::at = in_2023;
    const scripted_strategy strategy{9, {plan(3, 20, 9, 1ns), plan(9, 14)}};
    flow_guard<scripted_strategy, clock> guard{strategy, guard_options{.min_window = 1}};
    for (int i = 0; i < 13; ++i) {
        auto ticket = guard.try_acquire();
        REQUIRE(ticket);
        clock::at += i % 2 == 0 ? nanoseconds(24h) : nanoseconds(-5h);
        ticket.success();
    }
    REQUIRE(strategy.windows().size() == 1);
    CHECK(strategy.windows()[0].all.samples == 13);
    CHECK(strategy.windows()[0].all.quantile(1) < 1h);
    CHECK(strategy.windows()[0].length < 1h);

    clock::at -= std::chrono::hours(24 * 365 * 50);
    CHECK(guard.try_acquire()); // sees that the probe is over: its bound was one nanosecond
    CHECK(guard.current_limit() == 9);
}
