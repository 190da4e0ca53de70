// flow_guard_drain_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "flowguard/drain_options.hpp"
#include "flowguard/error.hpp"
#include "flowguard/rejection.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::error_code;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::rejection;
using support::at_nine;
using support::check_idle;
using support::gate;
using support::give;
using support::held;
using support::manual_clock;
using support::message_of;
using support::never_ends;
using support::pass;
using support::poll;
using support::scripted_strategy;
using support::start;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = scripted_guard::ticket;

// How a drain ended.
struct drained {
    int times = 0;
    error_code code;

    bool succeeded() const { return times == 1 && !code; }
    bool ended_with(error_code wanted) const { return times == 1 && code == wanted; }
};

// The handler of a drain.
auto note(std::shared_ptr<drained> end) {
    return [end = std::move(end)](error_code e) {
        ++end->times;
        end->code = e;
    };
}

// Starts a drain with a plain handler.
std::shared_ptr<const drained> drain(scripted_guard& guard, flowguard::drain_options options = {},
                                     asio::cancellation_slot slot = {}) {
    auto end = std::make_shared<drained>();
    guard.async_drain(options, asio::bind_cancellation_slot(slot, note(end)));
    return end;
}

struct scene {
    explicit scene(std::size_t limit = 1, guard_options options = {})
        : guard(
              std::make_unique<scripted_guard>(context.get_executor(), scripted_strategy{limit}, std::move(options))) {}

    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    std::unique_ptr<scripted_guard> guard;
};

} // namespace

TEST_CASE("A drain ends when the last task in flight has ended") {
    scene s{2};
    const auto first = start(s.context, s.guard->run(held(s.g, 1)));
    const auto second = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(first->succeeded());
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(second->succeeded());
    CHECK(end->succeeded());
    CHECK(s.guard->in_flight() == 0);
    CHECK(s.guard->is_closed());
}

TEST_CASE("The drain of an idle guard ends at once, but not from inside async_drain") {
    scene s;
    const auto end = drain(*s.guard);
    CHECK(end->times == 0);
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(s.guard->is_closed());
}

TEST_CASE("The drain of an idle guard ends without an error even if its time-out is 0") {
    scene s;
    const auto end = drain(*s.guard, {.timeout = 0ns});
    pass(s.context, 1s);
    CHECK(end->succeeded());
}

TEST_CASE("Callers that come during a drain are rejected, though a permit is free") {
    scene s{2};
    ticket holder = s.guard->try_acquire();
    int made = 0;
    const auto make = [&] {
        ++made;
        return give(1);
    };
    CHECK_FALSE(s.guard->is_closed());
    const auto end = drain(*s.guard);
    CHECK(s.guard->is_closed());
    CHECK(s.guard->available_permits() == 0);

    const auto late = start(s.context, s.guard->run(make));
    const auto long_lived = start(s.context, s.guard->run(make, {.long_lived = true}));
    const auto attempt = start(s.context, s.guard->try_run(make));
    error_code of_handler;
    s.guard->async_acquire([&](error_code e, ticket) { of_handler = e; });
    CHECK_FALSE(s.guard->try_acquire());
    CHECK_FALSE(s.guard->try_acquire({.long_lived = true}));
    poll(s.context);
    CHECK(late->code() == error::closed);
    CHECK(long_lived->code() == error::closed);
    CHECK(of_handler == error::closed);
    REQUIRE(attempt->succeeded());
    CHECK_FALSE(attempt->value->has_value());
    CHECK(made == 0);
    CHECK(s.guard->stats().closed == 6);
    CHECK(s.guard->stats().shed == 0);
    CHECK(end->times == 0);
    holder.success();
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A drain serves those who wait, in their order, with all permits of the limit") {
    scene s{2};
    std::vector<int> order;
    const auto make = [&](int n) -> asio::awaitable<void> {
        order.push_back(n);
        co_await s.g.pass();
    };
    for (int n = 1; n <= 5; ++n)
        start(s.context, s.guard->run(make, n));
    poll(s.context);
    const auto end = drain(*s.guard);
    CHECK(s.guard->waiting() == 3);
    for (const std::size_t in_flight : {2u, 2u, 2u, 2u, 1u}) {
        poll(s.context);
        CHECK(s.guard->in_flight() == in_flight);
        CHECK(end->times == 0);
        s.g.let_one();
    }
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(order == std::vector{1, 2, 3, 4, 5});
    CHECK(s.guard->stats().succeeded == 5);
    CHECK(s.guard->stats().closed == 0);
}

