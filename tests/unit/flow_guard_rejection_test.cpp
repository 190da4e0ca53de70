// flow_guard_rejection_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// How a call tells its caller that it was not admitted: run() by an exception, run_as_tuple() by an error_code, and
// try_run_for() by no result.

#include "flowguard/flow_guard.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "flowguard/error.hpp"
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
using flowguard::outcome;
using support::ending;
using support::manual_clock;
using support::poll;
using support::rows;
using support::scripted_strategy;
using support::start;

using guard_type = flow_guard<scripted_strategy, manual_clock>;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

asio::awaitable<rows> query(int& started) {
    ++started;
    co_return rows(7);
}

asio::awaitable<void> command(int& started) {
    ++started;
    co_return;
}

// A guard with one permit, which is taken, and a call of run() and run_as_tuple() for a task with a result and one
// without.
struct scene {
    explicit scene(const guard_options& o = {}) {
        manual_clock::at = 9h;
        guard.emplace(scripted_strategy{1}, o);
        held = guard->try_acquire();
        REQUIRE(held);
    }

    void start_calls(const options& how = {}) {
        const auto make_query = [this] { return query(started); };
        const auto make_command = [this] { return command(started); };
        thrown = start(context, guard->run(make_query, how), &signals[0]);
        thrown_void = start(context, guard->run(make_command, how), &signals[1]);
        tuple = start(context, guard->run_as_tuple(make_query, how), &signals[2]);
        tuple_void = start(context, guard->run_as_tuple(make_command, how), &signals[3]);
        poll(context);
    }

    void check_waiting() const {
        CHECK_FALSE(thrown->done);
        CHECK_FALSE(thrown_void->done);
        CHECK_FALSE(tuple->done);
        CHECK_FALSE(tuple_void->done);
        CHECK(guard->waiting() == 4);
    }

    void check_rejected(error_code expected) {
        CHECK(thrown->code() == expected);
        CHECK(thrown_void->code() == expected);
        REQUIRE(tuple->succeeded());
        CHECK(std::get<0>(*tuple->value) == expected);
        CHECK_FALSE(std::get<1>(*tuple->value).has_value());
        REQUIRE(tuple_void->succeeded());
        CHECK(std::get<0>(*tuple_void->value) == expected);
        held.ignore();
        poll(context);
        CHECK(started == 0);
        if (guard) {
            CHECK(guard->in_flight() == 0);
            CHECK(guard->waiting() == 0);
        }
    }

    asio::cancellation_signal signals[4]; // destroyed after the coroutines
    asio::io_context context;
    std::optional<guard_type> guard;
    guard_type::ticket held;
    int started = 0;
    std::shared_ptr<const ending<rows>> thrown;
    std::shared_ptr<const ending<void>> thrown_void;
    std::shared_ptr<const ending<std::tuple<error_code, std::optional<rows>>>> tuple;
    std::shared_ptr<const ending<std::tuple<error_code>>> tuple_void;
};

} // namespace

// Each reason, in both forms

TEST_CASE("Both forms tell that the queue is full") {
    scene s{{.max_waiters = 0}};
    s.start_calls();
    CHECK(s.guard->stats().shed_from_full == 4);
    s.check_rejected(error::shed);
}

TEST_CASE("Both forms tell that no permit came within max_wait") {
    scene s{{.max_wait = 50ms}};
    s.start_calls();
    support::pass(s.context, 49ms);
    s.check_waiting();
    support::pass(s.context, 1ms);
    CHECK(s.guard->stats().timed_out == 4);
    s.check_rejected(error::wait_timeout);
}

TEST_CASE("Both forms tell at once that no permit is free, with a max_wait of 0") {
    scene s{{.max_wait = 0ns}};
    s.start_calls();
    CHECK(s.guard->stats().timed_out == 4);
    s.check_rejected(error::wait_timeout);
}

TEST_CASE("Both forms tell that the deadline passed before the call, or while it waited") {
    scene s;
    SECTION("before") {
        s.start_calls({.deadline = manual_clock::now()});
    }
    SECTION("while it waited") {
        s.start_calls({.deadline = manual_clock::now() + 20ms});
        s.check_waiting();
        support::pass(s.context, 20ms);
    }
    CHECK(s.guard->stats().timed_out == 4);
    s.check_rejected(error::wait_timeout);
}

