// sample_window_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Which calls are members of a window, and when it closes.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>

#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using support::enter;
using support::leave;
using support::open;
using support::succeed_and_leave;
using support::summary_of;

using entry = sample_window::entry;

TEST_CASE("A window that was never opened has no members") {
    sample_window w;
    CHECK(enter(w, 1us) == entry::none);
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("The first K admitted calls are members, and later ones are not") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    CHECK(enter(w, 1us) == entry::member);
    CHECK(enter(w, 2us) == entry::member);
    CHECK(enter(w, 3us) == entry::last);
    for (int i = 0; i < 5; ++i)
        CHECK(enter(w, 4us) == entry::none);
    CHECK(summary_of(w, 9us).admitted == 3);
}

TEST_CASE("In a window of one, the first member is the last") {
    sample_window w;
    open(w, 1, 10, 0, 0ns);
    CHECK(enter(w, 1us) == entry::last);
    CHECK(enter(w, 1us) == entry::none);
    CHECK(succeed_and_leave(w, 5us));
}

TEST_CASE("Members that leave make no room for others") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0us);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK(enter(w, 1us) == entry::last);
    CHECK(enter(w, 2us) == entry::none);
}

TEST_CASE("The last member to leave closes the window, once") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    for (int i = 0; i < 3; ++i)
        enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    w.drop(1us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("A window does not close before its slots are taken") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("A window starts afresh when it is opened again") {
    sample_window w;
    open(w, 2, 10, 7, 0ns);
    CHECK(w.limit_after() == 7);
    enter(w, 1us, 9);
    enter(w, 2us, 9);
    w.drop(1ms);
    (void)leave(w);
    w.ignore(0ns);
    REQUIRE(leave(w));

    open(w, 3, 20, 0, 10us);
    CHECK(w.limit_after() == 0);
    CHECK_FALSE(w.is_left());
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK(enter(w, 20us, 2) == entry::member);
    CHECK(enter(w, 21us, 3) == entry::member);
    CHECK(enter(w, 22us, 2) == entry::last);
    succeed_and_leave(w, 5us);
    succeed_and_leave(w, 5us, true);
    CHECK(succeed_and_leave(w, 5us));

    const flowguard::window s = summary_of(w, 50us);
    CHECK(s.admitted == 3);
    CHECK(s.all.samples == 3);
    CHECK(s.low.samples == 1);
    CHECK(s.dropped == 0);
    CHECK(s.ignored == 0);
    CHECK(s.dropped_mean_rtt == 0ns);
    CHECK(s.all.mean == 5us);
    CHECK(s.limit == 20);
    CHECK(s.max_in_flight == 3);
    CHECK(s.length == 40us);
    CHECK(s.admitting == 2us);
}

} // namespace