TEST_CASE("A drain that does not serve those who wait ends them with closed at once") {
    std::vector<rejection> told;
    scene s{1, {.on_rejection = [&](rejection why) { told.push_back(why); }}};
    const auto holder = start(s.context, s.guard->run(held(s.g, 1)));
    const auto waits = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    const auto end = drain(*s.guard, {.serves_waiting = false});
    CHECK(s.guard->waiting() == 0);
    poll(s.context);
    CHECK(waits->code() == error::closed);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(holder->succeeded());
    CHECK(end->succeeded());
    CHECK(told == std::vector{rejection::closed}); // a drain is no rejection
}

TEST_CASE("A drain waits for a permit that was granted, but whose caller has not run yet") {
    scene s;
    ticket holder = s.guard->try_acquire();
    const auto waits = start(s.context, s.guard->run(held(s.g)));
    poll(s.context);
    const auto end = drain(*s.guard);
    holder.success();
    CHECK(s.guard->in_flight() == 1);
    poll(s.context);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(waits->succeeded());
    CHECK(end->succeeded());
}

TEST_CASE("A drain waits for long-lived tasks") {
    scene s;
    const auto stream = start(s.context, s.guard->run(held(s.g), {.long_lived = true}));
    ticket watch = s.guard->try_acquire({.long_lived = true});
    poll(s.context);
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(stream->succeeded());
    CHECK(end->times == 0);
    CHECK(s.guard->stats().long_lived == 1);
    watch.ignore();
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(s.guard->stats().long_lived == 0);
}

TEST_CASE("A drain waits for the last of a long-lived and another task, whichever it is") {
    for (const bool long_lived_is_last : {true, false}) {
        scene s;
        ticket first = s.guard->try_acquire({.long_lived = !long_lived_is_last});
        ticket last = s.guard->try_acquire({.long_lived = long_lived_is_last});
        const auto end = drain(*s.guard);
        first.success();
        poll(s.context);
        CHECK(end->times == 0);
        last.success();
        poll(s.context);
        CHECK(end->succeeded());
    }
}

TEST_CASE("A drain does not wait for a task that bypasses the guard") {
    scene s;
    const auto beside = start(s.context, s.guard->run(held(s.g), {.bypass = true}));
    poll(s.context);
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(end->succeeded());
    s.g.let_one();
    poll(s.context);
    CHECK(beside->succeeded());
}

TEST_CASE("A drain that takes too long ends with drain_timeout, and nothing is lost") {
    scene s;
    const auto holder = start(s.context, s.guard->run(held(s.g, 1)));
    const auto waits = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    const auto end = drain(*s.guard, {.timeout = 10s});
    pass(s.context, 9s);
    CHECK(end->times == 0);
    pass(s.context, 1s);
    CHECK(end->ended_with(error::drain_timeout));
    CHECK(end->code.message() == "the drain took too long");
    CHECK(s.guard->is_closed());
    CHECK(s.guard->waiting() == 1);

    const auto again = drain(*s.guard, {.timeout = 10s});
    s.g.let_one();
    poll(s.context);
    s.g.let_one();
    poll(s.context);
    CHECK(holder->succeeded());
    CHECK(waits->succeeded());
    CHECK(again->succeeded());
    CHECK(end->times == 1);
    CHECK(s.guard->stats().timed_out == 0); // a drain is no call
}

TEST_CASE("A drain that ends in time has no error, and its timer keeps no context running") {
    scene s;
    ticket holder = s.guard->try_acquire();
    const auto end = drain(*s.guard, {.timeout = 10s});
    holder.success();
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(s.context.stopped()); // out of work
    pass(s.context, 20s);
    CHECK(end->times == 1);
}

TEST_CASE("Several drains of one guard wait at a time, each with its own time-out") {
    scene s;
    ticket holder = s.guard->try_acquire();
    const auto waits = start(s.context, s.guard->run(give(1)));
    poll(s.context);
    const auto first = drain(*s.guard);
    const auto second = drain(*s.guard, {.timeout = 1s});
    const auto third = drain(*s.guard, {.timeout = 3s});
    pass(s.context, 2s);
    CHECK(first->times == 0);
    CHECK(second->ended_with(error::drain_timeout));
    CHECK(third->times == 0);
    CHECK(s.guard->waiting() == 1);
    const auto stricter = drain(*s.guard, {.serves_waiting = false});
    const auto milder = drain(*s.guard);
    poll(s.context);
    CHECK(waits->code() == error::closed);
    holder.success();
    poll(s.context);
    for (const auto& end : {first, third, stricter, milder})
        CHECK(end->succeeded());
}

