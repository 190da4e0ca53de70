// flow_guard_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
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
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::window;
using support::at_nine;
using support::check_idle;
using support::fail;
using support::fail_with;
using support::gate;
using support::give;
using support::held;
using support::manual_clock;
using support::message_of;
using support::nothing;
using support::poll;
using support::scripted_strategy;
using support::start;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;

} // namespace

// Results

TEST_CASE("A guarded task returns its result") {
    asio::io_context context;
    flow_guard guard{fixed_limit{2}};
    const auto number = start(context, guard.run(give(42)));
    const auto none = start(context, guard.run(nothing()));
    poll(context);
    REQUIRE(number->succeeded());
    CHECK(*number->value == 42);
    CHECK(none->succeeded());
    CHECK(guard.stats().succeeded == 2);
    check_idle(guard);
}

TEST_CASE("A guarded task may return a result that can only be moved") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto make = [](int value) -> asio::awaitable<std::unique_ptr<int>> { co_return std::make_unique<int>(value); };
    const auto first = start(context, guard.run(make(1)));
    const auto second = start(context, guard.run([&] { return make(2); }));
    const auto third = start(context, guard.try_run([&] { return make(3); }));
    poll(context);
    REQUIRE(first->succeeded());
    CHECK(**first->value == 1);
    REQUIRE(second->succeeded());
    CHECK(**second->value == 2);
    REQUIRE(third->succeeded());
    REQUIRE(third->value->has_value());
    CHECK(***third->value == 3);
}

TEST_CASE("A guarded task may return a result without a default value and without assignment") {
    struct token {
        explicit token(int n) : number(n) {}
        token(token&&) = default;
        token& operator=(token&&) = delete;
        int number;
    };
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto make = [](int n) -> asio::awaitable<token> { co_return token{n}; };
    auto caller = [&]() -> asio::awaitable<int> {
        const token a = co_await guard.run(make(1));
        const token b = co_await guard.run([&] { return make(10); });
        const std::optional<token> c = co_await guard.try_run([&] { return make(100); });
        co_return a.number + b.number + c->number;
    };
    const auto sum = start(context, caller());
    poll(context);
    REQUIRE(sum->succeeded());
    CHECK(*sum->value == 111);
}

TEST_CASE("A guarded task may run on coroutines of another executor type") {
    using executor = asio::io_context::executor_type;
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto make = [](int value) -> asio::awaitable<int, executor> {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable_t<executor>{});
        co_return value;
    };
    auto none = []() -> asio::awaitable<void, executor> { co_return; };
    const auto first = start(context, guard.run(make(1)));
    const auto waits = start(context, guard.run([&] { return make(2); }));
    const auto last = start(context, guard.run(none()));
    const auto shed = start(context, guard.try_run([&] { return make(3); }));
    poll(context);
    REQUIRE(first->succeeded());
    CHECK(*first->value == 1);
    REQUIRE(waits->succeeded());
    CHECK(*waits->value == 2);
    CHECK(last->succeeded());
    REQUIRE(shed->succeeded());
    CHECK_FALSE(shed->value->has_value());
    check_idle(guard);
}

TEST_CASE("A call does not suspend if a permit is free") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto caller = [&]() -> asio::awaitable<int> {
        int sum = 0;
        for (int i = 0; i < 200; ++i)
            sum += co_await guard.run(give(1));
        co_return sum;
    };
    int sum = 0;
    asio::co_spawn(context, caller(), [&](std::exception_ptr, int value) { sum = value; });
    context.poll_one(); // the coroutine
    context.poll_one(); // its completion
    CHECK(sum == 200);
    CHECK(guard.stats().succeeded == 200);
    check_idle(guard);
}

// When a task is started

TEST_CASE("A task is started only after its admission") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    bool started = false;
    auto task = [&]() -> asio::awaitable<void> {
        started = true;
        co_return;
    };
    const auto holder = start(context, guard.run(held(g)));
    const auto waits = start(context, guard.run(task()));
    poll(context);
    CHECK_FALSE(started);
    CHECK(guard.in_flight() == 1);
    CHECK(guard.waiting() == 1);
    g.let_one();
    poll(context);
    CHECK(started);
    CHECK(waits->succeeded());
}

TEST_CASE("A task is made only after its admission, and only once") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    int made = 0;
    const auto holder = start(context, guard.run(held(g)));
    const auto waits = start(context, guard.run([&] {
        ++made;
        return give(5);
    }));
    poll(context);
    CHECK(made == 0);
    g.let_one();
    poll(context);
    CHECK(made == 1);
    REQUIRE(waits->succeeded());
    CHECK(*waits->value == 5);
}

TEST_CASE("A callable that makes tasks may be move-only") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    class six {
    public:
        six() : number_(std::make_unique<int>(6)) {}
        asio::awaitable<int> operator()() const { return give(*number_); }

    private:
        std::unique_ptr<int> number_;
    };
    const auto end = start(context, guard.run(six{}));
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 6);
}

