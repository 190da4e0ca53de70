// flow_guard_timeout_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Tasks that take longer than their time-out, and what the guard learns of cancelled tasks.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <typeinfo>
#include <utility>

#include "flowguard/detail/asio/timed_task.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_stats.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::error_code;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::outcome;
using support::gate;
using support::held;
using support::manual_clock;
using support::poll;
using support::rows;
using support::scripted_strategy;
using support::start;

using guard_type = flow_guard<scripted_strategy, manual_clock>;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

// A guard with one permit, windows of one call, and a gate that holds its tasks up.
struct scene {
    explicit scene(const guard_options& o = {}) : strategy{1, {flowguard::plan(1, 1)}}, guard{strategy, o} {
        manual_clock::at = 9h;
        while (strategy.windows().empty()) // the first window has the usual size
            guard.try_acquire().success();
        before = guard.stats();
    }

    // How many tasks ended so since the first window.
    std::uint64_t succeeded() const { return guard.stats().succeeded - before.succeeded; }
    std::uint64_t ignored() const { return guard.stats().ignored; }
    std::uint64_t dropped() const { return guard.stats().dropped; }

    void pass(manual_clock::duration time) { support::pass(context, time); }

    asio::io_context context;
    gate g{context};
    scripted_strategy strategy;
    guard_type guard;
    flowguard::guard_stats before;
};

// Waits at the gate until it is let through, whatever cancels it.
asio::awaitable<int> stubborn(gate& g) {
    co_await asio::this_coro::throw_if_cancelled(false);
    try {
        co_await g.pass();
    } catch (const asio::system_error&) { // cancelled: the work goes on
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await g.pass();
    co_return 7;
}

// Returns the error of a cancellation.
asio::awaitable<error_code> pass_with_code(gate& g) {
    try {
        co_await g.pass();
    } catch (const asio::system_error& e) {
        co_return e.code();
    }
    co_return error_code();
}

asio::awaitable<rows> query(gate& g) {
    co_await g.pass();
    co_return rows(7);
}

// Ends as a task does whose own time-out has cancelled it.
asio::awaitable<void> cancelled_inside() {
    throw asio::system_error(asio::error::operation_aborted);
    co_return;
}

} // namespace

// What the call ends with

TEST_CASE("A task that takes longer than the guard's time-out is cancelled, and its call ends with task_timeout") {
    scene s{{.timeout = 30ms}};
    const auto call = start(s.context, s.guard.run([&] { return held(s.g); }));
    poll(s.context);
    s.pass(29ms);
    CHECK_FALSE(call->done);
    CHECK(s.guard.in_flight() == 1);
    s.pass(1ms);
    CHECK(call->code() == error::task_timeout);
    CHECK(call->code().message() == "the task took too long");
    CHECK(s.dropped() == 1);
    CHECK(s.strategy.windows().back().dropped == 1);
    CHECK(s.strategy.windows().back().dropped_mean_rtt == 30ms);
    support::check_idle(s.guard);
}

TEST_CASE("A task that ends in time is not touched by its time-out") {
    scene s{{.timeout = 30ms}};
    const auto call = start(s.context, s.guard.run([&] { return query(s.g); }));
    poll(s.context);
    s.pass(29ms);
    s.g.let_all();
    poll(s.context);
    REQUIRE(call->succeeded());
    CHECK(call->value->count() == 7);
    s.pass(1h);
    CHECK(s.succeeded() == 1);
    CHECK(s.dropped() == 0);
    CHECK(s.guard.stats().task_timeouts == 0);
    support::check_idle(s.guard);
}

