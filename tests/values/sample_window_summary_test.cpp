// sample_window_summary_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What a closed window tells the strategy.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using std::chrono::nanoseconds;
using support::enter;
using support::enters_low;
using support::fill;
using support::leave;
using support::open;
using support::succeed_and_leave;
using support::summary_of;

using leaving = sample_window::leaving;

TEST_CASE("The summary has the outcomes, and the RTTs of the successes") {
    sample_window w;
    open(w, 6, 12, 0, 1ms);
    for (int i = 1; i <= 6; ++i)
        enter(w, 1ms + i * 10us, static_cast<std::size_t>(4 + i % 3));
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 200us);
    succeed_and_leave(w, 600us);
    w.drop(1000us);
    CHECK_FALSE(leave(w));
    w.drop(3000us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));

    const flowguard::window s = summary_of(w, 5ms);
    CHECK(s.admitted == 6);
    CHECK(s.all.samples == 3);
    CHECK(s.dropped == 2);
    CHECK(s.ignored == 1);
    CHECK(s.all.mean == 300us);
    CHECK(s.dropped_mean_rtt == 2000us);
    CHECK(s.limit == 12);
    CHECK(s.max_in_flight == 6);
    CHECK(s.length == 4ms);
    CHECK(s.admitting == 50us);
    CHECK(static_cast<double>(s.all.min().count()) == Approx(100e3).epsilon(0.07));
    CHECK(static_cast<double>(s.all.quantile(0.5).count()) == Approx(200e3).epsilon(0.07));
    CHECK(static_cast<double>(s.all.quantile(1).count()) == Approx(600e3).epsilon(0.07));
}

TEST_CASE("A window without successes has no RTT") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    w.drop(4us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.all.samples == 0);
    CHECK(s.all.mean == 0ns);
    CHECK(s.all.min() == 0ns);
    CHECK(s.all.quantile(0.9) == 0ns);
    CHECK(s.dropped_mean_rtt == 4us);
    CHECK(s.low.samples == 0);
    CHECK(s.low.mean == 0ns);
}

TEST_CASE("Few in flight means at most a third of the limit, or one") {
    sample_window w;
    open(w, 4, 9, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK(enters_low(w, 3));
    CHECK_FALSE(enters_low(w, 4));
    CHECK_FALSE(enters_low(w, 9));

    open(w, 2, 2, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK_FALSE(enters_low(w, 2));
}

TEST_CASE("The summary has the RTTs of calls admitted with few in flight both apart and among all") {
    sample_window w;
    open(w, 4, 9, 0, 0ns);
    for (int i = 0; i < 4; ++i)
        enter(w, 0ns);
    succeed_and_leave(w, 100us, true);
    succeed_and_leave(w, 300us, true);
    succeed_and_leave(w, 1000us, false);
    CHECK(succeed_and_leave(w, 2600us, false));

    const flowguard::window s = summary_of(w, 5ms);
    CHECK(s.low.samples == 2);
    CHECK(s.low.mean == 200us);
    CHECK(static_cast<double>(s.low.quantile(1).count()) == Approx(300e3).epsilon(0.07));
    CHECK(s.low.variation() == Approx(0.5).epsilon(0.1));
    CHECK(s.all.samples == 4);
    CHECK(s.all.mean == 1000us);
    CHECK(static_cast<double>(s.all.min().count()) == Approx(100e3).epsilon(0.07));
}

TEST_CASE("Mean in flight is the rate of admission times the mean time in flight") {
    sample_window w;
    open(w, 4, 10, 0, 0ns);
    for (int i = 0; i < 4; ++i)
        enter(w, 100us + i * 10us, 9); // three intervals in 30 us: one in 10 us
    SECTION("of successes") {
        succeed_and_leave(w, 20us);
        succeed_and_leave(w, 40us);
        succeed_and_leave(w, 25us);
        CHECK(succeed_and_leave(w, 35us));
        CHECK(summary_of(w, 1ms).mean_in_flight == Approx(3.0));
    }
    SECTION("of drops as well") {
        succeed_and_leave(w, 20us);
        succeed_and_leave(w, 20us);
        w.drop(60us);
        CHECK_FALSE(leave(w));
        w.drop(80us);
        CHECK(leave(w));
        CHECK(summary_of(w, 1ms).mean_in_flight == Approx(4.5));
    }
    SECTION("and at most the most that there ever were") {
        for (int i = 0; i < 4; ++i)
            (void)succeed_and_leave(w, 1ms);
        CHECK(summary_of(w, 2ms).mean_in_flight == Approx(9.0));
    }
}

TEST_CASE("Mean in flight is the highest count if all members were admitted at once") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 5us, 3);
    enter(w, 5us, 4);
    succeed_and_leave(w, 1us);
    CHECK(succeed_and_leave(w, 1us));
    CHECK(summary_of(w, 1ms).mean_in_flight == Approx(4.0));

    open(w, 1, 10, 0, 0ns);
    enter(w, 5us, 7);
    CHECK(succeed_and_leave(w, 1us));
    CHECK(summary_of(w, 1ms).mean_in_flight == Approx(7.0));
}