TEST_CASE("Both forms tell that the permit came after the deadline") {
    scene s;
    s.start_calls({.deadline = manual_clock::now() + 20ms});
    s.held.success(); // the permit is granted to the first call, but its coroutine has not run yet
    support::pass(s.context, 20ms);
    s.check_rejected(error::wait_timeout);
}

TEST_CASE("Both forms tell that the guard was closed before the call, or while it waited") {
    scene s;
    SECTION("before") {
        s.guard->close();
        s.start_calls();
    }
    SECTION("while it waited") {
        s.start_calls();
        s.check_waiting();
        s.guard->close();
        poll(s.context);
    }
    CHECK(s.guard->stats().closed == 4);
    s.check_rejected(error::closed);
}

TEST_CASE("Both forms tell that the call is overdue") {
    scene s{{.order = flowguard::wait_order::adaptive, .target = 10ms, .interval = 50ms}};
    s.start_calls();
    support::pass(s.context, 51ms);
    const auto last = start(s.context, s.guard->run_as_tuple([&] { return command(s.started); }));
    poll(s.context);
    CHECK(s.guard->stats().shed_as_overdue == 4);
    s.held.ignore();
    poll(s.context);
    CHECK(std::get<0>(*last->value) == error_code());
    CHECK(s.started == 1);
    s.started = 0;
    s.check_rejected(error::shed);
}

TEST_CASE("Both forms tell that the guard was destroyed before the call started, or while it waited") {
    scene s;
    SECTION("before the call started") {
        const auto calls = [&s] { return s.guard->run_as_tuple([&s] { return command(s.started); }); };
        auto made = calls();
        s.guard.reset();
        const auto end = start(s.context, std::move(made));
        poll(s.context);
        REQUIRE(end->succeeded());
        CHECK(std::get<0>(*end->value) == asio::error::operation_aborted);
        CHECK(s.started == 0);
    }
    SECTION("while it waited") {
        s.start_calls();
        s.check_waiting();
        s.guard.reset();
        poll(s.context);
        s.check_rejected(asio::error::operation_aborted);
    }
}

TEST_CASE("Both forms tell that the call was cancelled while it waited") {
    scene s;
    s.start_calls();
    s.check_waiting();
    for (asio::cancellation_signal& signal : s.signals)
        signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(s.guard->stats().cancelled == 4);
    s.check_rejected(asio::error::operation_aborted);
}

TEST_CASE("Both forms tell that too many long-lived tasks run") {
    scene s{{.max_long_lived = 0}};
    s.start_calls({.long_lived = true});
    CHECK(s.guard->stats().shed_at_once == 4);
    s.check_rejected(error::shed);
}

// Admitted calls as tuples

TEST_CASE("run_as_tuple returns what the task returns, without an error") {
    scene s;
    s.held.ignore();
    const auto as_callable = start(s.context, s.guard->run_as_tuple([&] { return query(s.started); }));
    const auto as_task = start(s.context, s.guard->run_as_tuple(query(s.started)));
    const auto with_arguments = start(s.context, s.guard->run_as_tuple(query, std::ref(s.started)));
    const auto with_options = start(s.context, s.guard->run_as_tuple({.kind = 1}, query, std::ref(s.started)));
    const auto bypassing = start(s.context, s.guard->run_as_tuple(query(s.started), {.bypass = true}));
    const auto long_lived = start(s.context, s.guard->run_as_tuple(query(s.started), {.long_lived = true}));
    const auto without_result = start(s.context, s.guard->run_as_tuple(command(s.started)));
    const auto bypassing_without_result = start(s.context, s.guard->run_as_tuple(command(s.started), {.bypass = true}));
    const auto long_lived_without_result =
        start(s.context, s.guard->run_as_tuple(command(s.started), {.long_lived = true}));
    poll(s.context);
    for (const auto& end : {as_callable, as_task, with_arguments, with_options, bypassing, long_lived}) {
        REQUIRE(end->succeeded());
        CHECK_FALSE(std::get<0>(*end->value));
        CHECK(std::get<1>(*end->value)->count() == 7);
    }
    for (const auto& end : {without_result, bypassing_without_result, long_lived_without_result}) {
        REQUIRE(end->succeeded());
        CHECK_FALSE(std::get<0>(*end->value));
    }
    CHECK(s.started == 9);
    CHECK(s.guard->stats().succeeded == 5);
    support::check_idle(*s.guard);
}