TEST_CASE("A callable that throws instead of making a task counts as a drop, and its permit comes back") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto end = start(context, guard.run([]() -> asio::awaitable<int> { throw std::runtime_error("not made"); }));
    poll(context);
    REQUIRE(end->done);
    CHECK(message_of(end->exception) == "not made");
    CHECK(guard.stats().dropped == 1);
    check_idle(guard);
}

// Exceptions

TEST_CASE("A task's exception reaches the caller as the object that was thrown") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto exception = std::make_exception_ptr(std::domain_error("no such row"));
    const auto plain = start(context, guard.run(fail(exception)));
    const auto made = start(context, guard.run([&] { return fail(exception); }));
    const auto attempt = start(context, guard.try_run([&] { return fail(exception); }));
    poll(context);
    for (const std::exception_ptr& reached : {plain->exception, made->exception, attempt->exception}) {
        CHECK(reached == exception);
        CHECK_THROWS_AS(std::rethrow_exception(reached), std::domain_error);
        CHECK(message_of(reached) == "no such row");
    }
    CHECK(guard.stats().dropped == 3);
    check_idle(guard);
}

TEST_CASE("An exception that is no std::exception reaches the caller, too") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto end = start(context, guard.run(fail_with(42)));
    poll(context);
    REQUIRE(end->done);
    CHECK_THROWS_AS(std::rethrow_exception(end->exception), int);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("The strategy learns which tasks succeeded, were ignored, and were dropped") {
    at_nine set_clock;
    asio::io_context context;
    scripted_strategy strategy{1};
    scripted_guard guard{strategy, {.min_window = 6}};
    const auto shed =
        start(context, guard.run(fail_with(asio::system_error(flowguard::error::shed)))); // further inside
    const auto timed_out = start(context, guard.run(fail_with(asio::system_error(asio::error::timed_out))));
    const auto failed = start(context, guard.run(fail_with(std::runtime_error("no luck"))));
    for (int i = 0; i < 3; ++i)
        start(context, guard.run(nothing()));
    poll(context);
    CHECK(shed->code() == flowguard::error::shed);
    CHECK(timed_out->code() == asio::error::timed_out);
    CHECK(message_of(failed->exception) == "no luck");

    const guard_stats s = guard.stats();
    CHECK(s.succeeded == 3);
    CHECK(s.ignored == 1);
    CHECK(s.dropped == 2);
    CHECK(s.windows == 1);
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.admitted == 6);
    CHECK(w.all.samples == 3);
    CHECK(w.ignored == 1);
    CHECK(w.dropped == 2);
    CHECK(w.limit == 1);
    CHECK(w.max_in_flight == 1);
}

TEST_CASE("A classifier decides what a result says about the load") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto by_status = [](const int& status) {
        return status == 503 ? outcome::dropped : status == 400 ? outcome::ignored : outcome::success;
    };
    const auto overload = start(context, guard.run(give(503), by_status));
    const auto bad = start(context, guard.run([] { return give(400); }, by_status));
    const auto good = start(context, guard.try_run([] { return give(200); }, by_status));
    const auto none = start(context, guard.run(nothing(), [] { return outcome::dropped; }));
    poll(context);
    CHECK(*overload->value == 503);
    CHECK(*bad->value == 400);
    CHECK(**good->value == 200);
    CHECK(none->succeeded());
    CHECK(guard.stats().dropped == 2);
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().succeeded == 1);
}

TEST_CASE("A classifier decides what an exception says about the load") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto end = start(context, guard.run(fail_with(std::runtime_error("bad request")),
                                              [](std::exception_ptr) { return outcome::ignored; }));
    poll(context);
    CHECK(message_of(end->exception) == "bad request");
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().dropped == 0);
}

TEST_CASE("With drops_only, other exceptions are ignored, but a cancellation without a cancelled caller is a drop") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const flowguard::drops_only<std::runtime_error> classify;
    const auto wrong = start(context, guard.run(fail_with(std::logic_error("not found")), classify));
    const auto busy = start(context, guard.run(fail_with(std::runtime_error("full")), classify));
    const auto timed_out =
        start(context, guard.run(fail_with(flowguard::system_error(asio::error::operation_aborted)), classify));
    poll(context);
    CHECK(message_of(wrong->exception) == "not found");
    CHECK(message_of(busy->exception) == "full");
    CHECK(timed_out->code() == asio::error::operation_aborted);
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().dropped == 2);
}