TEST_CASE("Mean in flight counts each member for the time for which it held its permit") {
    sample_window w;
    open(w, 10, 100, 0, 0ns);
    for (int i = 0; i < 10; ++i)
        enter(w, i * 10ms, 50); // 0.1 admissions per millisecond
    succeed_and_leave(w, 100ms);
    w.drop(20ms);
    CHECK_FALSE(leave(w));
    for (int i = 0; i < 7; ++i) {
        w.ignore(1ms);
        CHECK_FALSE(leave(w));
    }
    SECTION("also if the last one is ignored") {
        w.ignore(3ms);
        CHECK(leave(w));
        CHECK(summary_of(w, 200ms).mean_in_flight == Approx(0.1 * (100 + 20 + 7 + 3) / 10));
    }
    SECTION("if the last one is unfinished, at least since the last admission") {
        const auto late = 90ms + 10s;
        REQUIRE(w.close_if_straggling(late) == 1);
        CHECK(summary_of(w, late).mean_in_flight == 50); // 0.1 × 10,127 ms / 10 is 101, but at most 50 were in flight
    }
}

TEST_CASE("Mean in flight counts the time of a member for each of its permits") {
    sample_window w;
    open(w, 10, 100, 0, 0ns);
    for (int i = 0; i < 10; ++i)
        enter(w, i * 10ms, 50); // 0.1 admissions per millisecond
    REQUIRE(w.hold_surplus(support::generation, 9));
    for (int i = 0; i < 8; ++i)
        succeed_and_leave(w, 5ms);
    SECTION("if it is done") {
        succeed_and_leave(w, 5ms);
        w.add_surplus(9, 100ms);
        REQUIRE(w.release_surplus(support::generation, 9));
        CHECK(succeed_and_leave(w, 100ms));
        CHECK(summary_of(w, 200ms).mean_in_flight == Approx(0.1 * (9 * 5 + 10 * 100) / 10));
    }
    SECTION("if it is unfinished, at least since the last admission") {
        succeed_and_leave(w, 5ms);
        const auto late = 90ms + 600ms;
        REQUIRE(w.close_if_straggling(late) == 1);
        CHECK(w.straggling_permits() == 10);
        const flowguard::window s = summary_of(w, late);
        CHECK(s.unfinished == 1);
        CHECK(s.mean_in_flight == 50); // 0.1 × 6045 ms / 10 is 60, but at most 50 were in flight
        CHECK_FALSE(w.release_surplus(support::generation, 9)); // counts with the long-running calls
        CHECK(w.leave(support::generation) == leaving::straggler);
    }
    SECTION("if it is unfinished, and another one, too") {
        const auto late = 90ms + 1100ms;
        CHECK(w.close_if_straggling(late) == 2);
        CHECK(w.straggling_permits() == 11);
        CHECK(w.open({}, late) == 0); // they are counted already
    }
    SECTION("but not in the next window, if the window is discarded") {
        REQUIRE(w.discard_if_due(1h, 1));
        CHECK(w.open({.epoch = 1}, 1h) == 2 + 9); // the permits of the new stragglers
        CHECK(w.straggling_permits() == 0);
        enter(w, 1h, 7);
        CHECK(succeed_and_leave(w, 1ms));
        CHECK(summary_of(w, 1h).mean_in_flight == Approx(7));
    }
}

