// flow_guard_shutdown_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>

#include "flowguard/error.hpp"
#include "flowguard/rejection.hpp"
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
using flowguard::guard_options;
using flowguard::window;
using support::at_nine;
using support::check_idle;
using support::gate;
using support::give;
using support::held;
using support::manual_clock;
using support::message_of;
using support::never_ends;
using support::nothing;
using support::poll;
using support::scripted_strategy;
using support::start;
using support::use_up;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = scripted_guard::ticket;

} // namespace

// Closing

TEST_CASE("A closed guard ends its waiters and later callers with closed") {
    asio::io_context context;
    gate g{context};
    scripted_guard guard{context.get_executor(), scripted_strategy{1}};
    int made = 0;
    auto make = [&] {
        ++made;
        return give(1);
    };
    const auto holder = start(context, guard.run(held(g, 5)));
    const auto waits = start(context, guard.run(make));
    poll(context);
    REQUIRE(guard.waiting() == 1);
    guard.close();
    CHECK(guard.waiting() == 0);
    CHECK_FALSE(waits->done); // not from inside close()
    poll(context);
    CHECK(waits->code() == flowguard::error::closed);

    const auto late = start(context, guard.run(make));
    const auto attempt = start(context, guard.try_run(make));
    flowguard::error_code of_handler;
    guard.async_acquire([&](flowguard::error_code e, ticket t) {
        of_handler = e;
        CHECK_FALSE(t);
    });
    CHECK_FALSE(guard.try_acquire());
    guard.close();
    poll(context);
    CHECK(late->code() == flowguard::error::closed);
    CHECK(of_handler == flowguard::error::closed);
    REQUIRE(attempt->succeeded());
    CHECK_FALSE(attempt->value->has_value());
    CHECK(made == 0);
    CHECK(guard.stats().closed == 5);
    CHECK(guard.stats().shed == 0);

    g.let_one();
    poll(context);
    REQUIRE(holder->succeeded());
    CHECK(*holder->value == 5);
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A closed guard rejects callers although a permit is free") {
    asio::io_context context;
    flow_guard guard{fixed_limit{3}};
    guard.close();
    const auto late = start(context, guard.run(give(1)));
    poll(context);
    CHECK(late->code() == flowguard::error::closed);
    CHECK(guard.stats().succeeded == 0);
    CHECK(guard.in_flight() == 0);
}

// Cancellation

TEST_CASE("A caller that is cancelled while it waits ends with operation_aborted, and its task is not made") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}, guard_options::for_batch()};
    asio::cancellation_signal signal;
    int made = 0;
    const auto holder = start(context, guard.run(held(g)));
    const auto before = start(context, guard.run(held(g)));
    const auto cancelled = start(context, guard.run([&] {
        ++made;
        return give(1);
    }),
                                 &signal);
    const auto after = start(context, guard.run(held(g)));
    poll(context);
    REQUIRE(guard.waiting() == 3);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(guard.waiting() == 2);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    CHECK(made == 0);
    while (g.let_one())
        poll(context);
    CHECK(before->succeeded());
    CHECK(after->succeeded());
    CHECK(guard.stats().succeeded == 3);
    CHECK(guard.stats().ignored == 0); // it was never admitted
    check_idle(guard);
}

TEST_CASE("cancel_waiting() ends the waiting calls of one context, and no task, drain, or call of another context") {
    at_nine set_clock;
    asio::io_context context;
    asio::io_context staying;
    gate g{context};
    scripted_guard guard{scripted_strategy{1}, {.max_wait = 1s, .order = flowguard::wait_order::fifo}};
    int made = 0;
    auto make = [&] {
        ++made;
        return give(1);
    };
    const auto runs = start(context, guard.run(held(g, 5)));
    const auto waits = start(context, guard.run(make));
    poll(context);
    const auto waits_elsewhere = start(staying, guard.run(give(2)));
    poll(staying);
    const auto attempt = start(context, guard.try_run_for(500ms, make));
    flowguard::error_code of_handler;
    guard.async_acquire({.flow = 7},
                        asio::bind_executor(context, [&](flowguard::error_code e, ticket) { of_handler = e; }));
    poll(context);
    REQUIRE(guard.waiting() == 4);
    std::optional<flowguard::error_code> drained;
    guard.async_drain(asio::bind_executor(context, [&](flowguard::error_code e) { drained = e; }));

    guard.cancel_waiting(context);
    CHECK(guard.waiting() == 1);
    CHECK_FALSE(waits->done); // not from inside cancel_waiting()
    poll(context);
    CHECK(waits->code() == asio::error::operation_aborted);
    CHECK(attempt->code() == asio::error::operation_aborted);
    CHECK(of_handler == asio::error::operation_aborted);
    CHECK(made == 0);
    CHECK_FALSE(runs->done);
    CHECK_FALSE(drained);
    CHECK(guard.stats().cancelled == 3);

    manual_clock::at += 900ms;
    g.let_one();
    poll(context);
    poll(staying);
    CHECK(runs->succeeded());
    CHECK(waits_elsewhere->succeeded());
    manual_clock::at += 1h; // the ended waits do not time out as well
    poll(context);
    CHECK(guard.stats().timed_out == 0);
    CHECK(guard.stats().cancelled == 3);
    CHECK(drained == flowguard::error_code());
    guard.reopen();
    check_idle(guard);
}

