// guard_spacing_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Limits below one: a limit of one, with a time between admissions.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::plan;
using std::chrono::nanoseconds;
using support::manual_clock;
using support::scripted_strategy;

using guard_type = flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;

plan spaced(duration spacing, std::size_t admissions) {
    plan p(1, admissions);
    p.spacing = spacing;
    return p;
}

// A guard whose first window is closed, so that its first plan is in force. The first window has one member.
struct scene {
    explicit scene(std::deque<plan> plans,
                   const guard_options& options = {.min_window = 1, .order = flowguard::wait_order::fifo})
        : strategy(1, std::move(plans)) {
        manual_clock::at = 9h;
        guard.emplace(strategy, options);
        guard->try_acquire().success();
        REQUIRE(strategy.windows().size() == 1);
    }

    // Admits a call that is done at once. Returns whether it was admitted.
    bool call() {
        ticket t = guard->try_acquire();
        const bool admitted = static_cast<bool>(t);
        t.success();
        return admitted;
    }

    // The time until a call is admitted, within a ms. Does not wait longer than `most`.
    duration time_to_call(duration most = 1h) {
        const manual_clock::duration from = manual_clock::at;
        while (!call() && manual_clock::at - from < most)
            manual_clock::at += 1ms;
        return manual_clock::at - from;
    }

    void wait(asio::io_context& context) {
        guard->async_acquire(asio::bind_executor(
            context, [this](flowguard::error_code, ticket granted) { served.push_back(std::move(granted)); }));
    }

    scripted_strategy strategy;
    std::optional<guard_type> guard;
    std::vector<ticket> served;
};

void poll(asio::io_context& context) {
    context.restart();
    context.poll();
}

} // namespace

TEST_CASE("After an admission, the next one has its turn half a spacing to one and a half later") {
    scene s({spaced(100ms, 1000)});
    REQUIRE(s.call());
    CHECK_FALSE(s.call());
    CHECK(s.guard->current_limit() == 1);
    CHECK(s.guard->available_permits() == 0);
    CHECK(s.guard->stats().limit == 1);
    CHECK(s.guard->stats().spacing == 100ms);
    duration least = 1h;
    duration most{};
    duration sum{};
    for (int i = 0; i < 300; ++i) {
        const duration waited = s.time_to_call();
        least = std::min(least, waited);
        most = std::max(most, waited);
        sum += waited;
    }
    CHECK(least >= 48ms); // each admission is up to 1 ms late
    CHECK(least <= 53ms);
    CHECK(most >= 147ms);
    CHECK(most <= 151ms);
    CHECK(sum / 300 >= 96ms);
    CHECK(sum / 300 <= 104ms);
}

TEST_CASE("The turns of guards with different histories differ, and those of one history are the same") {
    const auto turns_of = [](duration first) {
        scene s({spaced(100ms, 1000)});
        manual_clock::at += first;
        REQUIRE(s.call());
        std::vector<duration> turns;
        for (int i = 0; i < 5; ++i)
            turns.push_back(s.time_to_call());
        return turns;
    };
    CHECK(turns_of(0ns) == turns_of(0ns));
    CHECK(turns_of(0ns) != turns_of(1ns));
    CHECK(turns_of(1ns) != turns_of(1ms));
}

TEST_CASE("A caller that comes late is soon followed by another, but not by many") {
    scene s({spaced(100ms, 1000)});
    duration late{};
    duration idle{};
    for (int i = 0; i < 200; ++i) {
        REQUIRE(s.call());
        s.time_to_call();
        late += s.time_to_call();
        manual_clock::at += 10s;
        REQUIRE(s.call());
        idle += s.time_to_call();
        manual_clock::at += 10s;
    }
    CHECK(late / 200 > 75ms);
    CHECK(idle / 200 < 25ms); // on average, the turn was just when the caller came
    CHECK(s.call());
    s.time_to_call();
    CHECK(s.time_to_call() > 45ms);
}

TEST_CASE("At a mean load below its turns, a spaced guard admits almost all that come at even times") {
    scene s({spaced(100ms, 100000)});
    s.call();
    int admitted = 0;
    for (int i = 0; i < 1000; ++i) {
        manual_clock::at += 200ms;
        admitted += s.call() ? 1 : 0;
    }
    CHECK(admitted == 1000);
}