TEST_CASE("run_as_tuple waits for a permit, and asks the classifier") {
    scene s;
    const auto few = [](const rows& r) { return r.count() < 10 ? outcome::dropped : outcome::success; };
    const auto end = start(s.context, s.guard->run_as_tuple([&] { return query(s.started); }, few));
    poll(s.context);
    CHECK_FALSE(end->done);
    s.held.ignore();
    poll(s.context);
    REQUIRE(end->succeeded());
    CHECK(std::get<1>(*end->value)->count() == 7);
    CHECK(s.guard->stats().dropped == 1);
}

TEST_CASE("What a task throws is thrown by run_as_tuple, also if it is a system_error") {
    scene s;
    s.held.ignore();
    const auto thrown =
        start(s.context, s.guard->run_as_tuple([] { return support::fail_with(std::runtime_error("no rows")); }));
    const auto code = start(s.context, s.guard->run_as_tuple([] {
        return support::fail_with(asio::system_error(asio::error::connection_reset));
    }));
    poll(s.context);
    CHECK(support::message_of(thrown->exception) == "no rows");
    CHECK(code->code() == asio::error::connection_reset);
    CHECK(s.guard->stats().dropped == 2);
    support::check_idle(*s.guard);
}

TEST_CASE("A moved-from task is no rejection, but a mistake") {
    scene s;
    auto task = command(s.started);
    const auto moved = std::move(task);
    CHECK_THROWS_AS(s.guard->run_as_tuple(std::move(task)), std::invalid_argument); // NOLINT(bugprone-use-after-move)
}

// Without suspending

TEST_CASE("A call that is rejected before it waits does not suspend") {
    scene s{{.max_waiters = 0}};
    bool other_has_run = false;
    std::size_t rejected = 0;
    const auto caller = [&]() -> asio::awaitable<void> {
        asio::post(s.context, [&] { other_has_run = true; });
        const auto [error] = co_await s.guard->run_as_tuple(command(s.started));
        rejected += error == flowguard::error::shed ? 1 : 0;
        try {
            co_await s.guard->run(command(s.started));
        } catch (const asio::system_error& e) {
            rejected += e.code() == flowguard::error::shed ? 1 : 0;
        }
        rejected += co_await s.guard->try_run_for(1h, command, std::ref(s.started)) ? 0 : 1;
        s.guard->close();
        const auto [closed] = co_await s.guard->run_as_tuple(command(s.started));
        rejected += closed == flowguard::error::closed ? 1 : 0;
        CHECK_FALSE(other_has_run);
    };
    const auto end = start(s.context, caller());
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(rejected == 4);
    CHECK(other_has_run);
    CHECK(s.started == 0);
}

TEST_CASE("An observer that destroys the guard does not disturb the call that it was told of") {
    scene s;
    s.held.ignore();
    s.guard.emplace(scripted_strategy{1},
                    guard_options{.max_waiters = 0, .on_rejection = [&](flowguard::rejection) { s.guard.reset(); }});
    s.held = s.guard->try_acquire();
    const auto end = start(s.context, s.guard->run_as_tuple([&] { return query(s.started); }));
    poll(s.context);
    REQUIRE(end->succeeded());
    CHECK(std::get<0>(*end->value) == error::shed);
    CHECK_FALSE(s.guard.has_value());
}

// Attempts that wait for a while

TEST_CASE("An attempt gets a permit that comes in time") {
    scene s;
    const auto with_result = start(s.context, s.guard->try_run_for(20ms, query, std::ref(s.started)));
    const auto without = start(s.context, s.guard->try_run_for(20ms, [&] { return command(s.started); }));
    poll(s.context);
    support::pass(s.context, 19ms);
    CHECK_FALSE(with_result->done);
    s.held.ignore();
    poll(s.context);
    REQUIRE(with_result->succeeded());
    CHECK((*with_result->value)->count() == 7);
    CHECK(without->value == true);
    support::pass(s.context, 1h);
    CHECK(s.guard->stats().timed_out == 0);
    support::check_idle(*s.guard);
}

