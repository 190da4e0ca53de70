// sample_window_bound_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Windows that end at a time bound, however few calls have entered them.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>

#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using support::enter;
using support::open;
using support::succeed_and_leave;
using support::summary_of;

using entry = sample_window::entry;
using leaving = sample_window::leaving;

TEST_CASE("A window without a bound is never overdue") {
    sample_window w;
    open(w, 3, 10, 20, 0ns);
    CHECK_FALSE(w.needs_a_look());
    CHECK_FALSE(w.end_if_overdue(24h));
    CHECK(enter(w, 24h) == entry::member);
}

TEST_CASE("The free slots of a bounded window end with the bound, and one thread settles them") {
    sample_window w;
    open(w, 10, 3, 20, 1s, 100ms);
    CHECK(w.needs_a_look());
    REQUIRE(enter(w, 1s) == entry::member);
    REQUIRE(enter(w, 1010ms) == entry::member);
    succeed_and_leave(w, 5ms);
    CHECK_FALSE(w.end_if_overdue(1100ms - 1ns));
    CHECK(w.end_if_overdue(1100ms));
    CHECK_FALSE(w.end_if_overdue(1100ms)); // only one thread ends it
    CHECK(w.limit_after() == 20);
    CHECK(enter(w, 1101ms) == entry::none);
    CHECK(w.settle(1101ms) == leaving::one_of_many); // too early: leave_to_settle() comes first
    CHECK(w.close_if_straggling(24h) == 0);
    w.leave_to_settle();
    CHECK(w.needs_a_look());

    SECTION("before its last member is done") {
        CHECK(w.settle(1102ms) == leaving::one_of_many);
        CHECK_FALSE(w.needs_a_look());
        CHECK(succeed_and_leave(w, 7ms));
    }
    SECTION("after its last member was done") {
        CHECK_FALSE(succeed_and_leave(w, 7ms));
        CHECK_FALSE(w.is_left());
        CHECK(w.settle(1102ms) == leaving::last);
    }
    CHECK(w.is_left());
    CHECK(w.settle(1103ms) == leaving::one_of_many);
    const flowguard::window s = summary_of(w, 1200ms);
    CHECK(s.admitted == 2);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 6ms);
    CHECK(s.limit == 3);
    CHECK(s.admitting == 102ms);
    CHECK(s.length == 200ms);
}

TEST_CASE("A bounded window that no call entered ends empty") {
    sample_window w;
    open(w, 10, 3, 20, 1s, 100ms);
    REQUIRE(w.end_if_overdue(2s));
    w.leave_to_settle();
    CHECK(w.settle(2s) == leaving::last);
    const flowguard::window s = summary_of(w, 2s);
    CHECK(s.admitted == 0);
    CHECK(s.all.samples == 0);
    CHECK(s.all.mean == 0ns);
    CHECK(s.mean_in_flight == 0);
    CHECK(s.max_in_flight == 0);
    CHECK(s.admitting == 0ns);

    open(w, 2, 10, 0, 3s); // the next opening works as usual
    CHECK(enter(w, 3s) == entry::member);
    CHECK(enter(w, 3s) == entry::last);
    CHECK_FALSE(succeed_and_leave(w, 1ms));
    CHECK(succeed_and_leave(w, 1ms));
    CHECK(summary_of(w, 4s).admitted == 2);
}

TEST_CASE("A bounded window that was filled in time has no bound any more") {
    sample_window w;
    open(w, 1, 3, 20, 1s, 100ms);
    REQUIRE(enter(w, 1050ms) == entry::last);
    CHECK_FALSE(w.needs_a_look());
    CHECK_FALSE(w.end_if_overdue(24h));
    CHECK(succeed_and_leave(w, 1ms));
}

TEST_CASE("Members of a window that its bound ended straggle like others") {
    sample_window w;
    open(w, 10, 3, 20, 0ns, 100ms);
    REQUIRE(enter(w, 0ns) == entry::member);
    REQUIRE(enter(w, 0ns) == entry::member);
    succeed_and_leave(w, 100us);
    REQUIRE(w.end_if_overdue(100ms));
    w.leave_to_settle();
    REQUIRE(w.settle(100ms) == leaving::one_of_many);
    CHECK(w.close_if_straggling(100ms + 51ms) == 0); // 10 + 500 means, because one of two members is left
    CHECK(w.close_if_straggling(100ms + 51ms + 1ns) == 1);
}

TEST_CASE("A clock set back by an hour delays the end of a bounded window by at most the bound") {
    sample_window w;
    open(w, 10, 3, 20, 9h, 100ms);
    CHECK_FALSE(w.end_if_overdue(8h));
    CHECK_FALSE(w.end_if_overdue(8h + 100ms - 1ns));
    CHECK(w.end_if_overdue(8h + 100ms));
}

} // namespace