TEST_CASE("Each form tells the time-out in its own way") {
    scene s{{.timeout = 30ms}};
    const auto run_until_timeout = [&s](auto make_call) {
        const auto end = start(s.context, make_call());
        poll(s.context);
        s.pass(30ms);
        return end;
    };
    const auto wait = [&s] { return s.g.pass(); };
    const auto get = [&s] { return query(s.g); };
    CHECK(run_until_timeout([&] { return s.guard.run(wait); })->code() == error::task_timeout);
    CHECK(run_until_timeout([&] { return s.guard.run(get); })->code() == error::task_timeout);
    CHECK(run_until_timeout([&] { return s.guard.try_run(wait); })->code() == error::task_timeout);
    CHECK(run_until_timeout([&] { return s.guard.try_run_for(1s, get); })->code() == error::task_timeout);
    const auto without_result = run_until_timeout([&] { return s.guard.run_as_tuple(wait); });
    REQUIRE(without_result->succeeded());
    CHECK(std::get<0>(*without_result->value) == error::task_timeout);
    const auto with_result = run_until_timeout([&] { return s.guard.run_as_tuple(get); });
    REQUIRE(with_result->succeeded());
    CHECK(std::get<0>(*with_result->value) == error::task_timeout);
    CHECK_FALSE(std::get<1>(*with_result->value).has_value());
    CHECK(s.dropped() == 6);
    CHECK(s.guard.stats().task_timeouts == 6);
    support::check_idle(s.guard);
}

TEST_CASE("The time-out of a call replaces that of its guard") {
    scene s{{.timeout = 30ms}};
    const auto shorter = start(s.context, s.guard.run([&] { return s.g.pass(); }, {.timeout = 10ms}));
    poll(s.context);
    s.pass(10ms);
    CHECK(shorter->code() == error::task_timeout);
    const auto none =
        start(s.context, s.guard.run([&] { return s.g.pass(); }, {.timeout = flowguard::duration::max()}));
    poll(s.context);
    s.pass(1h);
    CHECK_FALSE(none->done);
    s.g.let_all();
    poll(s.context);
    CHECK(none->succeeded());
    const auto of_guard = start(s.context, s.guard.run([&] { return s.g.pass(); }, {.kind = 1}));
    poll(s.context);
    s.pass(30ms);
    CHECK(of_guard->code() == error::task_timeout);
}

TEST_CASE("The time-out counts from the admission, not from the call") {
    scene s{{.timeout = 30ms}};
    auto busy = s.guard.try_acquire();
    const auto call = start(s.context, s.guard.run([&] { return s.g.pass(); }));
    poll(s.context);
    s.pass(1h);
    busy.success();
    poll(s.context);
    s.pass(29ms);
    CHECK_FALSE(call->done);
    s.pass(1ms);
    CHECK(call->code() == error::task_timeout);
}

TEST_CASE("Long-lived calls and calls with bypass have no time-out") {
    scene s{{.timeout = 30ms}};
    const auto watch = start(s.context, s.guard.run([&] { return s.g.pass(); }, {.long_lived = true}));
    const auto check = start(s.context, s.guard.run([&] { return s.g.pass(); }, {.timeout = 1ms, .bypass = true}));
    poll(s.context);
    s.pass(1h);
    CHECK_FALSE(watch->done);
    CHECK_FALSE(check->done);
    s.g.let_all();
    poll(s.context);
    CHECK(watch->succeeded());
    CHECK(check->succeeded());
}

TEST_CASE("Calls with a time-out in a loop do not use up the stack, if their tasks end at once") {
    constexpr int calls = 10'000;
    for (const bool has_strand : {false, true}) {
        asio::io_context context;
        flow_guard guard{scripted_strategy{1}, {.timeout = 1h}};
        const asio::any_io_executor executor =
            has_strand ? asio::any_io_executor(asio::make_strand(context)) : context.get_executor();
        int sum = 0;
        asio::co_spawn(
            executor,
            [&]() -> asio::awaitable<void> {
                for (int i = 0; i < calls; ++i)
                    sum += co_await guard.run([]() -> asio::awaitable<int> { co_return 1; });
            },
            asio::detached);
        context.run();
        CHECK(sum == calls);
    }
}

// What the task does about it

TEST_CASE("A task that ignores its cancellation is waited for; its result reaches the caller, but counts as dropped") {
    scene s{{.timeout = 30ms}};
    const auto call = start(s.context, s.guard.run([&] { return stubborn(s.g); }));
    poll(s.context);
    s.pass(30ms);
    s.pass(20ms);
    CHECK_FALSE(call->done);
    CHECK(s.guard.in_flight() == 1);
    s.g.let_all();
    poll(s.context);
    REQUIRE(call->succeeded());
    CHECK(*call->value == 7);
    CHECK(s.dropped() == 1);
    CHECK(s.guard.stats().task_timeouts == 1);
    CHECK(s.strategy.windows().back().dropped_mean_rtt == 50ms);
    support::check_idle(s.guard);
}

