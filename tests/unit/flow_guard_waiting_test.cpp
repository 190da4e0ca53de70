// flow_guard_waiting_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// How many callers may wait for a guard's permit, for how long, and in which order they get it.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::outcome;
using support::gate;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;
using support::start;

using manual_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = manual_guard::ticket;
template <class Classifier>
using options = flowguard::run_options<Classifier, manual_clock>;

// A guard with one permit, which is taken, and a clock that stands still.
struct busy_guard {
    explicit busy_guard(const guard_options& o) : guard(scripted_strategy{1}, o) {
        manual_clock::at = 9h;
        held = guard.try_acquire();
        REQUIRE(held);
    }

    void pass(manual_clock::duration time) { support::pass(context, time); }

    void check_idle() const {
        CHECK(guard.in_flight() == 0);
        CHECK(guard.waiting() == 0);
        CHECK(guard.available_permits() == 1);
    }

    asio::io_context context;
    manual_guard guard;
    ticket held;
};

struct counted_task {
    auto operator()() {
        return [](int& count) -> asio::awaitable<int> { co_return ++count; }(*started);
    }

    int* started;
};

} // namespace

// How many

TEST_CASE("A caller that finds max_waiters waiters is shed at once") {
    busy_guard b{{.max_waiters = 2}};
    int started = 0;
    const auto first = start(b.context, b.guard.run(counted_task{&started}));
    const auto second = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(b.guard.waiting() == 2);
    const auto third = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(third->code() == error::shed);
    CHECK(b.guard.waiting() == 2);
    CHECK(b.guard.stats().shed == 1);

    b.held.success();
    poll(b.context);
    CHECK(first->value == 1);
    CHECK(second->value == 2);
    CHECK(started == 2);
    b.check_idle();
}

TEST_CASE("A waiter that leaves makes room for another one") {
    busy_guard b{{.max_waiters = 1}};
    asio::cancellation_signal signal;
    const auto first = start(b.context, b.guard.run([]() -> asio::awaitable<void> { co_return; }), &signal);
    poll(b.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(b.context);
    CHECK(first->code() == asio::error::operation_aborted);
    const auto second = start(b.context, b.guard.run([]() -> asio::awaitable<void> { co_return; }));
    poll(b.context);
    CHECK_FALSE(second->done);
    b.held.success();
    poll(b.context);
    CHECK(second->succeeded());
    CHECK(b.guard.stats().shed == 0);
}

TEST_CASE("With a max_waiters of 0, no caller waits") {
    busy_guard b{{.max_waiters = 0}};
    int started = 0;
    const auto rejected = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(rejected->code() == error::shed);
    b.held.success();
    const auto admitted = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(admitted->value == 1);
    b.check_idle();
}

TEST_CASE("The handler of a call that is shed gets the error, but not inside the call") {
    busy_guard b{{.max_waiters = 0}};
    flowguard::error_code seen;
    bool got = true;
    b.guard.async_acquire(asio::bind_executor(b.context, [&](flowguard::error_code e, ticket t) {
        seen = e;
        got = static_cast<bool>(t);
    }));
    CHECK(got);
    poll(b.context);
    CHECK(seen == error::shed);
    CHECK_FALSE(got);
    CHECK(b.guard.stats().shed == 1);
}

TEST_CASE("A closed guard rejects with closed, although no caller may wait") {
    busy_guard b{{.max_waiters = 0}};
    b.guard.close();
    const auto call = start(b.context, b.guard.run([]() -> asio::awaitable<void> { co_return; }));
    poll(b.context);
    CHECK(call->code() == error::closed);
    CHECK(b.guard.stats().shed == 0);
}

// How long

TEST_CASE("A wait longer than max_wait ends with wait_timeout, and takes no permit") {
    busy_guard b{{.max_wait = 50ms}};
    int started = 0;
    const auto call = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    b.pass(49ms);
    CHECK_FALSE(call->done);
    b.pass(1ms);
    CHECK(call->code() == error::wait_timeout);
    CHECK(b.guard.waiting() == 0);
    CHECK(b.guard.stats().timed_out == 1);
    b.held.success();
    poll(b.context);
    CHECK(started == 0);
    b.check_idle();
}

TEST_CASE("A wait that ends in time does not time out later") {
    busy_guard b{{.max_wait = 50ms}};
    gate g{b.context};
    const auto call = start(b.context, b.guard.run([&] { return g.pass(); }));
    b.pass(49ms);
    b.held.success();
    b.pass(10s); // the task may take as long as it likes
    CHECK_FALSE(call->done);
    g.let_all();
    poll(b.context);
    CHECK(call->succeeded());
    CHECK(b.guard.stats().timed_out == 0);
    b.check_idle();
}

TEST_CASE("With a max_wait of 0, a caller still gets a free permit") {
    busy_guard b{{.max_wait = 0ns}};
    int started = 0;
    const auto rejected = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(rejected->code() == error::wait_timeout);
    CHECK(b.guard.stats().timed_out == 1);
    b.held.success();
    const auto admitted = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(admitted->value == 1);
}

TEST_CASE("Negative times of a guard are rejected by name, value and range") {
    const auto rejection = [](const guard_options& o) {
        return support::rejection_of([&] { manual_guard{scripted_strategy{1}, o}; });
    };
    CHECK(rejection({.max_wait = -5ns}) == "flowguard: guard_options::max_wait is -5 ns, must be at least 0");
    CHECK(rejection({.target = -1us}) == "flowguard: guard_options::target is -1000 ns, must be at least 0");
    CHECK(rejection({.interval = -1ns}) == "flowguard: guard_options::interval is -1 ns, must be at least 0");
    CHECK(rejection({.max_wait = 0ns, .target = 0ns, .interval = 0ns}) == "accepted");
}

// In which order

TEST_CASE("When its queue stands, an adaptive guard serves the last waiter first, and sheds the overdue ones") {
    busy_guard b{{.order = flowguard::wait_order::adaptive, .target = 10ms, .interval = 50ms}};
    int started = 0;
    const auto first = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    b.pass(45ms);
    const auto second = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    b.pass(5ms); // the interval is over
    const auto third = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    CHECK(first->code() == error::shed);
    CHECK(b.guard.stats().shed == 1);
    CHECK(b.guard.waiting() == 2);
    b.held.success();
    poll(b.context);
    CHECK(third->value == 1);
    CHECK(second->value == 2);
    b.check_idle();
}

// Deadlines

TEST_CASE("A task whose deadline has passed is not started, although a permit is free") {
    busy_guard b{{}};
    b.held.success();
    int started = 0;
    const auto late = start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now()}));
    const auto in_time = start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 1ns}));
    poll(b.context);
    CHECK(late->code() == error::wait_timeout);
    CHECK(in_time->value == 1);
    CHECK(b.guard.stats().timed_out == 1);
    b.check_idle();
}