TEST_CASE("A waiting caller is admitted at its turn although no other call comes") {
    scene s({spaced(100ms, 1000)});
    asio::io_context context;
    s.call();
    for (int i = 0; i < 20; ++i)
        s.wait(context);
    poll(context);
    CHECK(s.served.empty());
    nanoseconds waited{};
    for (std::size_t n = 1; n <= 20; ++n) {
        while (s.served.size() < n && waited < 1h) {
            support::pass(context, 1ms);
            poll(context);
            waited += 1ms;
        }
        REQUIRE(s.served.size() == n);
        REQUIRE(s.served.back());
        s.served.back().success();
    }
    CHECK(waited > 1s);
    CHECK(waited < 3s);
}

TEST_CASE("A turn that comes while a call is in flight frees its permit for the next caller at its end") {
    scene s({spaced(100ms, 1000)});
    asio::io_context context;
    ticket running = s.guard->try_acquire();
    REQUIRE(running);
    s.wait(context);
    support::pass(context, 1h);
    poll(context);
    CHECK(s.served.empty());
    running.success();
    poll(context);
    REQUIRE(s.served.size() == 1);
    CHECK(s.served[0]);
}

TEST_CASE("The wait for a turn does not outlast what ends any wait") {
    scene s({spaced(1h, 1000)});
    auto context = std::make_unique<asio::io_context>();
    s.call();
    SECTION("the destruction of the guard") {
        s.wait(*context);
        poll(*context);
        s.guard.reset();
        context->restart();
        context->run();
        REQUIRE(s.served.size() == 1);
        CHECK_FALSE(s.served[0]);
    }
    SECTION("close()") {
        s.wait(*context);
        poll(*context);
        s.guard->close();
        poll(*context);
        REQUIRE(s.served.size() == 1);
        CHECK_FALSE(s.served[0]);
    }
    SECTION("a cancellation; the next caller has the turn") {
        asio::cancellation_signal signal;
        s.guard->async_acquire(asio::bind_cancellation_slot(
            signal.slot(), asio::bind_executor(*context, [&](flowguard::error_code, ticket granted) {
                s.served.push_back(std::move(granted));
            })));
        poll(*context);
        signal.emit(asio::cancellation_type::all);
        poll(*context);
        REQUIRE(s.served.size() == 1);
        CHECK_FALSE(s.served[0]);
        s.wait(*context);
        support::pass(*context, 90min);
        poll(*context);
        REQUIRE(s.served.size() == 2);
        CHECK(s.served[1]);
    }
    SECTION("the destruction of the context; a waiter on another one has the turn") {
        asio::io_context other;
        s.wait(*context);
        s.wait(other);
        poll(*context);
        context.reset();
        support::pass(other, 90min);
        poll(other);
        REQUIRE(s.served.size() == 1);
        CHECK(s.served[0]);
    }
    SECTION("a deadline") {
        s.guard->async_acquire({.deadline = manual_clock::time_point(manual_clock::at + 10ms)},
                               asio::bind_executor(*context, [&](flowguard::error_code, ticket granted) {
                                   s.served.push_back(std::move(granted));
                               }));
        support::pass(*context, 10ms);
        poll(*context);
        REQUIRE(s.served.size() == 1);
        CHECK_FALSE(s.served[0]);
    }
    s.served.clear();
}

TEST_CASE("A new plan ends the wait for a turn, unless it is spaced, too") {
    // The second window has one member; it ends while the turn is pending.
    SECTION("a limit of one without a spacing") {
        scene s({spaced(1h, 1), plan(1, 10)});
        REQUIRE(s.call());
        CHECK(s.guard->stats().spacing == 0ns);
        CHECK(s.call());
        CHECK(s.call());
    }
    SECTION("a higher limit, and waiters") {
        scene s({spaced(1h, 1), plan(3, 10)});
        asio::io_context context;
        ticket running = s.guard->try_acquire();
        for (int i = 0; i < 4; ++i)
            s.wait(context);
        running.success();
        poll(context);
        CHECK(s.served.size() == 3);
        s.served.clear();
    }
    SECTION("another spacing: the turn stays") {
        scene s({spaced(100ms, 1), spaced(200ms, 10)});
        REQUIRE(s.call());
        CHECK(s.guard->stats().spacing == 200ms);
        CHECK_FALSE(s.call());
        CHECK(s.time_to_call() < 151ms);
    }
    SECTION("a much shorter spacing: the turn counts from the next look") {
        scene s({spaced(1h, 1), spaced(1ms, 10)});
        REQUIRE(s.call());
        CHECK(s.time_to_call() < 5ms);
    }
    SECTION("without a spacing, and then with one again") {
        scene s({spaced(1h, 1), plan(1, 1), spaced(100ms, 1), plan(1, 100)});
        REQUIRE(s.call());
        REQUIRE(s.call());
        REQUIRE(s.guard->stats().spacing == 100ms);
        REQUIRE(s.call()); // the spacing begins with this admission
        CHECK(s.guard->stats().spacing == 0ns);
        CHECK(s.call());
    }
}