TEST_CASE("A drain can be cancelled, with every type of cancellation, and the guard stays closed") {
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
        scene s;
        asio::cancellation_signal signal;
        ticket holder = s.guard->try_acquire();
        const auto waits = start(s.context, s.guard->run(give(1)));
        poll(s.context);
        const auto cancelled = drain(*s.guard, {.timeout = 1s}, signal.slot());
        const auto other = drain(*s.guard);
        signal.emit(asio::cancellation_type::none);
        poll(s.context);
        CHECK(cancelled->times == 0);
        signal.emit(type);
        CHECK(cancelled->times == 0);
        poll(s.context);
        CHECK(cancelled->ended_with(asio::error::operation_aborted));
        CHECK(s.guard->is_closed());
        CHECK(s.guard->stats().cancelled == 0);
        holder.success();
        poll(s.context);
        CHECK(waits->succeeded());
        CHECK(other->succeeded());
        signal.emit(type); // late
        poll(s.context);
        CHECK(cancelled->times == 1);
    }
}

TEST_CASE("A guard that is destroyed during a drain ends it with operation_aborted") {
    scene s;
    ticket holder = s.guard->try_acquire();
    const auto end = drain(*s.guard);
    const auto timed = drain(*s.guard, {.timeout = 1s});
    s.guard.reset();
    CHECK(end->times == 0);
    poll(s.context);
    CHECK(end->ended_with(asio::error::operation_aborted));
    CHECK(timed->ended_with(asio::error::operation_aborted));
    holder.success();
    poll(s.context);
    CHECK(end->times == 1);
}

TEST_CASE("A context that is destroyed during a drain destroys the handler uncalled") {
    at_nine set_clock;
    scripted_guard guard{scripted_strategy{1}};
    ticket holder = guard.try_acquire();
    auto watched = std::make_shared<int>(0);
    {
        asio::io_context context;
        for (const auto timeout : {flowguard::duration::max(), flowguard::duration(1s)})
            guard.async_drain({.timeout = timeout},
                              asio::bind_executor(context, [watched](error_code) { ++*watched; }));
        poll(context);
        CHECK(watched.use_count() == 3);
    }
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 0);
    asio::io_context other;
    auto end = std::make_shared<drained>();
    guard.async_drain(asio::bind_executor(other, note(end)));
    holder.success();
    poll(other);
    CHECK(end->succeeded());
}

TEST_CASE("A drain that has ended, but not called its handler yet, may be destroyed with its context") {
    scene s;
    auto watched = std::make_shared<int>(0);
    auto context = std::make_unique<asio::io_context>();
    s.guard->async_drain(asio::bind_executor(*context, [watched](error_code) { ++*watched; }));
    context.reset();
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 0);
}

TEST_CASE("reopen() lets a drained guard admit calls again") {
    scene s{2};
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(end->succeeded());
    s.guard->reopen();
    CHECK_FALSE(s.guard->is_closed());
    check_idle(*s.guard);
    const auto call = start(s.context, s.guard->run(give(3)));
    const auto stream = start(s.context, s.guard->run(give(4), {.long_lived = true}));
    poll(s.context);
    CHECK(call->succeeded());
    CHECK(stream->succeeded());
    ticket free = s.guard->try_acquire();
    CHECK(free);
    free.success();
    check_idle(*s.guard);
}

TEST_CASE("reopen() during a drain ends it with operation_aborted, and those who wait go on waiting") {
    scene s;
    const auto holder = start(s.context, s.guard->run(held(s.g, 1)));
    const auto waits = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    const auto end = drain(*s.guard);
    const auto timed = drain(*s.guard, {.timeout = 1s});
    s.guard->reopen();
    const auto behind = start(s.context, s.guard->run(held(s.g, 3)));
    poll(s.context);
    CHECK(end->ended_with(asio::error::operation_aborted));
    CHECK(timed->ended_with(asio::error::operation_aborted));
    CHECK_FALSE(s.guard->is_closed());
    CHECK(s.guard->waiting() == 2);
    for (int i = 0; i < 3; ++i) {
        s.g.let_one();
        poll(s.context);
    }
    for (const auto& call : {holder, waits, behind})
        CHECK(call->succeeded());
    check_idle(*s.guard);
}

