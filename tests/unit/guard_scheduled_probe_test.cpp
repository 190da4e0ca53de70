// guard_scheduled_probe_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Probes that begin at an instant.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <utility>

#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_guard.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::flow_guard;
using flowguard::plan;
using support::manual_clock;
using support::scripted_strategy;

using scene = support::scripted_guard;
using ticket = scene::ticket;

// A plan for a limit of 10 and a window of 20, with a probe to 3 for 6 admissions.
plan scheduled(duration begins_in, duration within = 1s) {
    plan p(10, 20);
    p.scheduled = {.begins_in = begins_in, .limit = 3, .admissions = 6, .within = within};
    return p;
}

} // namespace

TEST_CASE("A scheduled probe begins with the first admission from its instant on") {
    scene s({scheduled(1s), plan(10, 20)});
    s.call(5);
    manual_clock::at += 1s - 1ns;
    s.call(5);
    CHECK(s.guard->current_limit() == 10);
    manual_clock::at += 1ns;
    CHECK(s.guard->current_limit() == 10);
    ticket first = s.guard->try_acquire();
    CHECK(s.guard->current_limit() == 3);
    CHECK(s.strategy.windows().size() == 1); // the strategy was not asked
    first.success();
    s.call(4);
    CHECK(s.guard->current_limit() == 3);
    manual_clock::at += 10ms;
    s.call(1);
    CHECK(s.guard->current_limit() == 10);
    REQUIRE(s.strategy.windows().size() == 2);
    const flowguard::window& w = s.strategy.windows()[1];
    CHECK(w.limit == 3);
    CHECK(w.admitted == 6);
    CHECK(w.all.samples == 6);
    CHECK(w.length == 10ms);
    CHECK(w.max_in_flight == 1);
    CHECK(w.closed_at == manual_clock::at);
    CHECK(s.strategy.windows()[0].closed_at == 9h);
}

TEST_CASE("A window that is closed before the instant goes to the strategy, which plans again") {
    scene s({scheduled(1s), scheduled(1s), plan(10, 20)});
    manual_clock::at += 500ms;
    s.call(20);
    CHECK(s.strategy.windows().size() == 2);
    manual_clock::at += 999ms; // the first plan's instant has passed
    s.call(1);
    CHECK(s.guard->current_limit() == 10);
    manual_clock::at += 1ms;
    s.call(1);
    CHECK(s.guard->current_limit() == 3);
}

TEST_CASE("The call that begins a scheduled probe is a member only if no more is in flight than in the probe") {
    scene s({scheduled(1s), plan(10, 20)});
    const auto [calls, admitted] = GENERATE(table<std::size_t, std::size_t>({{1, 1}, {2, 1}, {3, 0}, {9, 0}}));
    CAPTURE(calls);
    s.hold(calls);
    manual_clock::at += 1s;
    ticket first = s.guard->try_acquire();
    REQUIRE(s.guard->current_limit() == 3);
    s.held.clear();
    first.success();
    manual_clock::at += 1h;
    s.call(1); // ends the probe
    REQUIRE(s.strategy.windows().size() == 2);
    CHECK(s.strategy.windows()[1].admitted == admitted);
    CHECK(s.strategy.windows()[1].max_in_flight == admitted * (calls + 1));
}

TEST_CASE("The calls of a discarded window end as usual, and are no samples") {
    scene s({scheduled(1s), plan(10, 20)});
    s.hold(9);
    manual_clock::at += 1s;
    ticket first = s.guard->try_acquire();
    CHECK_FALSE(s.guard->try_acquire());
    for (std::size_t i = 0; i < 9; ++i)
        if (i % 2 == 0)
            s.held[i].success();
        else
            s.held[i].drop();
    first.success();
    CHECK(s.guard->in_flight() == 0);
    s.call(6);
    REQUIRE(s.strategy.windows().size() == 2);
    CHECK(s.strategy.windows()[1].all.samples == 6);
    CHECK(s.strategy.windows()[1].dropped == 0);
    CHECK(s.strategy.windows()[1].unfinished == 0);
    CHECK(s.guard->stats().succeeded == 15 + 5 + 1 + 6);
    CHECK(s.guard->stats().dropped == 4);
}