TEST_CASE("A task whose deadline passes while it waits is not started") {
    busy_guard b{{}};
    int started = 0;
    const auto call = start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 20ms}));
    b.pass(19ms);
    CHECK_FALSE(call->done);
    b.pass(1ms);
    CHECK(call->code() == error::wait_timeout);
    CHECK(started == 0);
    CHECK(b.guard.waiting() == 0);
}

TEST_CASE("A task whose deadline passes between its admission and its start gives its permit to the next caller") {
    busy_guard b{{}};
    int started = 0;
    const auto late = start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 20ms}));
    const auto next = start(b.context, b.guard.run(counted_task{&started}));
    poll(b.context);
    b.held.success(); // the permit is granted, but the coroutine has not run yet
    b.pass(20ms);
    CHECK(late->code() == error::wait_timeout);
    CHECK(next->value == 1);
    const auto s = b.guard.stats();
    CHECK(s.timed_out == 1);
    CHECK(s.succeeded == 2);
    CHECK(s.ignored + s.dropped == 0); // as if it had not been admitted
    b.check_idle();
}

TEST_CASE("An observer that is told of such a task sees the permit back, and no admission too many") {
    std::optional<flowguard::guard_stats> seen;
    busy_guard* busy = nullptr;
    busy_guard b{{.on_rejection = [&](flowguard::rejection) { seen = busy->guard.stats(); }}};
    busy = &b;
    int started = 0;
    const auto late = start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 20ms}));
    poll(b.context);
    b.held.success(); // the permit is granted, but the coroutine has not run yet
    b.pass(20ms);
    CHECK(late->code() == error::wait_timeout);
    REQUIRE(seen);
    CHECK(seen->in_flight == 0);
    CHECK(seen->timed_out == 1);
    CHECK(seen->admitted == 1);
    CHECK(b.guard.stats().admitted == 1);
    b.check_idle();
}

TEST_CASE("A wait ends at its deadline or after the guard's max_wait, whichever comes first") {
    busy_guard b{{.max_wait = 50ms}};
    int started = 0;
    const auto by_guard =
        start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 70ms}));
    const auto by_deadline =
        start(b.context, b.guard.run(counted_task{&started}, {.deadline = manual_clock::now() + 20ms}));
    poll(b.context);
    b.pass(20ms);
    CHECK(by_deadline->code() == error::wait_timeout);
    CHECK_FALSE(by_guard->done);
    b.pass(30ms);
    CHECK(by_guard->code() == error::wait_timeout);
}

