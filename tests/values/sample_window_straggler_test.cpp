// sample_window_straggler_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Members that take much longer than the others straggle, and the window closes without them.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>

#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using std::chrono::nanoseconds;
using support::enter;
using support::fill;
using support::generation;
using support::leave;
using support::open;
using support::succeed_and_leave;
using support::summary_of;

using entry = sample_window::entry;
using leaving = sample_window::leaving;

TEST_CASE("Members straggle after 10 mean RTTs of the others, and 10 more for each per cent of members left") {
    sample_window w;
    fill(w, 100, 100us);
    for (int i = 0; i < 49; ++i) {
        REQUIRE_FALSE(succeed_and_leave(w, 400us));
        w.drop(600us);
        REQUIRE_FALSE(leave(w));
    }
    CHECK(w.close_if_straggling(100us + 15ms) == 0); // 30 means of 500 us, because 2 % are left
    CHECK(w.close_if_straggling(100us + 15ms + 1ns) != 0);
}

TEST_CASE("Members of a slower kind do not straggle while many of them are left") {
    sample_window w;
    fill(w, 100, 100us);
    for (int i = 0; i < 50; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 1ms));
    CHECK(w.close_if_straggling(100us + 50ms) == 0);
    for (int i = 0; i < 49; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 50ms));
    CHECK(succeed_and_leave(w, 50ms));
}

TEST_CASE("Members straggle after a millisecond at the earliest") {
    sample_window w;
    fill(w, 3, 100us);
    succeed_and_leave(w, 1us);
    CHECK(w.close_if_straggling(100us + 1ms) == 0);
    CHECK(w.close_if_straggling(100us + 1ms + 1ns) != 0);
}

TEST_CASE("Ignored calls do not make the others look slow") {
    sample_window w;
    fill(w, 5, 100us);
    REQUIRE_FALSE(succeed_and_leave(w, 500us));
    for (int i = 0; i < 3; ++i) {
        w.ignore(0ns);
        REQUIRE_FALSE(leave(w));
    }
    CHECK(w.close_if_straggling(100us + 105ms) == 0); // 10 + 200 means of 500 us
    CHECK(w.close_if_straggling(100us + 105ms + 1ns) != 0);
}

// An ignored call says nothing about how long the others should take.
TEST_CASE("If the others were ignored, members straggle by the RTT of earlier windows, or after a second") {
    struct row {
        nanoseconds expected;
        nanoseconds after; // 10 means, and 500 more because half of the window is left
    };
    for (const row& r : {row{0ns, 1s}, row{1us, 1ms}, row{100us, 51ms}}) {
        sample_window w;
        w.open({.size = 2, .limit = 10, .expected_rtt = r.expected}, 0ns);
        enter(w, 0ns);
        enter(w, 100us);
        w.ignore(2us);
        REQUIRE_FALSE(leave(w));
        CAPTURE(r.expected.count());
        CHECK(w.close_if_straggling(100us + r.after) == 0);
        CHECK(w.close_if_straggling(100us + r.after + 1ns) != 0);
    }
}

TEST_CASE("A window is not closed early between the entry into its last slot and fill()") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    bool low = false;
    REQUIRE(w.enter(0ns, 1, low, generation) == entry::member);
    REQUIRE(w.enter(0ns, 2, low, generation) == entry::last);
    REQUIRE_FALSE(succeed_and_leave(w, 1us));
    CHECK(w.close_if_straggling(24h) == 0);
    w.fill(0ns);
    CHECK(w.close_if_straggling(24h) != 0);
}

TEST_CASE("No member straggles before another one is done") {
    sample_window w;
    fill(w, 3, 100us);
    CHECK(w.close_if_straggling(24h) == 0);
}

TEST_CASE("No member straggles while the window has free slots") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    succeed_and_leave(w, 2us);
    CHECK(w.close_if_straggling(24h) == 0);
}

TEST_CASE("No member straggles when the clock steps backwards") {
    sample_window w;
    fill(w, 3, 1h);
    succeed_and_leave(w, 2us);
    CHECK(w.close_if_straggling(0ns) == 0);
}

TEST_CASE("A clock set back by an hour delays an early close by at most the straggler timeout") {
    sample_window w;
    fill(w, 3, 9h);
    succeed_and_leave(w, 1us);
    CHECK(w.close_if_straggling(8h) == 0);
    CHECK(w.close_if_straggling(8h + 1ms) == 0);
    CHECK(w.close_if_straggling(8h + 1ms + 1ns) == 2);
    CHECK(summary_of(w, 8h + 1ms + 1ns).unfinished == 2);
}

TEST_CASE("Stragglers of an early close count as unfinished, and are no samples") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 300us, true);
    REQUIRE(w.close_if_straggling(111ms) != 0);

    const flowguard::window s = summary_of(w, 111ms);
    CHECK(s.admitted == 4);
    CHECK(s.unfinished == 2);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 200us);
    CHECK(static_cast<double>(s.all.quantile(1).count()) == Approx(300e3).epsilon(0.07));
    CHECK(s.dropped == 0);
    CHECK(s.low.samples == 1);
    CHECK(s.low.mean == 300us);
}

TEST_CASE("Stragglers that leave before the early close is read count all the same") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h + 1ms) == 3);
    for (int i = 0; i < 3; ++i)
        CHECK(w.leave(generation) == leaving::straggler);
    const flowguard::window s = summary_of(w, 1h + 1ms);
    CHECK(s.unfinished == 3);
    CHECK(s.all.samples == 1);
    CHECK(s.all.mean == 100us);
}

TEST_CASE("A window that was closed early is not closed again by its stragglers") {
    sample_window w;
    fill(w, 2, 1ms);
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h) != 0);
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK_FALSE(w.is_left());
    CHECK_FALSE(succeed_and_leave(w, 9ms)); // the straggler, late
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(24h) == 0);

    open(w, 1, 10, 0, 1h);
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK(enter(w, 1h) == entry::last);
    CHECK(succeed_and_leave(w, 1us)); // this time, the last member closes it
}

TEST_CASE("An early close tells how many members it left out") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    CHECK(w.close_if_straggling(1h) == 3);
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(w.is_left());
        CHECK(w.leave(generation) == leaving::straggler);
    }
    CHECK(w.is_left());
}

TEST_CASE("Stragglers of an earlier opening do not change the window") {
    sample_window w;
    fill(w, 3, 1ms);
    const std::uint32_t earlier = generation;
    CHECK(w.is_open(earlier));
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h) == 2);
    CHECK_FALSE(w.is_open(earlier));

    open(w, 2, 10, 0, 1h);
    CHECK(enter(w, 1h) == entry::member);
    CHECK(generation != earlier);
    CHECK(w.is_open(generation));
    CHECK_FALSE(w.is_open(earlier));
    CHECK(w.leave(earlier) == leaving::straggler);
    CHECK(enter(w, 1h) == entry::last);
    CHECK(w.leave(earlier) == leaving::straggler);
    CHECK_FALSE(succeed_and_leave(w, 5us));
    CHECK(succeed_and_leave(w, 5us));
    const flowguard::window s = summary_of(w, 1h + 1ms);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 5us);
}

} // namespace