TEST_CASE("The time of many permits is cut off, so that its sum does not overflow") {
    sample_window w;
    fill(w, 3, 1s);
    for (int i = 0; i < 3; ++i) {
        w.add_surplus(static_cast<std::uint32_t>(flowguard::max_limit), nanoseconds::max());
        succeed_and_leave(w, nanoseconds::max());
    }
    const flowguard::window s = summary_of(w, 1s);
    CHECK(s.all.samples == 3);
    CHECK(s.mean_in_flight == 1); // no more than were in flight at an admission
}

TEST_CASE("Long-running calls do not count as in flight") {
    sample_window w;
    w.open({.size = 3, .limit = 9, .long_running = 12}, 0ns);
    CHECK(enters_low(w, 13));
    CHECK(enters_low(w, 15));
    CHECK_FALSE(enters_low(w, 16));
    CHECK(summary_of(w, 1us).max_in_flight == 4);
    w.open({.size = 1, .limit = 9, .long_running = 12}, 0ns); // some of them have ended
    CHECK(enters_low(w, 5));
    CHECK(summary_of(w, 1us).max_in_flight == 1);
}

TEST_CASE("RTTs are cut off at 73 minutes, so that their sums do not overflow") {
    constexpr nanoseconds longest{std::int64_t{1} << 42};
    sample_window w;
    fill(w, 3, 1ms);
    succeed_and_leave(w, nanoseconds::max());
    w.drop(nanoseconds::max());
    CHECK_FALSE(leave(w));
    CHECK(succeed_and_leave(w, nanoseconds::min()));
    flowguard::window s = summary_of(w, nanoseconds::max());
    CHECK(s.all.mean == longest / 2);
    CHECK(s.dropped_mean_rtt == longest);

    fill(w, 4, 1ms);
    succeed_and_leave(w, longest);
    REQUIRE(w.close_if_straggling(nanoseconds::max()) == 3);
    s = summary_of(w, nanoseconds::max());
    CHECK(s.all.mean == longest);
    CHECK(s.length == nanoseconds::max());

    // In a very large window, RTTs are cut off earlier.
    constexpr std::size_t many = std::size_t{1} << 25;
    open(w, many, 10, 0, 0ns);
    enter(w, 0ns);
    succeed_and_leave(w, longest);
    CHECK(summary_of(w, 1ms).all.mean == nanoseconds{INT64_MAX >> 25});
}

TEST_CASE("A window that is opened again forgets the time of its first admission") {
    sample_window w;
    fill(w, 2, 1s);
    succeed_and_leave(w, 1ms);
    succeed_and_leave(w, 1ms);
    open(w, 2, 10, 0, 2s, 100ms);
    REQUIRE(w.end_if_overdue(3s));
    w.leave_to_settle();
    REQUIRE(w.settle(3s) == leaving::last);
    CHECK(summary_of(w, 3s).admitting == 0ns);
}

TEST_CASE("A clock that steps backwards makes lengths 0, never negative") {
    sample_window w;
    open(w, 2, 10, 0, 5ms);
    enter(w, 4ms, 2);
    enter(w, 3ms, 2);
    succeed_and_leave(w, 0ns);
    CHECK(succeed_and_leave(w, 0ns));
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.length == 0ns);
    CHECK(s.admitting == 0ns);
    CHECK(s.all.mean == 0ns);
    CHECK(s.mean_in_flight == Approx(2.0));
}

} // namespace