TEST_CASE("A waiter supports all types of cancellation") {
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
        asio::io_context context;
        asio::cancellation_signal signal;
        scripted_guard guard{context.get_executor(), scripted_strategy{1}};
        ticket first = guard.try_acquire();
        flowguard::error_code error;
        guard.async_acquire(
            asio::bind_cancellation_slot(signal.slot(), [&](flowguard::error_code e, ticket) { error = e; }));
        signal.emit(asio::cancellation_type::none);
        poll(context);
        REQUIRE(guard.waiting() == 1);
        signal.emit(type);
        poll(context);
        CHECK(error == asio::error::operation_aborted);
        CHECK(guard.waiting() == 0);
        first.success();
        check_idle(guard);
    }
}

TEST_CASE("A caller that is cancelled after the grant, but before it runs, releases its permit") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    asio::cancellation_signal signal;
    auto first = guard.try_acquire();
    const auto cancelled = start(context, guard.run(held(g)), &signal);
    const auto next = start(context, guard.run(give(1)));
    poll(context);
    first.success();
    CHECK(guard.waiting() == 1);
    CHECK(guard.in_flight() == 1);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    CHECK(next->succeeded());
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().dropped == 0);
    check_idle(guard);
}

TEST_CASE("A cancelled task is ignored, and its permit goes to the next") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    asio::cancellation_signal signal;
    const auto cancelled = start(context, guard.run([&]() -> asio::awaitable<void> {
        asio::steady_timer timer{context, asio::steady_timer::time_point::max()};
        co_await timer.async_wait(asio::use_awaitable);
    }),
                                 &signal);
    const auto next = start(context, guard.run(give(1)));
    poll(context);
    CHECK(guard.waiting() == 1);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    CHECK(next->succeeded());
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().succeeded == 1);
    check_idle(guard);
}

// Lifetime

TEST_CASE("The waiters of a guard that is destroyed end with operation_aborted") {
    asio::io_context context;
    auto guard = std::make_unique<scripted_guard>(context.get_executor(), scripted_strategy{1});
    ticket first = guard->try_acquire();
    int made = 0;
    const auto waits = start(context, guard->run([&] {
        ++made;
        return give(1);
    }));
    flowguard::error_code of_handler;
    guard->async_acquire([&](flowguard::error_code e, ticket t) {
        of_handler = e;
        CHECK_FALSE(t);
    });
    poll(context);
    CHECK(guard->waiting() == 2);
    guard.reset();
    poll(context);
    CHECK(waits->code() == asio::error::operation_aborted);
    CHECK(of_handler == asio::error::operation_aborted);
    CHECK(made == 0);
    first.success();
    CHECK_FALSE(first);
}

TEST_CASE("The observer of rejections may use the guard, also while that is being destroyed") {
    const at_nine set_clock;
    asio::io_context context;
    scripted_guard* destroyed = nullptr;
    ticket runs; // longer than the guard exists
    std::size_t told = 0;
    std::size_t decisions = 0;
    {
        scripted_guard guard{context.get_executor(), scripted_strategy{1},
                             guard_options{.on_rejection = [&](flowguard::rejection) {
                                 ++told;
                                 destroyed->reset();
                                 decisions = destroyed->trace().size();
                             }}};
        destroyed = &guard;
        guard.pin_limit(2);
        guard.unpin_limit();
        const auto waits = start(context, guard.run(nothing()));
        runs = guard.try_acquire();
        poll(context);
        REQUIRE(guard.waiting() == 1);
    }
    CHECK(told == 1);
    CHECK(decisions == 3);
}

TEST_CASE("Tasks that outlive their guard end as usual, and are not counted") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_strategy strategy{3};
    auto guard = std::make_unique<scripted_guard>(strategy, guard_options{.min_window = 1});
    use_up(*guard, 1);
    const auto task = start(context, guard->run(held(g, 8)));
    const auto failing = start(context, guard->run([&]() -> asio::awaitable<void> {
        co_await g.pass();
        throw std::runtime_error("no luck");
    }));
    poll(context);
    ticket t = guard->try_acquire(); // the fourth of the window; three members are still running
    REQUIRE(strategy.windows().empty());
    guard.reset();
    g.let_all();
    poll(context);
    REQUIRE(task->succeeded());
    CHECK(*task->value == 8);
    CHECK(message_of(failing->exception) == "no luck");
    t.success();
    CHECK(strategy.windows().empty()); // although all four members are done now
}