TEST_CASE("A spacing has an effect only for a limit of one") {
    plan p(2, 100);
    p.spacing = 1h;
    scene s({p});
    for (int i = 0; i < 10; ++i)
        CHECK(s.call());
    CHECK(s.guard->stats().spacing == 0ns);
}

TEST_CASE("If the clock is set back, a turn counts from then") {
    scene s({spaced(100ms, 1000)});
    s.call();
    manual_clock::at -= 8h;
    CHECK_FALSE(s.call());
    CHECK(s.time_to_call() <= 101ms);
    CHECK(s.time_to_call() <= 151ms);
}

TEST_CASE("The spacing of a probe, and the one after it, belong to their limits") {
    plan p(1, 2, 1, duration::max());
    p.spacing = 1s;
    p.then_spacing = 100ms;
    scene s({p, plan(1, 100)});
    CHECK(s.guard->stats().spacing == 1s);
    REQUIRE(s.call());
    CHECK(s.time_to_call() >= 500ms);
    // The window of the probe is closed, too.
    REQUIRE(s.strategy.windows().size() == 2);
    CHECK(s.strategy.windows()[1].spacing == 1s);
    CHECK(s.strategy.windows()[1].limit == 1);
    CHECK(s.strategy.windows()[0].spacing == 0ns);
    CHECK(s.guard->stats().spacing == 0ns);
    CHECK(s.guard->trace().front().spacing == 100ms);
}

TEST_CASE("After a spaced probe, the limit is raised with its last admission, though a turn is pending") {
    plan p(1, 2, 5, duration::max());
    p.spacing = 100ms;
    scene s({p, plan(5, 100)});
    REQUIRE(s.call());
    ticket last;
    while (!last) {
        manual_clock::at += 1ms;
        last = s.guard->try_acquire();
    }
    CHECK(s.guard->current_limit() == 5);
    CHECK(s.guard->available_permits() == 4);
    CHECK(s.strategy.windows().size() == 1);
    CHECK(s.call());
}

TEST_CASE("A spaced probe that its bound ends does not leave the guard barred") {
    plan p(1, 10, 1, 300ms);
    p.spacing = 1h;
    p.then_spacing = 10ms;
    scene s({p, plan(1, 100)});
    REQUIRE(s.call());
    asio::io_context context;
    s.wait(context);
    poll(context);
    CHECK(s.served.empty());
    for (int i = 0; i < 40 && s.served.empty(); ++i) {
        support::pass(context, 10ms);
        poll(context);
    }
    REQUIRE(s.served.size() == 1);
    CHECK(s.served[0]);
}

TEST_CASE("A turn before the bound of its probe admits a waiter, and the probe goes on") {
    plan p(1, 10, 5, 1h);
    p.spacing = 100ms;
    scene s({p, plan(5, 100)});
    REQUIRE(s.call());
    asio::io_context context;
    s.wait(context);
    support::pass(context, 49ms);
    poll(context);
    CHECK(s.served.empty());
    support::pass(context, 101ms); // the timer
    poll(context);
    REQUIRE(s.served.size() == 1);
    CHECK(s.served[0]);
    CHECK(s.guard->current_limit() == 1);
    CHECK(s.strategy.windows().size() == 1);
}

TEST_CASE("A call that hangs holds up only those who wait for its permit") {
    scene s({spaced(100ms, 3)});
    asio::io_context context;
    ticket hung = s.guard->try_acquire();
    for (int i = 0; i < 10; ++i) {
        manual_clock::at += 1s;
        CHECK_FALSE(s.call());
    }
    s.wait(context);
    hung.drop();
    poll(context);
    REQUIRE(s.served.size() == 1);
    CHECK(s.served[0]);
    s.served.clear();
    CHECK(s.time_to_call() <= 151ms);
}

TEST_CASE("A first plan may be spaced") {
    struct from_the_start {
        std::size_t current_limit() const noexcept { return 3; }
        plan first_plan() const noexcept { return spaced(100ms, 5); }
        plan update(const flowguard::window& w) noexcept { return {w.spacing == 100ms ? 7U : 8U}; }
    };
    manual_clock::at = 9h;
    flow_guard<from_the_start, manual_clock> guard{from_the_start{}};
    CHECK(guard.current_limit() == 1);
    CHECK(guard.stats().spacing == 100ms);
    for (int i = 0; i < 5; ++i) {
        guard.try_acquire().success();
        manual_clock::at += 250ms;
    }
    CHECK(guard.current_limit() == 7);
}