TEST_CASE("A guard may be drained again after reopen()") {
    scene s;
    for (int i = 0; i < 3; ++i) {
        ticket holder = s.guard->try_acquire();
        REQUIRE(holder);
        ticket stream = s.guard->try_acquire({.long_lived = true});
        REQUIRE(stream);
        const auto given_up = drain(*s.guard);
        s.guard->reopen();
        const auto end = drain(*s.guard);
        poll(s.context);
        CHECK(given_up->ended_with(asio::error::operation_aborted));
        CHECK(end->times == 0);
        holder.success();
        stream.success();
        poll(s.context);
        CHECK(end->succeeded());
        s.guard->reopen();
    }
    CHECK(s.guard->stats().closed == 0);
}

TEST_CASE("reopen() has no effect on a guard that is open") {
    scene s;
    s.guard->reopen();
    const auto holder = start(s.context, s.guard->run(held(s.g, 1)));
    const auto waits = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    s.guard->reopen();
    CHECK(s.guard->waiting() == 1);
    s.g.let_one();
    poll(s.context);
    s.g.let_one();
    poll(s.context);
    CHECK(holder->succeeded());
    CHECK(waits->succeeded());
    check_idle(*s.guard);
}

TEST_CASE("A closed guard can be drained and reopened") {
    scene s;
    const auto holder = start(s.context, s.guard->run(held(s.g, 1)));
    const auto waits = start(s.context, s.guard->run(held(s.g, 2)));
    poll(s.context);
    s.guard->close();
    CHECK(s.guard->is_closed());
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(waits->code() == error::closed);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(end->succeeded());
    s.guard->reopen();
    const auto next = start(s.context, s.guard->run(give(3)));
    poll(s.context);
    CHECK(next->succeeded());
    check_idle(*s.guard);
}

TEST_CASE("close() during a drain ends those who wait, and the drain goes on") {
    scene s;
    ticket holder = s.guard->try_acquire();
    const auto waits = start(s.context, s.guard->run(give(1)));
    poll(s.context);
    const auto end = drain(*s.guard);
    s.guard->close();
    poll(s.context);
    CHECK(waits->code() == error::closed);
    CHECK(end->times == 0);
    holder.success();
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A drain goes on while the limit changes, and below what is in flight") {
    scene s{3};
    std::vector<ticket> holders;
    for (int i = 0; i < 3; ++i)
        holders.push_back(s.guard->try_acquire());
    const auto waits = start(s.context, s.guard->run(held(s.g)));
    poll(s.context);
    const auto end = drain(*s.guard);
    s.guard->pin_limit(1);
    for (ticket& t : holders) {
        poll(s.context);
        CHECK(s.guard->waiting() == 1);
        CHECK(end->times == 0);
        t.success();
    }
    poll(s.context);
    CHECK(s.guard->in_flight() == 1);
    s.guard->pin_limit(5);
    poll(s.context);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(waits->succeeded());
    CHECK(end->succeeded());
    CHECK_FALSE(s.guard->try_acquire());
}

TEST_CASE("A drain serves those who wait under a limit below one, each in its turn") {
    at_nine set_clock;
    asio::io_context context;
    flowguard::plan slow{1};
    slow.spacing = 1s;
    scripted_guard guard{context.get_executor(), scripted_strategy{1, {slow}}, {.min_window = 1}};
    support::use_up(guard, 1); // closes the window, so that the plan is in force
    REQUIRE(guard.stats().spacing == 1s);
    std::vector<std::shared_ptr<const support::ending<int>>> calls;
    for (int i = 0; i < 3; ++i)
        calls.push_back(start(context, guard.run(give(i))));
    poll(context);
    REQUIRE(guard.waiting() > 0);
    const auto end = drain(guard);
    for (int i = 0; i < 10 && guard.waiting() > 0; ++i) {
        CHECK(end->times == 0);
        pass(context, 1500ms);
    }
    poll(context);
    for (const auto& call : calls)
        CHECK(call->succeeded());
    CHECK(end->succeeded());
}

