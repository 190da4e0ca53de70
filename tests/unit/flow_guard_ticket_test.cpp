// flow_guard_ticket_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "flowguard/error.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using flowguard::outcome;
using support::at_nine;
using support::check_idle;
using support::held;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;
using support::start;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = scripted_guard::ticket;

} // namespace

// Tickets

TEST_CASE("try_acquire() returns a ticket if a permit is free, and an empty one otherwise") {
    scripted_guard guard{scripted_strategy{1}};
    ticket first = guard.try_acquire();
    CHECK(first);
    CHECK(guard.in_flight() == 1);
    CHECK(guard.available_permits() == 0);
    ticket second = guard.try_acquire();
    CHECK_FALSE(second);
    CHECK(guard.stats().shed == 1);
    first.success();
    CHECK_FALSE(first);
    check_idle(guard);
}

TEST_CASE("A ticket's verdict is counted") {
    scripted_guard guard{scripted_strategy{1}};
    guard.try_acquire().success();
    guard.try_acquire().ignore();
    guard.try_acquire().ignore();
    guard.try_acquire().drop();
    guard.try_acquire().drop();
    guard.try_acquire().drop();
    guard.try_acquire().finish(outcome::success);
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.stats().ignored == 2);
    CHECK(guard.stats().dropped == 3);
    check_idle(guard);
}

TEST_CASE("A ticket that is destroyed without a verdict counts as ignored") {
    scripted_guard guard{scripted_strategy{1}};
    {
        const ticket t = guard.try_acquire();
        CHECK(guard.in_flight() == 1);
    }
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().succeeded == 0);
    CHECK(guard.stats().dropped == 0);
    check_idle(guard);
}

TEST_CASE("The first verdict of a ticket counts, and later ones do not") {
    scripted_guard guard{scripted_strategy{2}};
    ticket t = guard.try_acquire();
    t.drop();
    t.success();
    t.ignore();
    t.finish(outcome::success);
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.stats().succeeded == 0);
    CHECK(guard.stats().ignored == 0);
    check_idle(guard);
}

TEST_CASE("A verdict on an empty ticket has no effect") {
    ticket t;
    CHECK_FALSE(t);
    t.success();
    t.ignore();
    t.drop();
    CHECK_FALSE(t);
}

TEST_CASE("Moving a ticket moves its permit and its time of admission") {
    at_nine set_clock;
    scripted_strategy strategy{1};
    scripted_guard guard{strategy, {.min_window = 1}};
    ticket first = guard.try_acquire();
    manual_clock::at += 3ms;
    ticket second = std::move(first);
    CHECK_FALSE(first); // NOLINT(bugprone-use-after-move)
    CHECK(second);
    ticket third;
    third = std::move(second);
    CHECK_FALSE(second); // NOLINT(bugprone-use-after-move)
    CHECK(guard.in_flight() == 1);
    manual_clock::at += 4ms;
    third.success();
    check_idle(guard);
    CHECK(guard.stats().succeeded == 1);
    REQUIRE(strategy.windows().size() == 1);
    CHECK(strategy.windows().front().all.mean == 7ms);
}

TEST_CASE("A ticket that is assigned to releases what it held, as ignored") {
    scripted_guard guard{scripted_strategy{2}};
    ticket a = guard.try_acquire();
    ticket b = guard.try_acquire();
    CHECK(guard.in_flight() == 2);
    a = std::move(b);
    CHECK(guard.in_flight() == 1);
    CHECK(guard.stats().ignored == 1);
    a.success();
    CHECK(guard.stats().succeeded == 1);
    check_idle(guard);
}

TEST_CASE("A ticket moved to itself keeps what it holds") {
    scripted_guard guard{scripted_strategy{1}};
    ticket t = guard.try_acquire();
    ticket& same = t;
    t = std::move(same);
    CHECK(t);
    CHECK(guard.in_flight() == 1);
    CHECK(guard.stats().ignored == 0);
    t.success();
    CHECK(guard.stats().succeeded == 1);
    check_idle(guard);
}

TEST_CASE("A handler can wait for a ticket, and never runs inside the call") {
    asio::io_context context;
    scripted_guard guard{context.get_executor(), scripted_strategy{1}};
    ticket held_one;
    ticket held_two;
    int calls = 0;
    guard.async_acquire([&](flowguard::error_code e, ticket t) {
        ++calls;
        CHECK_FALSE(e);
        held_one = std::move(t);
    });
    CHECK(calls == 0);
    poll(context);
    CHECK(calls == 1);
    CHECK(held_one);

    guard.async_acquire([&](flowguard::error_code e, ticket t) {
        ++calls;
        CHECK_FALSE(e);
        held_two = std::move(t);
    });
    poll(context);
    CHECK(calls == 1);
    CHECK(guard.waiting() == 1);
    held_one.success();
    CHECK(calls == 1);
    CHECK(guard.waiting() == 0);
    CHECK(guard.in_flight() == 1);
    poll(context);
    CHECK(calls == 2);
    CHECK(held_two);
    held_two.drop();
    check_idle(guard);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A coroutine can wait for a ticket") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto first = guard.try_acquire();
    auto caller = [&]() -> asio::awaitable<void> {
        auto t = co_await guard.async_acquire(asio::use_awaitable);
        CHECK(t);
        CHECK(guard.in_flight() == 1);
        t.drop();
    };
    const auto end = start(context, caller());
    poll(context);
    CHECK_FALSE(end->done);
    first.success();
    poll(context);
    CHECK(end->succeeded());
    CHECK(guard.stats().dropped == 1);
    check_idle(guard);
}

TEST_CASE("A handler needs an executor of its own, or one of the guard's") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    using ticket_type = decltype(guard)::ticket;
    int calls = 0;
    const auto count = [&](flowguard::error_code, const ticket_type&) { ++calls; };
    const std::string expected = "flowguard: a handler without an associated executor, or with one that takes no "
                                 "posts, needs a guard that was made with an executor";
    CHECK_THROWS_MATCHES(guard.async_acquire(count), std::invalid_argument, Catch::Message(expected));
    CHECK_THROWS_MATCHES(guard.async_acquire({.long_lived = true}, count), std::invalid_argument,
                         Catch::Message(expected));
    check_idle(guard);
    guard.async_acquire(asio::bind_executor(context, count));
    guard.async_acquire({.long_lived = true}, asio::bind_executor(context, count));
    CHECK(calls == 0);
    poll(context);
    CHECK(calls == 2);
    check_idle(guard);
    CHECK(guard.async_acquire(asio::use_future).get()); // a future brings an executor
}

TEST_CASE("A ticket that its handler does not take counts as ignored, and its permit comes back") {
    asio::io_context context;
    flow_guard guard{context.get_executor(), fixed_limit{1}};
    guard.async_acquire([](flowguard::error_code, auto) {});
    poll(context);
    check_idle(guard);
    CHECK(guard.stats().ignored == 1);
}

TEST_CASE("Tickets of guards with different strategies and clocks are of one type") {
    flow_guard<flowguard::fixed_limit> a{flowguard::fixed_limit{1}};
    scripted_guard b{scripted_strategy{1}};
    flowguard::ticket held = a.try_acquire();
    CHECK(a.in_flight() == 1);
    held = b.try_acquire(); // the first one ends as ignored
    CHECK(a.stats().ignored == 1);
    CHECK(a.in_flight() == 0);
    CHECK(b.in_flight() == 1);
    held.success();
    CHECK(b.stats().succeeded == 1);
    CHECK(b.in_flight() == 0);
}