TEST_CASE("An attempt after its deadline is shed, and its task is not made") {
    busy_guard b{{}};
    b.held.success();
    int started = 0;
    const auto late = start(b.context, b.guard.try_run(counted_task{&started}, {.deadline = manual_clock::now()}));
    poll(b.context);
    REQUIRE(late->succeeded());
    CHECK_FALSE(late->value->has_value());
    CHECK(started == 0);
    CHECK(b.guard.stats().timed_out == 1);
    CHECK(b.guard.stats().shed == 0);
}

TEST_CASE("A caller can wait for a ticket until a deadline") {
    busy_guard b{{}};
    std::vector<flowguard::error_code> seen;
    const auto note = [&](flowguard::error_code e, const ticket&) { seen.push_back(e); };
    b.guard.async_acquire({.deadline = manual_clock::now() + 5ms}, asio::bind_executor(b.context, note));
    b.guard.async_acquire({.deadline = manual_clock::now() + 9ms}, asio::bind_executor(b.context, note));
    poll(b.context);
    b.pass(5ms);
    CHECK(seen == std::vector<flowguard::error_code>{error::wait_timeout});
    b.held.success();
    poll(b.context);
    CHECK(seen == std::vector<flowguard::error_code>{error::wait_timeout, {}});
    b.check_idle();
}

// Options of a call

TEST_CASE("A call may have both a deadline and a classifier") {
    busy_guard b{{}};
    b.held.success();
    const auto by_parity = [](const int& n) { return n % 2 == 0 ? outcome::success : outcome::dropped; };
    int started = 0;
    const auto odd =
        start(b.context,
              b.guard.run(counted_task{&started},
                          options<decltype(by_parity)>{.deadline = manual_clock::now() + 1s, .classify = by_parity}));
    poll(b.context);
    CHECK(odd->value == 1);
    CHECK(b.guard.stats().dropped == 1);
    const auto even = start(b.context, b.guard.try_run(counted_task{&started}, by_parity));
    poll(b.context);
    CHECK(even->value == 2);
    CHECK(b.guard.stats().succeeded == 2);
}

TEST_CASE("The options' types follow from their values") {
    asio::io_context context;
    flow_guard guard{flowguard::fixed_limit{1}};
    const auto rejects = [](const int&) { return outcome::dropped; };
    int started = 0;
    const auto call = start(context, guard.run(counted_task{&started},
                                               flowguard::run_options{.deadline = std::chrono::steady_clock::now() + 1h,
                                                                      .classify = rejects}));
    poll(context);
    CHECK(call->value == 1);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A call with bypass runs whatever the load, and is no sample") {
    busy_guard b{{.max_waiters = 0}};
    int started = 0;
    const auto given = start(b.context, b.guard.run(counted_task{&started}(), {.bypass = true}));
    const auto made = start(b.context, b.guard.run(counted_task{&started}, {.bypass = true}));
    const auto tried = start(b.context, b.guard.try_run(counted_task{&started}, {.bypass = true}));
    const auto nothing = []() -> asio::awaitable<void> { co_return; };
    const auto tried_nothing = start(b.context, b.guard.try_run(nothing, {.bypass = true}));
    poll(b.context);
    CHECK(given->succeeded());
    CHECK(made->succeeded());
    REQUIRE(tried->succeeded());
    CHECK(tried->value->has_value());
    CHECK(tried_nothing->value == true);
    CHECK(started == 3);
    const auto s = b.guard.stats();
    CHECK(s.bypassed == 4);
    CHECK(s.in_flight == 1);
    CHECK(s.succeeded + s.ignored + s.dropped + s.shed == 0);
}

TEST_CASE("A rejection by an inner guard counts there, and not as a drop of the outer guard") {
    busy_guard inner{{.max_waiters = 0}};
    manual_guard outer{scripted_strategy{1}};
    const auto call = start(inner.context, outer.run([&] { return inner.guard.run(counted_task{nullptr}); }));
    poll(inner.context);
    CHECK(call->code() == error::shed);
    CHECK(inner.guard.stats().shed == 1);
    CHECK(outer.stats().dropped == 0);
    CHECK(outer.stats().ignored == 1);
}

TEST_CASE("A guard may be destroyed before a call sees that its permit came too late") {
    asio::io_context context;
    manual_clock::at = 9h;
    auto guard = std::make_unique<manual_guard>(scripted_strategy{1});
    auto held = guard->try_acquire();
    int started = 0;
    const auto late = start(context, guard->run(counted_task{&started}, {.deadline = manual_clock::now() + 1s}));
    poll(context);
    held.success(); // granted
    guard.reset();
    manual_clock::at += 1s;
    poll(context);
    CHECK(late->code() == error::wait_timeout);
    CHECK(started == 0);
}