TEST_CASE("Those who wait in a drain keep their time-outs, and may be cancelled") {
    scene s{1, {.max_wait = 2s}};
    asio::cancellation_signal signal;
    ticket holder = s.guard->try_acquire();
    const auto cancelled = start(s.context, s.guard->run(give(1)), &signal);
    const auto late = start(s.context, s.guard->run(give(2)));
    poll(s.context);
    const auto end = drain(*s.guard);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    pass(s.context, 2s);
    CHECK(late->code() == error::wait_timeout);
    CHECK(end->times == 0);
    holder.success();
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A drain takes no place of those who may wait") {
    scene s{1, {.max_waiters = 1}};
    ticket holder = s.guard->try_acquire();
    const auto first = drain(*s.guard);
    const auto second = drain(*s.guard);
    s.guard->reopen();
    poll(s.context);
    CHECK(first->ended_with(asio::error::operation_aborted));
    CHECK(second->ended_with(asio::error::operation_aborted));
    const auto waits = start(s.context, s.guard->run(give(1)));
    const auto shed = start(s.context, s.guard->run(give(2)));
    poll(s.context);
    CHECK(s.guard->waiting() == 1);
    CHECK(shed->code() == error::shed);
    holder.success();
    poll(s.context);
    CHECK(waits->succeeded());
    check_idle(*s.guard);
}

TEST_CASE("A drain works with any completion token") {
    scene s;
    const auto coroutine = start(s.context, s.guard->async_drain(asio::use_awaitable));
    const auto tuple = start(s.context, s.guard->async_drain({.timeout = 1s}, asio::as_tuple(asio::use_awaitable)));
    std::future<void> future = s.guard->async_drain(asio::use_future);
    const auto deferred = s.guard->async_drain(asio::deferred);
    s.guard->async_drain(asio::detached);
    poll(s.context);
    CHECK(coroutine->succeeded());
    REQUIRE(tuple->succeeded());
    CHECK_FALSE(std::get<0>(*tuple->value));
    CHECK_NOTHROW(future.get());

    s.guard->reopen();
    auto end = std::make_shared<drained>();
    std::move(deferred)(note(end));
    CHECK(s.guard->is_closed()); // from here, and not before
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A drain may be started by a task of the guard, which does not wait for it") {
    scene s;
    const auto end = std::make_shared<drained>();
    const auto task = start(s.context, s.guard->run([&]() -> asio::awaitable<void> {
        s.guard->async_drain(note(end));
        co_await s.g.pass();
    }));
    poll(s.context);
    CHECK(end->times == 0);
    s.g.let_one();
    poll(s.context);
    CHECK(task->succeeded());
    CHECK(end->succeeded());
}

TEST_CASE("The handler of a drain may destroy its guard") {
    scene s;
    ticket holder = s.guard->try_acquire();
    bool destroyed = false;
    s.guard->async_drain([&](error_code e) {
        CHECK_FALSE(e);
        s.guard.reset();
        destroyed = true;
    });
    holder.success();
    poll(s.context);
    CHECK(destroyed);
}

TEST_CASE("An observer may destroy the guard when a drain ends those who wait") {
    scene s{1, {.on_rejection = [&](rejection) { s.guard.reset(); }}};
    ticket holder = s.guard->try_acquire();
    const auto waits = start(s.context, s.guard->run(give(1)));
    poll(s.context);
    const auto end = drain(*s.guard, {.serves_waiting = false});
    CHECK(s.guard == nullptr);
    poll(s.context);
    CHECK(waits->code() == error::closed);
    CHECK(end->ended_with(asio::error::operation_aborted));
}

TEST_CASE("A permit that comes back without a report ends a drain, too") {
    scene s;
    auto context = std::make_unique<asio::io_context>();
    const auto watched = std::make_shared<int>(0);
    start(*context, s.guard->run(never_ends(watched)));
    start(*context, s.guard->run(never_ends(watched), {.long_lived = true}));
    poll(*context);
    const auto end = drain(*s.guard);
    poll(s.context);
    CHECK(end->times == 0);
    context.reset(); // with the tasks in it
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A time-out of a drain below 0 is an error that names it, and does not close the guard") {
    scene s;
    std::string text;
    try {
        s.guard->async_drain({.timeout = -1ns}, [](error_code) { FAIL(); });
    } catch (const std::invalid_argument&) {
        text = message_of(std::current_exception());
    }
    CHECK(text == "flowguard: drain_options::timeout is -1 ns, must be at least 0");
    CHECK_FALSE(s.guard->is_closed());
}