TEST_CASE("Another exception than a cancellation reaches the caller after a time-out, and counts as dropped") {
    scene s{{.timeout = 30ms}};
    const auto fails = [&]() -> asio::awaitable<void> {
        try {
            co_await s.g.pass();
        } catch (const asio::system_error&) {
            throw std::runtime_error("half of a message");
        }
    };
    const auto call = start(s.context, s.guard.run(fails, [](std::exception_ptr) { return outcome::ignored; }));
    poll(s.context);
    s.pass(30ms);
    CHECK(support::message_of(call->exception) == "half of a message");
    CHECK(s.dropped() == 1); // no classifier is asked
    CHECK(s.guard.stats().task_timeouts == 1);
}

TEST_CASE("A task that makes a result of its cancellation returns it after a time-out, and counts as dropped") {
    scene s{{.timeout = 30ms}};
    const auto call = start(s.context, s.guard.run(pass_with_code, std::ref(s.g)));
    poll(s.context);
    s.pass(30ms);
    REQUIRE(call->succeeded());
    CHECK(*call->value == asio::error::operation_aborted);
    CHECK(s.dropped() == 1);
    CHECK(s.guard.stats().task_timeouts == 1);
}

TEST_CASE("A task's exception in time is classified as without a time-out") {
    scene s{{.timeout = 30ms}};
    const auto fails = start(s.context, s.guard.run([] { return support::fail_with(std::runtime_error("no rows")); }));
    poll(s.context);
    CHECK(support::message_of(fails->exception) == "no rows");
    CHECK(s.dropped() == 1);
    auto task = s.g.pass();
    const auto gone = std::move(task);
    const auto moved = start(s.context, s.guard.run([&task] { return std::move(task); }));
    poll(s.context);
    CHECK_THROWS_AS(std::rethrow_exception(moved->exception), std::invalid_argument);
}

TEST_CASE("A task with a time-out gets each type of cancellation that its caller lets through") {
    using type = asio::cancellation_type;
    for (const type emitted : {type::terminal, type::partial, type::total}) {
        scene s{{.timeout = 30ms}};
        asio::cancellation_signal signal;
        type seen = type::none;
        const auto task = [&]() -> asio::awaitable<void> {
            flowguard::error_code ignored;
            asio::steady_timer timer{s.context, asio::steady_timer::time_point::max()};
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            seen = (co_await asio::this_coro::cancellation_state).cancelled();
            throw asio::system_error(asio::error::operation_aborted);
        };
        const auto caller = [&]() -> asio::awaitable<void> {
            co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
            co_await s.guard.run(task);
        };
        const auto call = start(s.context, caller(), &signal);
        poll(s.context);
        signal.emit(emitted);
        poll(s.context);
        CHECK(call->code() == asio::error::operation_aborted);
        CHECK(seen == emitted);
        CHECK(s.ignored() == 1);
        support::check_idle(s.guard);
    }
}

TEST_CASE("A task with a time-out finds the same cancellation state of its caller as one without") {
    for (const std::optional<flowguard::duration> timeout : {std::optional<flowguard::duration>(), {30ms}}) {
        scene s;
        asio::cancellation_signal signal;
        const auto task = [&]() -> asio::awaitable<int> {
            CHECK_FALSE(co_await asio::this_coro::throw_if_cancelled());
            CHECK((co_await asio::this_coro::cancellation_state).cancelled() == asio::cancellation_type::terminal);
            co_await asio::post(asio::use_awaitable);
            co_return 3;
        };
        const auto caller = [&]() -> asio::awaitable<int> {
            co_await asio::this_coro::throw_if_cancelled(false);
            try {
                co_await s.g.pass();
            } catch (const asio::system_error&) { // cancelled
            }
            co_return co_await s.guard.run(task, {.timeout = timeout});
        };
        const auto call = start(s.context, caller(), &signal);
        poll(s.context);
        signal.emit(asio::cancellation_type::terminal);
        poll(s.context);
        CHECK(call->value == 3);
        CHECK(s.succeeded() == 1);
    }
}

