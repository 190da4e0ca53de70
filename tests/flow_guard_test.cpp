// flow_guard_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::plan;
using flowguard::window;
using support::fixed_limit;
using support::gate;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;
using support::start;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = scripted_guard::ticket;

asio::awaitable<int> give(int value) {
    co_return value;
}

asio::awaitable<void> nothing() {
    co_return;
}

asio::awaitable<int> fail(std::exception_ptr exception) {
    std::rethrow_exception(exception);
    co_return 0;
}

template <class E>
asio::awaitable<int> fail_with(E exception) {
    return fail(std::make_exception_ptr(std::move(exception)));
}

asio::awaitable<int> held(gate& g, int value = 0) {
    co_await g.pass();
    co_return value;
}

// Never ends by itself, and has something in its frame to be watched.
asio::awaitable<void> never_ends(std::shared_ptr<int> watched) {
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    ++*watched;
}

// Sets the clock, so that each test has it to itself.
struct at_nine {
    at_nine() { manual_clock::at = 9h; }
};

// What a limit is: nobody is in, and everybody may go in.
template <class Guard>
void check_idle(const Guard& guard) {
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
    CHECK(guard.available_permits() == guard.current_limit());
}

template <class Guard>
void use_up(Guard& guard, std::size_t admissions) {
    for (std::size_t i = 0; i < admissions; ++i)
        guard.try_acquire().success();
}

std::string message_of(std::exception_ptr exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& e) {
        return e.what();
    }
}

} // namespace

// Results