TEST_CASE("A permit that was granted before the guard was destroyed can still be used") {
    asio::io_context context;
    auto guard = std::make_unique<scripted_guard>(context.get_executor(), scripted_strategy{1});
    ticket first = guard->try_acquire();
    const auto granted = start(context, guard->run(give(3)));
    poll(context);
    first.success();
    CHECK(guard->waiting() == 0);
    CHECK(guard->in_flight() == 1);
    guard.reset();
    poll(context);
    REQUIRE(granted->succeeded());
    CHECK(*granted->value == 3);
}

namespace {

// A context with everything in it that a guard can have there: a task in flight, waiters, and callers that were granted
// a permit, but have not run yet.
struct busy {
    explicit busy(scripted_guard& guard) {
        start(*context, guard.run(never_ends(watched))); // in flight until it is destroyed
        ticket granted = guard.try_acquire();
        ticket granted_to_handler = guard.try_acquire();
        start(*context, guard.run(never_ends(watched)));
        guard.async_acquire([seen = watched](flowguard::error_code, ticket) { ++*seen; });
        start(*context, guard.run(never_ends, watched));
        guard.async_acquire([seen = watched](flowguard::error_code, ticket) { ++*seen; });
        poll(*context);
        REQUIRE(guard.in_flight() == 3);
        REQUIRE(guard.waiting() == 4);
        granted.success();
        granted_to_handler.success();
        REQUIRE(guard.in_flight() == 3);
        REQUIRE(guard.waiting() == 2);
        REQUIRE(watched.use_count() > 5);
    }

    std::shared_ptr<int> watched = std::make_shared<int>(0);
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>();
};

} // namespace

TEST_CASE("A context that is destroyed before the guard releases all permits, and calls no handler") {
    at_nine set_clock;
    std::optional<scripted_guard> guard;
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>();
    guard.emplace(scripted_strategy{3});
    {
        auto watched = std::make_shared<int>(0);
        for (int i = 0; i < 2; ++i)
            start(*context, guard->run(never_ends(watched)));
        ticket first = guard->try_acquire();
        for (int i = 0; i < 3; ++i)
            start(*context, guard->run(never_ends(watched)));
        poll(*context);
        REQUIRE(guard->waiting() == 3);
        first.success(); // the next caller is granted its permit, but has not run
        REQUIRE(guard->waiting() == 2);
        REQUIRE(guard->in_flight() == 3);
        context.reset();
        CHECK(watched.use_count() == 1);
        CHECK(*watched == 0);
    }
    check_idle(*guard);
    CHECK(guard->stats().succeeded == 1);
    CHECK(guard->stats().ignored == 2);
    CHECK(guard->stats().dropped == 0);

    asio::io_context other;
    const auto still_works = start(other, guard->run(give(1)));
    poll(other);
    CHECK(still_works->succeeded());
}

TEST_CASE("A guard that is destroyed before the context leaves everything to the context") {
    at_nine set_clock;
    asio::io_context guards_own;
    auto guard = std::make_unique<scripted_guard>(guards_own.get_executor(), scripted_strategy{3});
    std::optional<busy> b{std::in_place, *guard};
    const std::shared_ptr<int> watched = b->watched;
    SECTION("with completions that never run") {
        guard.reset();
        b.reset();
        guards_own.restart();
        guards_own.poll(); // handlers without an executor of their own
    }
    SECTION("with completions that run") {
        guard.reset();
        poll(*b->context);
        poll(guards_own);
        b.reset();
    }
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 2); // the two handlers
}

TEST_CASE("The guard's own context may be destroyed first, with handlers that wait there") {
    at_nine set_clock;
    const auto watched = std::make_shared<int>(0);
    auto context = std::make_unique<asio::io_context>();
    auto guard = std::make_unique<scripted_guard>(context->get_executor(), scripted_strategy{1});
    ticket first = guard->try_acquire();
    for (int i = 0; i < 3; ++i)
        guard->async_acquire([watched](flowguard::error_code, ticket) { ++*watched; });
    first.success();
    CHECK(guard->waiting() == 2);
    SECTION("before the guard") {
        context.reset();
        check_idle(*guard);
    }
    SECTION("after the guard") {
        guard.reset();
        context.reset();
    }
    CHECK(*watched == 0);
    CHECK(watched.use_count() == 1);
}

TEST_CASE("A guard may be destroyed by the task that it runs") {
    asio::io_context context;
    gate g{context};
    auto guard = std::make_unique<flow_guard<fixed_limit>>(fixed_limit{1});
    const auto end = start(context, guard->run([&]() -> asio::awaitable<int> {
        co_await g.pass();
        guard.reset();
        co_return 4;
    }));
    const auto waits = start(context, guard->run(give(1)));
    poll(context);
    REQUIRE(guard->waiting() == 1);
    g.let_one();
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 4);
    CHECK(waits->code() == asio::error::operation_aborted);
}
