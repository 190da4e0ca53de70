// sample_window_discard_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Windows that are discarded at an instant.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using support::enter;
using support::nanoseconds;
using support::succeed_and_leave;
using support::summary_of;

using entry = sample_window::entry;
using leaving = sample_window::leaving;

// Opens a window that may be discarded from 2 s on. Returns its stragglers from before.
std::size_t open(sample_window& w, std::size_t size) {
    return w.open({.size = size, .limit = 10, .discard_at = 2s}, 1s);
}

TEST_CASE("A window without an instant is not discarded") {
    sample_window w;
    support::open(w, 3, 10, 0, 1s);
    CHECK_FALSE(w.discard_if_due(24h, 0));
    CHECK_FALSE(w.discard_if_due(nanoseconds::max(), 0));
    CHECK(enter(w, 24h) == entry::member);
}

TEST_CASE("A window is discarded once, from its instant on, whatever its members do") {
    struct row {
        int members, left; // before the instant, of six slots
        bool discarded;
    };
    for (const row& r : {
             row{0, 0, true}, row{1, 0, true}, row{3, 1, true}, row{3, 3, true},  // slots are free, so it is open
             row{6, 0, true},  // full
             row{6, 5, true}, row{6, 6, false}, // closed
         }) {
        CAPTURE(r.members, r.left);
        sample_window w;
        CHECK(open(w, 6) == 0);
        for (int i = 0; i < r.members; ++i)
            REQUIRE(enter(w, 1s) != entry::none);
        for (int i = 0; i < r.left; ++i)
            CHECK(succeed_and_leave(w, 1ms) == (i == 5));
        const std::uint32_t generation = support::generation;
        CHECK_FALSE(w.discard_if_due(2s - 1ns, 0));
        CHECK(w.discard_if_due(2s, 0) == r.discarded);
        CHECK_FALSE(w.discard_if_due(2s, 0));
        CHECK(enter(w, 2s) == entry::none);
        CHECK(w.close_if_straggling(24h) == 0);
        CHECK_FALSE(w.needs_a_look());
        for (int i = r.left; i < r.members; ++i) {
            CHECK_FALSE(w.is_left());
            CHECK_FALSE(w.is_open(generation));
            CHECK(w.is_discarded(generation));
            CHECK(w.leave(generation) == leaving::one_of_many);
        }
        CHECK(w.is_left());

        CHECK(open(w, 2) == 0); // the next opening works as usual
        if (r.members > 0) {
            CHECK_FALSE(w.is_open(generation));
            CHECK_FALSE(w.is_discarded(generation));
        }
        CHECK_FALSE(w.discard_if_due(2s - 1ns, 0));
        CHECK(enter(w, 1s) == entry::member);
        CHECK(enter(w, 1s) == entry::last);
        CHECK_FALSE(succeed_and_leave(w, 1ms));
        CHECK(succeed_and_leave(w, 1ms));
        CHECK(summary_of(w, 2s).admitted == 2);
        CHECK(summary_of(w, 2s).all.samples == 2);
    }
}

TEST_CASE("A window is not discarded between the entry of its last member and fill()") {
    sample_window w;
    open(w, 1);
    bool low = false;
    std::uint32_t generation = 0;
    REQUIRE(w.enter(1s, 1, low, generation) == entry::last);
    CHECK_FALSE(w.discard_if_due(3s, 0));
    w.fill(1s);
    SECTION("afterwards it is") {
        CHECK(w.discard_if_due(3s, 0));
        CHECK(w.leave(generation) == leaving::one_of_many);
    }
    SECTION("if it is not closed") {
        CHECK(w.leave(generation) == leaving::last);
        CHECK_FALSE(w.discard_if_due(3s, 0));
    }
}

TEST_CASE("A window that was closed without its stragglers is not discarded") {
    sample_window w;
    open(w, 2);
    REQUIRE(enter(w, 1s) == entry::member);
    REQUIRE(enter(w, 1s) == entry::last);
    CHECK_FALSE(succeed_and_leave(w, 1ms));
    REQUIRE(w.close_if_straggling(20s) == 1);
    CHECK_FALSE(w.discard_if_due(20s, 0));
    CHECK(w.leave(support::generation) == leaving::straggler);
}

TEST_CASE("If a discarded window is opened again before its members have left, they are stragglers") {
    sample_window w;
    open(w, 10);
    for (int i = 0; i < 3; ++i)
        REQUIRE(enter(w, 1s) == entry::member);
    const std::uint32_t generation = support::generation;
    REQUIRE(w.discard_if_due(2s, 0));
    CHECK(w.leave(generation) == leaving::one_of_many);
    CHECK(open(w, 1) == 2);
    CHECK(w.leave(generation) == leaving::straggler);
    REQUIRE(enter(w, 1s) == entry::last);
    CHECK(w.leave(generation) == leaving::straggler);
    CHECK(succeed_and_leave(w, 1ms));
    CHECK(summary_of(w, 2s).all.samples == 1);
    CHECK(open(w, 1) == 0);
}

TEST_CASE("Stragglers of a window that was closed without them do not count when it is opened again") {
    sample_window w;
    open(w, 2);
    REQUIRE(enter(w, 1s) == entry::member);
    REQUIRE(enter(w, 1s) == entry::last);
    CHECK_FALSE(succeed_and_leave(w, 1ms));
    REQUIRE(w.close_if_straggling(20s) == 1); // the caller counts it
    CHECK(open(w, 1) == 0);
}

TEST_CASE("A window of an older epoch is discarded at any time, even if it is a probe") {
    struct row {
        int members; // of three slots
        bool filled;
        bool discarded;
    };
    for (const row& r : {row{0, false, true}, row{2, false, true}, row{3, false, false}, row{3, true, true}}) {
        CAPTURE(r.members, r.filled);
        sample_window w;
        CHECK(w.open({.size = 3, .limit = 2, .limit_after = 9, .within = 5s, .epoch = 7}, 1s) == 0);
        CHECK(w.epoch() == 7);
        bool low = false;
        std::uint32_t generation = 0;
        for (int i = 0; i < r.members; ++i)
            REQUIRE(w.enter(1s, 1, low, generation) != entry::none);
        if (r.filled)
            w.fill(1s);
        CHECK_FALSE(w.discard_if_due(2s, 6)); // this thread does not know of the epoch yet
        CHECK_FALSE(w.discard_if_due(2s, 7));
        CHECK(w.discard_if_due(2s, 8) == r.discarded);
        CHECK_FALSE(w.discard_if_due(2s, 8));
        CHECK((enter(w, 2s) == entry::none) == (r.discarded || r.members == 3));
    }
}

TEST_CASE("A window tells the spacing under which it was opened") {
    sample_window w;
    CHECK(w.open({.size = 1, .limit = 1, .limit_after = 1, .spacing = 3s, .spacing_after = 2s}, 1s) == 0);
    CHECK(w.spacing_after() == 2s);
    REQUIRE(enter(w, 1s) == entry::last);
    CHECK(succeed_and_leave(w, 1ms));
    CHECK(summary_of(w, 2s).spacing == 3s);
}

} // namespace