TEST_CASE("A guarded task gives its result") {
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

TEST_CASE("A guarded task may give what can only be moved") {
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

TEST_CASE("A guarded task may give what has no default and cannot be assigned") {
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

TEST_CASE("A call with a permit free does not suspend") {
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

TEST_CASE("A task is started only once admitted") {
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

TEST_CASE("A task is made only once admitted, and once") {
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

TEST_CASE("A callable that makes tasks may be one that can only be moved") {
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

TEST_CASE("A callable that throws instead of making a task is a drop, and gives its permit back") {
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

TEST_CASE("An exception that is no std::exception reaches the caller as well") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto end = start(context, guard.run(fail_with(42)));
    poll(context);
    REQUIRE(end->done);
    CHECK_THROWS_AS(std::rethrow_exception(end->exception), int);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("The strategy is told of successes, ignored and dropped tasks") {
    at_nine set_clock;
    asio::io_context context;
    scripted_strategy strategy{1};
    scripted_guard guard{strategy, {.min_window = 6}};
    const auto aborted = start(context, guard.run(fail_with(asio::system_error(asio::error::operation_aborted))));
    const auto timed_out = start(context, guard.run(fail_with(asio::system_error(asio::error::timed_out))));
    const auto failed = start(context, guard.run(fail_with(std::runtime_error("no luck"))));
    for (int i = 0; i < 3; ++i)
        start(context, guard.run(nothing()));
    poll(context);
    CHECK(aborted->code() == asio::error::operation_aborted);
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
    CHECK(w.samples == 3);
    CHECK(w.ignored == 1);
    CHECK(w.dropped == 2);
    CHECK(w.limit == 1);
    CHECK(w.max_in_flight == 1);
}

TEST_CASE("A classifier decides what a result says of load") {
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

TEST_CASE("A classifier decides what an exception says of load") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    const auto end = start(context, guard.run(fail_with(std::runtime_error("bad request")),
                                              [](std::exception_ptr) { return outcome::ignored; }));
    poll(context);
    CHECK(message_of(end->exception) == "bad request");
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().dropped == 0);
}

TEST_CASE("A classifier that throws leaves no permit lost") {
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

TEST_CASE("An attempt without a permit free is shed, and its task not made") {
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

TEST_CASE("An attempt with a permit free gives the task's result") {
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

TEST_CASE("An attempt tells an empty result from being shed") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto empty = []() -> asio::awaitable<std::optional<int>> { co_return std::nullopt; };
    const auto end = start(context, guard.try_run(empty));
    poll(context);
    REQUIRE(end->succeeded());
    REQUIRE(end->value->has_value());
    CHECK_FALSE((*end->value)->has_value());
}

TEST_CASE("An attempt does not overtake who waits already") {
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

// Tickets

TEST_CASE("A ticket is had when a permit is free, and is empty otherwise") {
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

TEST_CASE("A ticket dropped without a verdict counts as ignored") {
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

TEST_CASE("A ticket's first verdict holds") {
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

TEST_CASE("An empty ticket's verdict is without effect") {
    ticket t;
    CHECK_FALSE(t);
    t.success();
    t.ignore();
    t.drop();
    CHECK_FALSE(t);
}

TEST_CASE("A ticket moves its permit and its time of admission along") {
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
    CHECK(strategy.windows().front().mean_rtt == 7ms);
}

TEST_CASE("A ticket that is assigned to gives back, as ignored, what it held") {
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

TEST_CASE("A ticket can be waited for by a handler, which never runs inside the call") {
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

TEST_CASE("A ticket can be waited for by a coroutine") {
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

TEST_CASE("A ticket that its handler does not take goes back as ignored") {
    asio::io_context context;
    flow_guard guard{context.get_executor(), fixed_limit{1}};
    guard.async_acquire([](flowguard::error_code, auto) {});
    poll(context);
    check_idle(guard);
    CHECK(guard.stats().ignored == 1);
}

// Order, and limits

TEST_CASE("Callers are admitted first come, first served") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
    std::vector<int> order;
    std::vector<int> expected;
    for (int i = 0; i < 20; ++i) {
        start(context, guard.run([&, i] {
            order.push_back(i);
            return held(g);
        }));
        expected.push_back(i);
    }
    poll(context);
    CHECK(order == std::vector<int>{0});
    CHECK(guard.waiting() == 19);
    while (g.let_one())
        poll(context);
    CHECK(order == expected);
    check_idle(guard);
}

TEST_CASE("A guard counts 200 runs one after the other") {
    asio::io_context context;
    flow_guard guard{fixed_limit{2}};
    auto caller = [&]() -> asio::awaitable<int> {
        int sum = 0;
        for (int i = 0; i < 200; ++i)
            sum += co_await guard.run([&]() -> asio::awaitable<int> {
                co_await asio::post(context, asio::use_awaitable);
                co_return 1;
            });
        co_return sum;
    };
    const auto end = start(context, caller());
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 200);
    CHECK(guard.stats().succeeded == 200);
    check_idle(guard);
}

TEST_CASE("A guard with a limit of 2 runs 10000 tasks, never more than 2 at once") {
    asio::io_context context;
    flow_guard guard{fixed_limit{2}};
    int running = 0;
    int most = 0;
    auto task = [&]() -> asio::awaitable<void> {
        most = std::max(most, ++running);
        co_await asio::post(context, asio::use_awaitable);
        --running;
    };
    int completed = 0;
    for (int i = 0; i < 10'000; ++i)
        asio::co_spawn(context, guard.run(task), [&](std::exception_ptr e) { completed += e ? 0 : 1; });
    poll(context);
    CHECK(completed == 10'000);
    CHECK(most == 2);
    CHECK(guard.stats().succeeded == 10'000);
    CHECK(guard.stats().shed == 0);
    check_idle(guard);
}

TEST_CASE("A limit lowered from 100 to 1 admits nobody until all but one, and one more, have come back") {
    at_nine set_clock;
    asio::io_context context;
    scripted_strategy strategy{100, {{100, 1}, {1}}};
    scripted_guard guard{strategy};
    use_up(guard, 150); // the first window; the second is of one
    REQUIRE(strategy.windows().size() == 1);

    ticket member = guard.try_acquire();
    std::vector<ticket> others;
    for (int i = 0; i < 99; ++i) {
        others.push_back(guard.try_acquire());
        REQUIRE(others.back());
    }
    CHECK_FALSE(guard.try_acquire());
    CHECK(guard.in_flight() == 100);
    const auto waits = start(context, guard.run(give(1)));
    poll(context);

    member.success(); // the first to come back closes the window
    REQUIRE(strategy.windows().size() == 2);
    CHECK(guard.current_limit() == 1);
    CHECK(guard.in_flight() == 99);
    CHECK(guard.available_permits() == 0);
    for (int i = 0; i < 98; ++i) {
        others.pop_back();
        poll(context);
        REQUIRE_FALSE(waits->done);
        REQUIRE(guard.waiting() == 1);
    }
    CHECK(guard.in_flight() == 1);
    others.pop_back();
    poll(context);
    CHECK(waits->succeeded());
    check_idle(guard);
    CHECK(guard.available_permits() == 1);
}

TEST_CASE("A raised limit admits those who wait, at once") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_guard guard{scripted_strategy{1, {{4}}}, {.min_window = 1}};
    ticket t = guard.try_acquire();
    for (int i = 0; i < 6; ++i)
        start(context, guard.run(held(g)));
    poll(context);
    CHECK(guard.waiting() == 6);
    t.success();
    CHECK(guard.current_limit() == 4);
    CHECK(guard.waiting() == 2);
    CHECK(guard.in_flight() == 4);
    while (g.let_all() + poll(context) > 0) {
    }
    check_idle(guard);
}

TEST_CASE("A dip ends exactly when its admissions have been made") {
    at_nine set_clock;
    scripted_strategy strategy{6, {{2, 5, 8}, {3}}};
    scripted_guard guard{strategy, {.min_window = 9}};
    use_up(guard, 8);
    CHECK(guard.current_limit() == 6);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 2);

    ticket first = guard.try_acquire();
    CHECK(first);
    for (int admitted = 1; admitted < 4; ++admitted) {
        ticket t = guard.try_acquire();
        CHECK(t);
        CHECK_FALSE(guard.try_acquire());
        CHECK(guard.current_limit() == 2);
    }
    ticket fifth = guard.try_acquire();
    CHECK(fifth);
    CHECK(guard.current_limit() == 8);
    CHECK(guard.available_permits() == 6);
    CHECK(strategy.windows().size() == 1);

    ticket later = guard.try_acquire(); // of no window
    first.success();
    CHECK(strategy.windows().size() == 1);
    fifth.success();
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows().back().limit == 2);
    CHECK(strategy.windows().back().admitted == 5);
    CHECK(strategy.windows().back().max_in_flight == 2);
    CHECK(guard.current_limit() == 3);
    later.success();
    check_idle(guard);
}

TEST_CASE("A dip admits those who wait when it ends") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_guard guard{scripted_strategy{4, {{1, 3, 4}, {4}}}, {.min_window = 6}};
    use_up(guard, 5);
    ticket last = guard.try_acquire();
    for (int i = 0; i < 10; ++i)
        start(context, guard.run(held(g)));
    poll(context); // three come in beside `last`
    CHECK(guard.in_flight() == 4);
    last.success(); // the dip begins: one of four
    CHECK(guard.current_limit() == 1);
    CHECK(guard.in_flight() == 3);
    CHECK(guard.waiting() == 7);
    for (const std::size_t in_flight : {2U, 1U}) {
        g.let_one();
        poll(context);
        CHECK(guard.in_flight() == in_flight);
        CHECK(guard.waiting() == 7);
    }
    for (const std::size_t waiting : {6U, 5U}) {
        g.let_one();
        poll(context);
        CHECK(guard.in_flight() == 1);
        CHECK(guard.waiting() == waiting);
        CHECK(guard.current_limit() == 1);
    }
    g.let_one();
    poll(context); // the third of the dip comes in, and with it three more
    CHECK(guard.current_limit() == 4);
    CHECK(guard.in_flight() == 4);
    CHECK(guard.waiting() == 1);
    while (g.let_all() + poll(context) > 0) {
    }
    check_idle(guard);
}

TEST_CASE("A plan without a limit after it keeps its limit") {
    scripted_guard guard{scripted_strategy{6, {{2, 3}}}, {.min_window = 9}};
    use_up(guard, 9);
    CHECK(guard.current_limit() == 2);
    use_up(guard, 3);
    CHECK(guard.current_limit() == 2);
    CHECK(guard.stats().windows == 2);
}

TEST_CASE("A plan that is out of range is clamped") {
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    scripted_guard guard{scripted_strategy{1, {{0, 1}, {huge, 1}, {1, 1, huge}, {1, huge}, {5, 1}}}, {.min_window = 1}};
    use_up(guard, 1);
    CHECK(guard.current_limit() == 1);
    use_up(guard, 1);
    CHECK(guard.current_limit() == flowguard::max_limit);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 1);
    const ticket t = guard.try_acquire();
    CHECK(guard.current_limit() == flowguard::max_limit);
}

TEST_CASE("A plan for a huge window gets one that is not closed soon") {
    for (const std::size_t admissions : {(std::size_t{1} << 33) + 1, std::numeric_limits<std::size_t>::max()}) {
        scripted_strategy strategy{1, {{1, admissions, 2}}};
        scripted_guard guard{strategy, {.min_window = 1}};
        use_up(guard, 1000);
        CHECK(strategy.windows().size() == 1);
        CHECK(guard.current_limit() == 1);
        check_idle(guard);
    }
}

TEST_CASE("The guard's own windows are 1.5 times the limit, or the least size") {
    scripted_strategy strategy{10, {{10}, {2}, {2}}};
    scripted_guard guard{strategy, {.min_window = 7}};
    use_up(guard, 14);
    CHECK(strategy.windows().empty());
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 1);
    use_up(guard, 15);
    REQUIRE(strategy.windows().size() == 2);
    use_up(guard, 7);
    REQUIRE(strategy.windows().size() == 3);
    CHECK(strategy.windows()[1].admitted == 15);
    CHECK(strategy.windows()[2].admitted == 7);
    CHECK(strategy.windows()[2].limit == 2);
}

// What is measured

TEST_CASE("An RTT leaves out the time that was waited for a permit") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_strategy strategy{1};
    scripted_guard guard{strategy, {.min_window = 2}};
    const auto first = start(context, guard.run(held(g)));
    const auto second = start(context, guard.run(held(g)));
    poll(context);
    manual_clock::at += 10ms;
    g.let_one();
    poll(context);
    manual_clock::at += 4ms;
    g.let_one();
    poll(context);
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.samples == 2);
    CHECK(w.mean_rtt == 7ms);
    CHECK(static_cast<double>(w.min_rtt.count()) == Approx(4e6).epsilon(0.07));
    CHECK(static_cast<double>(w.quantile(1).count()) == Approx(10e6).epsilon(0.07));
    CHECK(w.admitting == 10ms);
    CHECK(w.length == 14ms);
    CHECK(w.mean_in_flight == Approx(0.7));
}

TEST_CASE("A window tells how many were in flight, and the RTTs with few") {
    at_nine set_clock;
    scripted_strategy strategy{6};
    scripted_guard guard{strategy, {.min_window = 9}};
    std::vector<ticket> tickets;
    for (int i = 0; i < 5; ++i)
        tickets.push_back(guard.try_acquire()); // with 1, 2, 3, 4, 5 in flight: two are few
    manual_clock::at += 2ms;
    for (ticket& t : tickets)
        t.success();
    tickets.clear();
    for (int i = 0; i < 4; ++i) {
        ticket t = guard.try_acquire();
        manual_clock::at += 1ms;
        t.success();
    }
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.max_in_flight == 5);
    CHECK(w.samples == 9);
    CHECK(w.low.samples == 6);
    CHECK(w.low.mean == 8'000'000ns / 6);
    CHECK(w.mean_rtt == 14'000'000ns / 9);
}

TEST_CASE("A request admitted when the window is full is counted, but no sample") {
    at_nine set_clock;
    scripted_strategy strategy{4};
    scripted_guard guard{strategy, {.min_window = 6}};
    use_up(guard, 5);
    ticket last = guard.try_acquire();
    ticket late = guard.try_acquire();
    late.drop();
    last.success();
    REQUIRE(strategy.windows().size() == 1);
    CHECK(strategy.windows().front().dropped == 0);
    CHECK(strategy.windows().front().samples == 6);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A clock that steps backwards does no harm") {
    at_nine set_clock;
    scripted_strategy strategy{2};
    scripted_guard guard{strategy, {.min_window = 3}};
    ticket a = guard.try_acquire();
    manual_clock::at -= 1h;
    ticket b = guard.try_acquire();
    manual_clock::at -= 1h;
    a.success();
    b.drop();
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.samples == 2);
    CHECK(w.dropped == 1);
    CHECK(w.mean_rtt == 0ns);
    CHECK(w.dropped_mean_rtt == 0ns);
    CHECK(w.length == 0ns);
    CHECK(w.admitting == 0ns);
    use_up(guard, 3);
    CHECK(strategy.windows().size() == 2);
    check_idle(guard);
}

TEST_CASE("A straggler does not keep the strategy waiting, and counts with its age") {
    at_nine set_clock;
    scripted_strategy strategy{5, {{5, 3}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    use_up(guard, 7); // the first window
    REQUIRE(strategy.windows().size() == 1);

    ticket straggler = guard.try_acquire();
    ticket a = guard.try_acquire();
    ticket b = guard.try_acquire();
    manual_clock::at += 200us;
    a.success();
    b.success();
    manual_clock::at += 68'466'666ns; // 10 + 1000 / 3 times 200 us since its admission, for a third is left
    use_up(guard, 1);
    CHECK(strategy.windows().size() == 1);
    manual_clock::at += 1ns;
    use_up(guard, 1); // closes the window, and is no member of the next
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows().back().samples == 3);
    CHECK(strategy.windows().back().mean_rtt == (200us + 200us + 68'666'667ns) / 3);

    use_up(guard, 3);
    CHECK(strategy.windows().size() == 3);
    CHECK(strategy.windows().back().samples == 3);
    use_up(guard, 2);
    straggler.drop(); // is no member of this window
    CHECK(strategy.windows().size() == 3);
    CHECK(guard.stats().dropped == 1);
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 4);
    CHECK(strategy.windows().back().samples == 3);
    CHECK(strategy.windows().back().dropped == 0);
    use_up(guard, 3);
    CHECK(strategy.windows().size() == 5);
    check_idle(guard);
}

TEST_CASE("Several windows may have stragglers at a time") {
    at_nine set_clock;
    scripted_strategy strategy{50, {{50, 2}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    use_up(guard, 75);
    std::vector<ticket> stragglers;
    for (std::size_t i = 0; i < 10; ++i) {
        stragglers.push_back(guard.try_acquire());
        use_up(guard, 1);
        manual_clock::at += 2ms;
        use_up(guard, 1); // closes
        REQUIRE(strategy.windows().size() == i + 2);
    }
    CHECK(guard.in_flight() == 10);
    for (ticket& t : stragglers)
        t.success();
    CHECK(strategy.windows().size() == 11);
    for (std::size_t i = 0; i < 10; ++i) {
        use_up(guard, 2);
        CHECK(strategy.windows().size() == 12 + i);
        CHECK(strategy.windows().back().samples == 2);
    }
    check_idle(guard);
}

TEST_CASE("Stats tell the state, the counts, and the last window") {
    struct with_baseline : fixed_limit {
        flowguard::duration baseline() const noexcept { return 123us; }
    };
    at_nine set_clock;
    asio::io_context context;
    flow_guard<with_baseline, manual_clock> guard{with_baseline{{2}}, {.min_window = 4}};
    const guard_stats before = guard.stats();
    CHECK(before.limit == 2);
    CHECK(before.available_permits == 2);
    CHECK(before.in_flight == 0);
    CHECK(before.waiting == 0);
    CHECK(before.succeeded + before.ignored + before.dropped + before.shed + before.windows == 0);
    CHECK(before.rtt_mean == 0ns);
    CHECK(before.rtt_p50 == 0ns);
    CHECK(before.rtt_p99 == 0ns);
    CHECK(before.baseline_rtt == 0ns);

    for (const auto rtt : {1ms, 2ms, 9ms}) {
        auto t = guard.try_acquire();
        manual_clock::at += rtt;
        t.success();
    }
    auto a = guard.try_acquire();
    auto b = guard.try_acquire();
    CHECK_FALSE(guard.try_acquire());
    const auto waits = start(context, guard.run(give(1)));
    poll(context);
    const guard_stats during = guard.stats();
    CHECK(during.limit == 2);
    CHECK(during.available_permits == 0);
    CHECK(during.in_flight == 2);
    CHECK(during.waiting == 1);
    CHECK(during.succeeded == 3);
    CHECK(during.shed == 1);
    CHECK(during.windows == 0);
    CHECK(during.rtt_mean == 0ns);

    a.drop(); // the fourth of the window
    b.ignore();
    poll(context);
    const guard_stats after = guard.stats();
    CHECK(after.available_permits == 2);
    CHECK(after.in_flight == 0);
    CHECK(after.waiting == 0);
    CHECK(after.succeeded == 4);
    CHECK(after.ignored == 1);
    CHECK(after.dropped == 1);
    CHECK(after.windows == 1);
    CHECK(after.rtt_mean == 4ms);
    CHECK(static_cast<double>(after.rtt_p50.count()) == Approx(2e6).epsilon(0.07));
    CHECK(static_cast<double>(after.rtt_p99.count()) == Approx(9e6).epsilon(0.07));
    CHECK(after.baseline_rtt == 123us);
}

TEST_CASE("Stats have no baseline for a strategy without one") {
    scripted_guard guard{scripted_strategy{1}, {.min_window = 1}};
    use_up(guard, 3);
    CHECK(guard.stats().windows == 3);
    CHECK(guard.stats().baseline_rtt == 0ns);
}

// Arguments

TEST_CASE("An initial limit out of range is refused by name, value and range") {
    CHECK_THROWS_AS(scripted_guard(scripted_strategy{0}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(scripted_strategy{0}),
                      Catch::Contains("initial limit") && Catch::Contains("is 0") && Catch::Contains("[1, 268435455]"));
    CHECK_THROWS_AS(scripted_guard(scripted_strategy{flowguard::max_limit + 1}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(scripted_strategy{flowguard::max_limit + 1}), Catch::Contains("268435456"));
    CHECK_NOTHROW(scripted_guard(scripted_strategy{flowguard::max_limit}));
}

TEST_CASE("A least window out of range is refused by name, value and range") {
    const scripted_strategy strategy{1};
    CHECK_THROWS_AS(scripted_guard(strategy, {.min_window = 0}), std::invalid_argument);
    CHECK_THROWS_WITH(scripted_guard(strategy, {.min_window = 0}),
                      Catch::Contains("min_window") && Catch::Contains("is 0") && Catch::Contains("[1, 268435455]"));
    CHECK_THROWS_AS(scripted_guard(strategy, {.min_window = flowguard::max_limit + 1}), std::invalid_argument);
    CHECK_NOTHROW(scripted_guard(strategy, {.min_window = 1}));
}

TEST_CASE("A moved-from task is refused by name, and takes no permit") {
    asio::io_context context;
    flow_guard guard{fixed_limit{1}};
    auto task = give(1);
    const auto moved = start(context, std::move(task));
    CHECK_THROWS_AS(guard.run(std::move(task)), std::invalid_argument);         // NOLINT(bugprone-use-after-move)
    CHECK_THROWS_WITH(guard.run(std::move(task)), Catch::Contains("task is a")); // NOLINT(bugprone-use-after-move)
    poll(context);
    check_idle(guard);
}

TEST_CASE("A callable that makes a moved-from task is refused by name, and its permit comes back") {
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

// Closing

TEST_CASE("A closed guard ends those who wait, and later callers, with closed") {
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
    CHECK_FALSE(waits->done); // never from inside
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
    CHECK(guard.stats().shed == 2);

    g.let_one();
    poll(context);
    REQUIRE(holder->succeeded());
    CHECK(*holder->value == 5);
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A closed guard refuses callers though a permit is free") {
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

TEST_CASE("A caller cancelled while it waits ends with operation_aborted, its task not made") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}};
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

TEST_CASE("A caller cancelled after its permit was granted, but before it knows, gives it back") {
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

TEST_CASE("A guard that goes ends those who wait with operation_aborted") {
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

TEST_CASE("Tasks that outlive their guard end as usual, and count for nothing") {
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
    ticket t = guard->try_acquire(); // the fourth: three of the window are left
    REQUIRE(strategy.windows().empty());
    guard.reset();
    g.let_all();
    poll(context);
    REQUIRE(task->succeeded());
    CHECK(*task->value == 8);
    CHECK(message_of(failing->exception) == "no luck");
    t.success();
    CHECK(strategy.windows().empty()); // all four of the window are done now
}

TEST_CASE("A permit that was granted when the guard went can still be used") {
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

// A context with everything in it that a guard can have there: a task in flight, callers who wait, and
// callers whose permit has been granted, but who have not run yet.
struct busy {
    explicit busy(scripted_guard& guard) {
        start(*context, guard.run(never_ends(watched))); // in flight, as long as it lives
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

TEST_CASE("A context that goes before the guard gives all permits back, and calls nobody") {
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
        first.success(); // granted, and not run
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

TEST_CASE("A guard that goes before the context leaves everything to it") {
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

TEST_CASE("The guard's own context may go first, with handlers that wait there") {
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