TEST_CASE("A caller that was cancelled gets operation_aborted, although the task went on until its time-out") {
    scene s{{.timeout = 30ms}};
    asio::cancellation_signal signal;
    const auto slow_to_stop = [&]() -> asio::awaitable<void> {
        co_await asio::this_coro::throw_if_cancelled(false);
        try {
            co_await s.g.pass();
        } catch (const asio::system_error&) { // cancelled by the caller
        }
        co_await asio::this_coro::reset_cancellation_state();
        co_await s.g.pass(); // cancelled by the time-out
    };
    const auto call = start(s.context, s.guard.run(slow_to_stop), &signal);
    poll(s.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK_FALSE(call->done);
    s.pass(30ms);
    CHECK(call->code() == asio::error::operation_aborted);
    CHECK(s.dropped() == 1);
    CHECK(s.guard.stats().task_timeouts == 1);
}

// What a cancellation says

TEST_CASE("A task that was cancelled, but not by its caller, is a drop") {
    scene s;
    const auto thrown = start(s.context, s.guard.run(cancelled_inside));
    poll(s.context);
    CHECK(thrown->code() == asio::error::operation_aborted);
    CHECK(s.dropped() == 1);
    const auto returned = start(s.context, s.guard.run([]() -> asio::awaitable<std::tuple<error_code, int>> {
        co_return std::tuple{error_code(asio::error::operation_aborted), 0};
    }));
    poll(s.context);
    CHECK(returned->succeeded());
    CHECK(s.dropped() == 2);
    CHECK(s.guard.stats().task_timeouts == 0); // not the guard's
}

TEST_CASE("A task that returns an error code of another kind, or none, is judged by it") {
    scene s;
    const auto ends_with = [&](error_code code) {
        const auto call = start(s.context, s.guard.run([code]() -> asio::awaitable<error_code> { co_return code; }));
        poll(s.context);
        return call->value;
    };
    CHECK(ends_with(error_code()) == error_code());
    CHECK(s.succeeded() == 1);
    CHECK(ends_with(asio::error::connection_refused) == asio::error::connection_refused);
    CHECK(s.dropped() == 1);
    CHECK(s.ignored() == 0);
}

TEST_CASE("A task that was cancelled by its caller is ignored") {
    scene s;
    asio::cancellation_signal signal;
    const auto thrown = start(s.context, s.guard.run([&] { return s.g.pass(); }), &signal);
    poll(s.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(thrown->code() == asio::error::operation_aborted);
    asio::cancellation_signal other;
    const auto returned = start(s.context, s.guard.run(pass_with_code, std::ref(s.g)), &other);
    poll(s.context);
    other.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(returned->done);
    CHECK(s.ignored() == 2);
    CHECK(s.dropped() == 0);
}

TEST_CASE("A classifier of the user's own decides what a cancellation says") {
    scene s;
    const auto ignores = [](std::exception_ptr) { return outcome::ignored; };
    const auto call = start(s.context, s.guard.run(cancelled_inside, ignores));
    poll(s.context);
    CHECK(call->code() == asio::error::operation_aborted);
    CHECK(s.dropped() == 0);
}

TEST_CASE("A time-out of an inner guard lowers no outer limit") {
    scene inner{{.timeout = 30ms}};
    guard_type outer{scripted_strategy{1}};
    const auto call = start(inner.context, outer.run([&] { return inner.guard.run([&] { return inner.g.pass(); }); }));
    poll(inner.context);
    inner.pass(30ms);
    CHECK(call->code() == error::task_timeout);
    CHECK(inner.guard.stats().dropped == 1);
    CHECK(outer.stats().ignored == 1);
}

TEST_CASE("A task whose executor is a strand has a time-out as well") {
    scene s;
    using strand = asio::strand<asio::io_context::executor_type>;
    asio::basic_waitable_timer<manual_clock, asio::wait_traits<manual_clock>, strand> timer(
        asio::make_strand(s.context), manual_clock::time_point::max());
    const auto task = [&]() -> asio::awaitable<int, strand> {
        co_await timer.async_wait(asio::use_awaitable_t<strand>());
        co_return 1;
    };
    flowguard::error_code code;
    asio::co_spawn(
        timer.get_executor(),
        [&]() -> asio::awaitable<void, strand> {
            const auto [error, result] = co_await s.guard.run_as_tuple(task, options{.timeout = 30ms});
            code = error;
        },
        asio::detached);
    poll(s.context);
    s.pass(29ms);
    CHECK_FALSE(code);
    s.pass(2ms);
    CHECK(code == error::task_timeout);
}

TEST_CASE("A strand for a task takes Asio's own executors out of a type-erased one, and takes a strand as it is") {
    using any = asio::any_io_executor;
    using flowguard::detail::serialized;
    asio::io_context context;
    asio::thread_pool pool{1};
    const auto of_context = context.get_executor();
    const auto of_pool = pool.get_executor();
    CHECK(serialized(any(of_context)).target_type() == typeid(asio::strand<asio::io_context::executor_type>));
    CHECK(serialized(any(of_pool)).target_type() == typeid(asio::strand<asio::thread_pool::executor_type>));
    const asio::system_executor other;
    CHECK(serialized(any(other)).target_type() == typeid(asio::strand<any>));
    for (const any& strand :
         {any(asio::make_strand(of_context)), any(asio::make_strand(of_pool)), any(asio::make_strand(any(other)))})
        CHECK(serialized(strand) == strand);
}

TEST_CASE("A task on an executor that no strand converts to has a time-out as well") {
    using executor = asio::io_context::executor_type;
    scene s{{.timeout = 30ms}};
    const auto wait = [&]() -> asio::awaitable<int, executor> {
        asio::basic_waitable_timer<manual_clock, asio::wait_traits<manual_clock>, executor> timer{
            co_await asio::this_coro::executor, 40ms};
        co_await timer.async_wait(asio::use_awaitable_t<executor>());
        co_return 1;
    };
    const auto late = start(s.context, s.guard.run(wait));
    const auto in_time = start(s.context, s.guard.run(wait, {.timeout = 50ms}));
    poll(s.context);
    s.pass(30ms);
    CHECK(late->code() == error::task_timeout);
    s.pass(40ms);
    CHECK(in_time->value == 1);
}

// Lifetime

TEST_CASE("A guard may be destroyed while a task with a time-out runs") {
    scene s;
    std::optional<guard_type> guard{std::in_place, scripted_strategy{1}, guard_options{.timeout = 30ms}};
    const auto call = start(s.context, guard->run([&] { return s.g.pass(); }));
    poll(s.context);
    guard.reset();
    s.pass(30ms);
    CHECK(call->code() == error::task_timeout);
}

TEST_CASE("A context may be destroyed while a task with a time-out runs, and before or after its signal") {
    const auto watched = std::make_shared<int>(0);
    guard_type guard{scripted_strategy{3}, {.timeout = 30ms}};
    asio::cancellation_signal outlives;
    {
        asio::io_context context;
        asio::cancellation_signal dies_first;
        start(context, guard.run(support::never_ends, watched));
        start(context, guard.run(support::never_ends, watched), &dies_first);
        start(context, guard.run(support::never_ends, watched), &outlives);
        poll(context);
        CHECK(watched.use_count() == 4);
        CHECK(guard.in_flight() == 3);
    }
    CHECK(watched.use_count() == 1);
    CHECK(guard.in_flight() == 0);
#if SUPPORT_ASIO_VERSION < 102300 // newer Asios' co_spawn leaves a handler in the slot, which refers to the context
    outlives.emit(asio::cancellation_type::terminal);
#endif
}

namespace users {

struct row {
    int id;
};

asio::awaitable<row> load(int id) {
    co_return row{id};
}

// By its argument, it is as good as a function of FlowGuard's with that name.
asio::awaitable<row> checked(asio::awaitable<row>) {
    return load(0);
}

} // namespace users

TEST_CASE("A task with a time-out calls no function of the namespace of its result") {
    scene s{{.timeout = 1h}};
    const auto end = start(s.context, s.guard.run(users::load(7)));
    poll(s.context);
    REQUIRE(end->succeeded());
    CHECK(end->value->id == 7);
}

TEST_CASE("Time-outs of less than a nanosecond are rejected by name, value and range") {
    CHECK(support::rejection_of([] { guard_type{scripted_strategy{1}, {.timeout = 0ns}}; }) ==
          "flowguard: guard_options::timeout is 0 ns, must be at least 1");
    scene s;
    CHECK(support::rejection_of([&] { static_cast<void>(s.guard.run(cancelled_inside, {.timeout = -5ns})); }) ==
          "flowguard: run_options::timeout is -5 ns, must be at least 1");
}