TEST_CASE("Stats tell why calls were rejected, and how many wait with which priority") {
    busy_guard b{{.max_waiters = 3, .max_wait = 1h}};
    static_cast<void>(b.guard.try_acquire());
    const auto waits = [&](flowguard::priority rank, asio::cancellation_signal* signal = nullptr) {
        const auto nothing = []() -> asio::awaitable<void> { co_return; };
        const auto call = start(b.context, b.guard.run(nothing, {.priority = rank}), signal);
        poll(b.context);
        return call;
    };
    asio::cancellation_signal signal;
    waits(flowguard::priority::critical_plus);
    waits(flowguard::priority::sheddable);
    waits(flowguard::priority::critical, &signal);
    waits(flowguard::priority::critical); // evicts the sheddable one
    auto s = b.guard.stats();
    CHECK(s.waiting == 3);
    CHECK(s.waiting_by_priority == std::array<std::size_t, 4>{1, 2, 0, 0});
    signal.emit(asio::cancellation_type::terminal);
    poll(b.context);
    b.held.success();
    poll(b.context);
    b.held = b.guard.try_acquire();
    waits(flowguard::priority::sheddable_plus);
    b.pass(1h);
    waits(flowguard::priority::sheddable_plus);
    b.guard.close();
    poll(b.context);
    waits(flowguard::priority::critical);
    CHECK_FALSE(b.guard.try_acquire()); // an attempt counts as any other call
    const auto tried = start(b.context, b.guard.try_run([]() -> asio::awaitable<void> { co_return; }));
    poll(b.context);
    CHECK(tried->value == false);
    s = b.guard.stats();
    CHECK(s.waiting_by_priority == std::array<std::size_t, 4>{});
    CHECK(s.shed_at_once == 1);
    CHECK(s.shed_from_full == 1);
    CHECK(s.shed_as_overdue == 0);
    CHECK(s.shed == 2);
    CHECK(s.cancelled == 1);
    CHECK(s.timed_out == 1);
    CHECK(s.closed == 4);
    CHECK(s.succeeded == 3);
    CHECK(s.admitted == 4);
    CHECK(s.in_flight == 1);
}

TEST_CASE("Observers are told of each rejection and of each decision, after it has taken effect") {
    std::string rejected;
    std::vector<std::size_t> limits;
    manual_guard* seen = nullptr;
    busy_guard b{{.min_window = 1,
                  .max_waiters = 1,
                  .max_wait = 1h,
                  .on_decision =
                      [&](const flowguard::limit_decision& d) {
                          limits.push_back(d.limit);
                          CHECK(seen->current_limit() == d.limit);
                          CHECK(seen->trace().back().limit == d.limit);
                      },
                  .on_rejection = [&](flowguard::rejection why) { rejected += to_string(why) + std::string(" "); }}};
    seen = &b.guard;
    const auto nothing = []() -> asio::awaitable<void> { co_return; };
    static_cast<void>(b.guard.try_acquire());
    start(b.context, b.guard.run(nothing));
    start(b.context, b.guard.run(nothing));
    poll(b.context);
    CHECK(rejected == "no_permit queue_full ");
    b.pass(1h);
    CHECK(rejected == "no_permit queue_full timed_out ");
    rejected.clear();
    asio::cancellation_signal signal;
    start(b.context, b.guard.run(nothing), &signal);
    poll(b.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(b.context);
    start(b.context, b.guard.run(nothing, {.deadline = manual_clock::now()}));
    poll(b.context);
    CHECK(rejected == "cancelled timed_out ");
    CHECK(limits.empty());
    b.held.success();
    CHECK(limits == std::vector<std::size_t>{1});
    rejected.clear();
    b.guard.close();
    start(b.context, b.guard.run(nothing));
    poll(b.context);
    CHECK(rejected == "closed ");
}

TEST_CASE("An observer of rejections may call the guard") {
    manual_guard* guard = nullptr;
    std::size_t waiting = 0;
    busy_guard b{{.max_waiters = 1, .on_rejection = [&](flowguard::rejection) {
                      waiting = guard->waiting();
                      guard->async_acquire(asio::bind_executor(
                          b.context, [](flowguard::error_code, const ticket&) {})); // waits, or is rejected as well
                  }}};
    guard = &b.guard;
    static_cast<void>(b.guard.try_acquire());
    CHECK(b.guard.waiting() == 1);
    CHECK(waiting == 0);
}