TEST_CASE("A call of a discarded window does not tell how long its kind takes") {
    plan p = scheduled(100ms);
    p.scheduled.admissions = 1;
    scene s({p, plan(10, 4), plan(10, 4), plan(10, 4)});
    ticket slow = s.guard->try_acquire({.kind = 1});
    manual_clock::at += 100ms;
    s.call(1); // begins the probe, and closes its window
    REQUIRE(s.asked() == 2);
    manual_clock::at += 400ms;
    slow.success();
    const auto is_closed_early = [&] { // a window of a quick kind, with a straggler
        const std::size_t before = s.asked();
        for (int i = 0; i < 3; ++i) {
            ticket quick = s.guard->try_acquire();
            manual_clock::at += 1ms;
            quick.success();
        }
        s.hold(1);
        manual_clock::at += 1s;
        s.call(1);
        const bool closed = s.asked() > before;
        s.release();
        return closed;
    };
    CHECK(is_closed_early());
    CHECK(is_closed_early()); // else it would wait for several times 500 ms
}

TEST_CASE("A full window whose members are not done is discarded, too") {
    scene s({scheduled(1s), plan(10, 20)});
    s.call(15);
    s.hold(5);
    manual_clock::at += 500us;
    s.call(1); // not long enough to straggle
    CHECK(s.strategy.windows().size() == 1);
    manual_clock::at += 1s;
    s.call(1);
    CHECK(s.guard->current_limit() == 3);
    CHECK(s.strategy.windows().size() == 1);
}

TEST_CASE("A scheduled probe that calls in flight block ends in time") {
    scene s({scheduled(1s, 100ms), plan(10, 20)});
    s.hold(8);
    manual_clock::at += 1s;
    ticket first = s.guard->try_acquire();
    REQUIRE(s.guard->current_limit() == 3);
    asio::io_context context;
    bool admitted = false;
    s.guard->async_acquire(asio::bind_executor(context, [&](flowguard::error_code e, ticket) { admitted = !e; }));
    support::pass(context, 100ms - 1ns);
    CHECK_FALSE(admitted);
    SECTION("by the timer of a waiter") {
        support::pass(context, 1ns);
    }
    SECTION("by a call that ends") {
        manual_clock::at += 1ns;
        s.held.pop_back();
    }
    context.restart();
    context.poll();
    CHECK(admitted);
    CHECK(s.guard->current_limit() == 10);
    s.call(1);
    CHECK(s.strategy.windows().size() == 2);
    CHECK(s.strategy.windows()[1].admitted == 0);
}

TEST_CASE("If windows are discarded again and again while calls hang, these count as long-running at last") {
    std::deque<plan> plans;
    for (int i = 0; i < 12; ++i)
        plans.push_back(scheduled(1s, 100ms));
    scene s(std::move(plans));
    std::size_t most_probe = 0;
    for (int i = 0; i < 12; ++i) {
        s.held.push_back(s.guard->try_acquire());
        if (s.held.size() > 4)
            s.held.erase(s.held.begin()); // ends late, in a window that may have been opened again
        manual_clock::at += 1s;
        s.call(1); // begins the probe
        most_probe = std::max(most_probe, s.guard->current_limit());
        manual_clock::at += 100ms;
        s.call(1); // ends it
        REQUIRE(s.guard->current_limit() == 10);
    }
    CHECK(s.strategy.windows().size() == 13);
    s.held.clear();
    CHECK(s.guard->in_flight() == 0);
    manual_clock::at += 1s;
    s.call(1);
    CHECK(s.guard->current_limit() == 3);
}