TEST_CASE("An attempt has no result if no permit comes in time") {
    scene s;
    const auto with_result = start(s.context, s.guard->try_run_for(20ms, query, std::ref(s.started)));
    const auto without = start(s.context, s.guard->try_run_for(20ms, [&] { return command(s.started); }));
    poll(s.context);
    support::pass(s.context, 20ms);
    REQUIRE(with_result->succeeded());
    CHECK_FALSE(with_result->value->has_value());
    CHECK(without->value == false);
    CHECK(s.guard->stats().timed_out == 2);
    CHECK(s.guard->waiting() == 0);
    CHECK(s.started == 0);
}

TEST_CASE("An attempt that waits counts its time from its start, not from when it was made") {
    scene s;
    auto made = s.guard->try_run_for(20ms, command, std::ref(s.started));
    manual_clock::at += 1h;
    const auto end = start(s.context, std::move(made));
    poll(s.context);
    support::pass(s.context, 19ms);
    CHECK_FALSE(end->done);
    support::pass(s.context, 1ms);
    CHECK(end->value == false);
}

TEST_CASE("An attempt takes a permit that is free, however short it would wait") {
    scene s;
    s.held.ignore();
    for (const auto longest : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
        const auto end = start(s.context, s.guard->try_run_for(longest, command, std::ref(s.started)));
        poll(s.context);
        CHECK(end->value == true);
    }
    s.held = s.guard->try_acquire();
    for (const auto longest : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
        const auto end = start(s.context, s.guard->try_run_for(longest, command, std::ref(s.started)));
        poll(s.context);
        CHECK(end->value == false);
    }
    CHECK(s.guard->stats().timed_out == 3);
}

TEST_CASE("The time that an attempt waits may be of any unit and size") {
    scene s;
    const auto for_ever =
        start(s.context, s.guard->try_run_for(std::chrono::hours::max(), command, std::ref(s.started)));
    const auto half =
        start(s.context, s.guard->try_run_for(std::chrono::duration<double>(0.5), command, std::ref(s.started)));
    poll(s.context);
    support::pass(s.context, 499ms);
    CHECK_FALSE(half->done);
    support::pass(s.context, 1ms);
    CHECK(half->value == false);
    CHECK_FALSE(for_ever->done);
    s.held.ignore();
    poll(s.context);
    CHECK(for_ever->value == true);
}

TEST_CASE("An attempt waits no longer than the guard and its deadline allow") {
    scene s{{.max_wait = 50ms}};
    const auto by_guard = start(s.context, s.guard->try_run_for(1h, command, std::ref(s.started)));
    const auto by_deadline = start(
        s.context, s.guard->try_run_for(1h, {.deadline = manual_clock::now() + 20ms}, command, std::ref(s.started)));
    const auto by_both = start(s.context, s.guard->try_run_for(10ms, [&] { return command(s.started); },
                                                               {.deadline = manual_clock::now() + 20ms}));
    poll(s.context);
    support::pass(s.context, 10ms);
    CHECK(by_both->value == false);
    CHECK_FALSE(by_deadline->done);
    support::pass(s.context, 10ms);
    CHECK(by_deadline->value == false);
    CHECK_FALSE(by_guard->done);
    support::pass(s.context, 30ms);
    CHECK(by_guard->value == false);
}

TEST_CASE("An attempt has no result if it is shed, or the guard is closed, while it waits") {
    scene s{{.max_waiters = 1}};
    const auto waits = start(s.context, s.guard->try_run_for(1h, query, std::ref(s.started)));
    const auto shed = start(s.context, s.guard->try_run_for(1h, query, std::ref(s.started)));
    poll(s.context);
    REQUIRE(shed->succeeded());
    CHECK_FALSE(shed->value->has_value());
    s.guard->close();
    poll(s.context);
    REQUIRE(waits->succeeded());
    CHECK_FALSE(waits->value->has_value());
    CHECK(s.started == 0);
}

TEST_CASE("An attempt that is cancelled while it waits, or whose guard is destroyed, ends with operation_aborted") {
    scene s;
    const auto cancelled = start(s.context, s.guard->try_run_for(1h, query, std::ref(s.started)), &s.signals[0]);
    const auto destroyed = start(s.context, s.guard->try_run_for(1h, query, std::ref(s.started)));
    poll(s.context);
    s.signals[0].emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    s.guard.reset();
    poll(s.context);
    CHECK(destroyed->code() == asio::error::operation_aborted);
    CHECK(s.started == 0);
}
