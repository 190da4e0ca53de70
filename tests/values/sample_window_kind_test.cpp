// sample_window_kind_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What a window tells of the kinds of its calls, and how long it waits for the slowest of them.

#include "flowguard/detail/control/sample_window.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>

#include "flowguard/detail/control/kind_rtts.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"
#include "support/sample_windows.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::kind_rtts;
using flowguard::detail::sample_window;
using flowguard::kind_summary;
using flowguard::max_kinds;
using flowguard::rtt_summary;
using std::chrono::nanoseconds;
using support::fill;
using support::leave;
using support::open;
using support::summary_of;

void succeed_and_leave(sample_window& w, nanoseconds rtt, bool low, std::size_t kind) {
    w.succeed(rtt, low);
    if (kind != 0)
        w.succeed_of_kind(rtt, low, kind);
    leave(w);
}

void check(const kind_summary& k, std::size_t samples, nanoseconds mean) {
    CHECK(k.samples == samples);
    CHECK(k.mean == mean);
}

TEST_CASE("A window has the successes of each kind, and of those at low concurrency") {
    sample_window w;
    fill(w, 7, 1ms);
    succeed_and_leave(w, 100us, false, 0);
    succeed_and_leave(w, 200us, true, 0);
    succeed_and_leave(w, 1ms, false, 1);
    succeed_and_leave(w, 2ms, true, 1);
    succeed_and_leave(w, 3ms, true, 1);
    succeed_and_leave(w, 70ms, false, max_kinds - 1);
    w.drop(1s);
    leave(w);
    const flowguard::window s = summary_of(w, 1s);
    check(s.all.kinds[0], 2, 150us);
    check(s.all.kinds[1], 3, 2ms);
    check(s.all.kinds[2], 0, 0ns);
    check(s.all.kinds[max_kinds - 1], 1, 70ms);
    check(s.low.kinds[0], 1, 200us);
    check(s.low.kinds[1], 2, 2500us);
    check(s.low.kinds[max_kinds - 1], 0, 0ns);
    CHECK(s.all.samples == 6);
}

TEST_CASE("Without kinds, all successes are of kind 0, also after a window with kinds") {
    sample_window w;
    fill(w, 1, 1ms);
    succeed_and_leave(w, 5ms, false, 3);
    check(summary_of(w, 1s).all.kinds[3], 1, 5ms);
    fill(w, 2, 1ms);
    succeed_and_leave(w, 1ms, false, 0);
    succeed_and_leave(w, 3ms, true, 0);
    const flowguard::window s = summary_of(w, 1s);
    check(s.all.kinds[0], 2, 2ms);
    check(s.low.kinds[0], 1, 3ms);
    check(s.all.kinds[3], 0, 0ns);
}

// ---- Stragglers ----

// Whether the window is closed early, `after` its last admission, when 9 of 10 calls took 1 ms.
bool closes_early(nanoseconds slowest_kind, nanoseconds after) {
    sample_window w;
    w.open({.size = 10, .limit = 10, .slowest_kind = slowest_kind}, {});
    for (int i = 0; i < 10; ++i)
        support::enter(w, {});
    for (int i = 0; i < 9; ++i)
        support::succeed_and_leave(w, 1ms);
    return w.close_if_straggling(after) != 0;
}

TEST_CASE("A window waits for calls of the slowest kind") {
    CHECK(closes_early(0ns, 111ms)); // as without kinds
    CHECK_FALSE(closes_early(100ms, 11s));
    CHECK(closes_early(100ms, 12s));
    CHECK_FALSE(closes_early(1s, 100s));
    CHECK(closes_early(2s, 111ms)); // too much longer than the others to wait for
}

TEST_CASE("The slowest kind is known once there are two") {
    kind_rtts kinds;
    rtt_summary s{.samples = 10, .mean = 5ms, .histogram = {}};
    s.kinds[0] = {10, 5ms};
    kinds.see(s);
    CHECK_FALSE(kinds.are_used());
    CHECK(kinds.slowest() == 0ns);

    s.kinds[0] = {4, 5ms};
    s.kinds[7] = {6, 40ms};
    kinds.see(s);
    CHECK(kinds.are_used());
    CHECK(kinds.slowest() == 40ms);
}

TEST_CASE("A window tells one kind as it tells none, whichever it is") {
    kind_rtts kinds;
    rtt_summary s{.samples = 10, .mean = 5ms, .histogram = {}};
    s.kinds[3] = {10, 5ms};
    kinds.see(s);
    CHECK(kinds.slowest() == 0ns);
}

TEST_CASE("A success for which no window waited tells of its kind") {
    kind_rtts kinds;
    rtt_summary s{.samples = 10, .mean = 5ms, .histogram = {}};
    s.kinds[0] = {10, 5ms};
    kinds.see_straggler(2, 80ms);
    kinds.see(s);
    CHECK(kinds.slowest() == 80ms - 8ms);
    kinds.see_straggler(2, 60ms); // less than is known
    CHECK(kinds.slowest() == 72ms);
    kinds.see_straggler(0, 90ms);
    CHECK(kinds.slowest() == 90ms);
}

TEST_CASE("A kind that does not come any more is forgotten gradually") {
    kind_rtts kinds;
    rtt_summary s{.samples = 10, .mean = 5ms, .histogram = {}};
    s.kinds[0] = {5, 5ms};
    s.kinds[1] = {5, 500ms};
    kinds.see(s);
    s.kinds[0] = {10, 5ms};
    s.kinds[1] = {};
    for (int i = 0; i < 50; ++i)
        kinds.see(s);
    CHECK(kinds.slowest() == 5ms);
}

} // namespace