TEST_CASE("A classifier that throws loses no permit") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto on_result =
        start(context, guard.run(give(1), [](const int&) -> outcome { throw std::runtime_error("undecided"); }));
    const auto on_exception =
        start(context, guard.run(fail_with(std::logic_error("no sense")),
                                 [](std::exception_ptr) -> outcome { throw std::runtime_error("unheard"); }));
    poll(context);
    CHECK(message_of(on_result->exception) == "undecided");
    CHECK(message_of(on_exception->exception) == "unheard");
    const guard_stats s = guard.stats();
    CHECK(s.succeeded + s.ignored + s.dropped == 2);
    check_idle(guard);
}

// Shedding

TEST_CASE("An attempt without a free permit is shed, and its task is not made") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    int made = 0;
    const auto holder = start(context, guard.run(held(g)));
    const auto number = start(context, guard.try_run([&] {
        ++made;
        return give(1);
    }));
    const auto none = start(context, guard.try_run([&] {
        ++made;
        return nothing();
    }));
    poll(context);
    REQUIRE(number->succeeded());
    CHECK_FALSE(number->value->has_value());
    REQUIRE(none->succeeded());
    CHECK(*none->value == false);
    CHECK(made == 0);
    CHECK(guard.stats().shed == 2);
    CHECK(guard.waiting() == 0);
    g.let_one();
    poll(context);
    check_idle(guard);
    CHECK(guard.stats().succeeded == 1);
}

TEST_CASE("An attempt with a free permit returns the task's result") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto number = start(context, guard.try_run([] { return give(7); }));
    const auto none = start(context, guard.try_run([] { return nothing(); }));
    poll(context);
    REQUIRE(number->succeeded());
    CHECK(**number->value == 7);
    REQUIRE(none->succeeded());
    CHECK(*none->value == true);
    CHECK(guard.stats().shed == 0);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("The result of an attempt tells an empty task result from a shed call") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto empty = []() -> asio::awaitable<std::optional<int>> { co_return std::nullopt; };
    const auto end = start(context, guard.try_run(empty));
    poll(context);
    REQUIRE(end->succeeded());
    REQUIRE(end->value->has_value());
    CHECK_FALSE((*end->value)->has_value());
}

TEST_CASE("An attempt does not overtake waiters") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    const auto holder = start(context, guard.run(held(g, 1)));
    const auto waits = start(context, guard.run(held(g, 2)));
    poll(context);
    auto before = guard.try_acquire();
    CHECK_FALSE(before);
    g.let_one();
    poll(context);
    CHECK(holder->succeeded());
    CHECK_FALSE(guard.try_acquire());
    g.let_one();
    poll(context);
    CHECK(waits->succeeded());
    CHECK(guard.try_acquire());
    CHECK(guard.stats().shed == 2);
}

// Arguments

TEST_CASE("An initial limit out of range is rejected by name, value and range") {
    CHECK_THROWS_AS(scripted_guard(scripted_strategy{0}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(scripted_strategy{0}),
                      Catch::Contains("initial limit") && Catch::Contains("is 0") && Catch::Contains("[1, 268435455]"));
    CHECK_THROWS_AS(scripted_guard(scripted_strategy{flowguard::max_limit + 1}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(scripted_strategy{flowguard::max_limit + 1}), Catch::Contains("268435456"));
    CHECK_NOTHROW(scripted_guard(scripted_strategy{flowguard::max_limit}));
}

TEST_CASE("A min_window out of range is rejected by name, value and range") {
    const scripted_strategy strategy{1};
    CHECK_THROWS_AS(scripted_guard(strategy, {.min_window = 0}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(strategy, {.min_window = 0}),
                      Catch::Contains("min_window") && Catch::Contains("is 0") && Catch::Contains("[1, 268435455]"));
    CHECK_THROWS_AS(scripted_guard(strategy, {.min_window = flowguard::max_limit + 1}), std::invalid_argument);
    CHECK_NOTHROW(scripted_guard(strategy, {.min_window = 1}));
}

TEST_CASE("A moved-from task is rejected by name, and takes no permit") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto task = give(1);
    const auto moved = start(context, std::move(task));
    CHECK_THROWS_AS(guard.run(std::move(task)), std::invalid_argument);         // NOLINT(bugprone-use-after-move)
    CHECK_THROWS_WITH(guard.run(std::move(task)), Catch::Contains("task is a")); // NOLINT(bugprone-use-after-move)
    poll(context);
    check_idle(guard);
}

TEST_CASE("A callable that makes a moved-from task is rejected by name, and its permit comes back") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto run = start(context, guard.run([] { return asio::awaitable<int>(); }));
    const auto attempt = start(context, guard.try_run([] { return asio::awaitable<void>(); }));
    poll(context);
    for (const std::exception_ptr& e : {run->exception, attempt->exception}) {
        REQUIRE(e);
        CHECK_THROWS_AS(std::rethrow_exception(e), std::invalid_argument);
        CHECK_THAT(message_of(e), Catch::Contains("task"));
    }
    check_idle(guard);
}