TEST_CASE("A scheduled probe may be spaced, and so may the limit after it") {
    plan p(1, 20);
    p.spacing = 10ms;
    p.scheduled = {.begins_in = 1s, .limit = 1, .admissions = 3, .within = 1h, .spacing = 1s};
    scene s({p, plan(1, 20)});
    s.call(1);
    manual_clock::at += 1s;
    s.call(1);
    CHECK(s.guard->stats().spacing == 1s);
    CHECK_FALSE(s.guard->try_acquire());
    const manual_clock::duration began = manual_clock::at;
    while (s.guard->stats().spacing == 1s && manual_clock::at - began < 1h) {
        manual_clock::at += 1ms;
        ticket t = s.guard->try_acquire();
        if (s.guard->stats().spacing != 1s)
            CHECK(s.guard->stats().spacing == 10ms); // with the last admission of the probe
        t.success();
    }
    CHECK(manual_clock::at - began > 1s);
    CHECK(manual_clock::at - began < 3s + 2ms);
    REQUIRE(s.strategy.windows().size() == 2);
    CHECK(s.strategy.windows()[1].spacing == 1s);
    CHECK(s.strategy.windows()[1].admitted == 3);
}

TEST_CASE("A plan that is a probe has no other probe scheduled") {
    plan p(3, 20, 10, 1h);
    p.scheduled = {.begins_in = 1s, .limit = 1, .admissions = 3};
    scene s({p, plan(10, 20)});
    manual_clock::at += 2s;
    s.call(1);
    CHECK(s.guard->current_limit() == 3);
    CHECK(s.strategy.windows().size() == 1);
}

TEST_CASE("A probe may be scheduled by the first plan") {
    struct from_the_start {
        std::size_t current_limit() const noexcept { return 10; }
        plan first_plan() const noexcept { return scheduled(1s); }
        plan update(const flowguard::window& w) noexcept { return {w.limit == 3 ? 7U : 8U}; }
    };
    manual_clock::at = 9h;
    flow_guard<from_the_start, manual_clock> guard{from_the_start{}};
    CHECK(guard.current_limit() == 10);
    manual_clock::at += 1s;
    for (int i = 0; i < 6; ++i)
        guard.try_acquire().success();
    CHECK(guard.current_limit() == 7);
}

TEST_CASE("After the guard is destroyed, a ticket's end begins no probe") {
    scene s({scheduled(1s), plan(10, 20)});
    s.hold(3);
    manual_clock::at += 1s;
    s.guard.reset();
    s.held.clear();
    CHECK(s.strategy.windows().size() == 1);
}

// The clock of window::closed_at

namespace {

struct wall_clock_tag;
using wall_clock = support::manual_clock_of<std::chrono::milliseconds, wall_clock_tag, false>;

struct clock_with_shared_one : manual_clock {
    using time_point = std::chrono::time_point<clock_with_shared_one>;
    using shared_clock = wall_clock;

    static time_point now() noexcept { return time_point(at); }
};

template <class Clock>
duration closed_at() {
    const scripted_strategy strategy{1};
    flow_guard<scripted_strategy, Clock> guard{strategy, flowguard::guard_options{.min_window = 1}};
    guard.try_acquire().success();
    REQUIRE(strategy.windows().size() == 1);
    return strategy.windows()[0].closed_at;
}

} // namespace

TEST_CASE("A window tells when it was closed, by a clock that hosts share") {
    manual_clock::at = 9h;
    wall_clock::at = 55h;
    CHECK(closed_at<manual_clock>() == 9h);
    CHECK(closed_at<wall_clock>() == 55h);
    CHECK(closed_at<clock_with_shared_one>() == 55h);
    const duration before = std::chrono::system_clock::now().time_since_epoch();
    const duration steady = closed_at<std::chrono::steady_clock>();
    CHECK(steady >= before);
    const duration system = closed_at<std::chrono::system_clock>();
    CHECK(system >= steady);
    CHECK(system <= duration{std::chrono::system_clock::now().time_since_epoch()});
}
