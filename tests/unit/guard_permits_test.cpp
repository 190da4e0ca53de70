// guard_permits_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Calls with run_options::permits, in all the ways in which such a call can be made.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
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
using flowguard::guard_options;
using flowguard::plan;
using flowguard::wait_order;
using support::check_idle;
using support::fail_with;
using support::gate;
using support::manual_clock;
using support::never_ends;
using support::poll;
using support::rejection_of;
using support::scripted_strategy;
using support::start;

using guard_type = flowguard::flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

// Each task takes 10 ms, so they end in the order in which they began.
class tasks_of_10ms {
public:
    void begin(ticket t) { in_flight_.push_back({manual_clock::at + 10ms, std::move(t)}); }

    // Ends those whose time has come.
    void end(asio::io_context& context) {
        const manual_clock::duration now = manual_clock::at;
        while (!in_flight_.empty() && in_flight_.front().until <= now) {
            in_flight_.front().held.success();
            in_flight_.pop_front();
            poll(context);
        }
    }

private:
    struct running {
        manual_clock::duration until;
        ticket held;
    };
    std::deque<running> in_flight_;
};

// A guard that serves waiters in turn, and the calls that were made to it.
struct scene {
    explicit scene(std::size_t limit = 10, guard_options o = guard_options::for_batch(), std::deque<plan> plans = {})
        : strategy(limit, std::move(plans)) {
        manual_clock::at = 9h;
        guard.emplace(context.get_executor(), strategy, std::move(o));
    }

    ticket take(std::size_t permits) { return guard->try_acquire(options{.permits = permits}); }

    // Starts a call that lasts until it is let through. Notes `name` when its task starts.
    auto call(char name, const options& how, asio::cancellation_signal* signal = nullptr) {
        const auto end = start(context, guard->run([this, name] { return task(name); }, how), signal);
        poll(context);
        return end;
    }

    asio::awaitable<int> task(char name) {
        order += name;
        co_await held.pass();
        co_return 1;
    }

    // The names of the tasks that have started since the last call.
    std::string started() {
        poll(context);
        return std::exchange(order, {});
    }

    void end_all() {
        held.let_all();
        poll(context);
    }

    std::size_t in_flight() const { return guard->in_flight(); }

    asio::io_context context;
    gate held{context};
    scripted_strategy strategy;
    std::optional<guard_type> guard;
    std::string order;
};

} // namespace

TEST_CASE("A heavy call holds its permits while it runs, whatever form it has, and is one call in all counts") {
    struct form {
        const char* name;
        void (*call)(scene& s, const options& how);
    };
    for (const form& f : {
             form{"run a task", [](scene& s, const options& how) { start(s.context, s.guard->run(s.task('t'), how)); }},
             form{"run a callable with arguments",
                  [](scene& s, const options& how) { start(s.context, s.guard->run(how, &scene::task, &s, 't')); }},
             form{"run as a tuple",
                  [](scene& s, const options& how) { start(s.context, s.guard->run_as_tuple(s.task('t'), how)); }},
             form{"try to run",
                  [](scene& s, const options& how) {
                      start(s.context, s.guard->try_run([&] { return s.task('t'); }, how));
                  }},
             form{"try to run for a time",
                  [](scene& s, const options& how) {
                      start(s.context, s.guard->try_run_for(1s, [&] { return s.task('t'); }, how));
                  }},
         }) {
        INFO(f.name);
        scene s;
        f.call(s, {.permits = 4});
        CHECK(s.started() == "t");
        CHECK(s.in_flight() == 4);
        CHECK(s.guard->available_permits() == 6);
        CHECK(s.guard->stats().in_flight == 4);
        CHECK(s.guard->stats().admitted == 1);
        s.end_all();
        check_idle(*s.guard);
        CHECK(s.guard->stats().admitted == 1);
        CHECK(s.guard->stats().succeeded == 1);
    }
}

TEST_CASE("A ticket returns all of its permits, once, in whatever way it ends") {
    scene s;
    ticket first = s.take(3);
    CHECK(s.in_flight() == 3);
    ticket second = std::move(first);
    first = s.take(4);
    CHECK(s.in_flight() == 7);
    CHECK(s.guard->stats().admitted == 2);
    second = std::move(first); // the ticket of 3 ends
    CHECK(s.in_flight() == 4);
    second.success();
    second.drop();
    check_idle(*s.guard);
    {
        const ticket dropped = s.take(10);
    }
    check_idle(*s.guard);
    ticket free = s.guard->acquire_if_free(options{.permits = 9});
    CHECK(s.in_flight() == 9);
    CHECK_FALSE(s.guard->acquire_if_free(options{.permits = 2}));
    free.drop();
    check_idle(*s.guard);
    CHECK(s.guard->stats().admitted == 4);
    CHECK(s.guard->stats().ignored == 2);
}

TEST_CASE("A handler gets a ticket for all permits, at once or after a wait") {
    scene s;
    std::vector<ticket> got;
    const auto keep = [&](error_code e, ticket t) {
        CHECK_FALSE(e);
        got.push_back(std::move(t));
    };
    s.guard->async_acquire(options{.permits = 6}, keep);
    s.guard->async_acquire(options{.permits = 5}, keep);
    s.guard->async_acquire(options{.flow = 7, .permits = 5}, keep);
    poll(s.context);
    CHECK(got.size() == 1);
    CHECK(s.in_flight() == 6);
    got.clear();
    poll(s.context);
    CHECK(got.size() == 2);
    CHECK(s.in_flight() == 10);
    CHECK(s.guard->stats().admitted == 3);
    got.clear();
    check_idle(*s.guard);
}

TEST_CASE("The permits of a task that throws, or is cancelled or destroyed, come back") {
    scene s;
    const auto failed = start(s.context, s.guard->run(fail_with(std::runtime_error("no")), options{.permits = 7}));
    poll(s.context);
    CHECK(failed->exception);
    check_idle(*s.guard);
    CHECK(s.guard->stats().dropped == 1);

    asio::cancellation_signal signal;
    const auto cancelled = s.call('c', {.permits = 7}, &signal);
    CHECK(s.in_flight() == 7);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    check_idle(*s.guard);

    {
        asio::io_context going;
        start(going, s.guard->run(never_ends(std::make_shared<int>()), options{.permits = 7}));
        poll(going);
        CHECK(s.in_flight() == 7);
    }
    check_idle(*s.guard);
}

TEST_CASE("A heavy call that waits takes nothing with it when it ends in another way") {
    scene s(10, {.max_wait = 1min, .order = wait_order::fifo});
    ticket one = s.take(1);
    asio::cancellation_signal signal;
    const auto cancelled = s.call('c', {.permits = 10}, &signal);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);

    const auto late = s.call('l', {.deadline = manual_clock::now() + 1s, .permits = 10});
    manual_clock::at += 2s;
    one.success(); // granted, but after the deadline
    poll(s.context);
    CHECK(late->code() == error::wait_timeout);
    CHECK(s.order.empty());
    check_idle(*s.guard);
    CHECK(s.guard->stats().timed_out == 1);

    one = s.take(1);
    {
        asio::io_context going; // is destroyed with a call that waits, and one that was granted its permits
        start(going, s.guard->run(never_ends(std::make_shared<int>()), options{.permits = 10}));
        start(going, s.guard->run(never_ends(std::make_shared<int>()), options{.permits = 10}));
        poll(going);
        CHECK(s.guard->waiting() == 2);
        one.success();
        CHECK(s.in_flight() == 10);
    }
    check_idle(*s.guard);

    one = s.take(1);
    const auto closed = s.call('x', {.permits = 10});
    s.guard->close();
    poll(s.context);
    CHECK(closed->code() == error::closed);
    one.success();
    CHECK(s.in_flight() == 0);
    CHECK(s.guard->waiting() == 0);
}

TEST_CASE("Tickets for several permits outlive their guard, and a heavy call that waits ends with it") {
    scene s;
    ticket held = s.take(6);
    const auto waiting = s.call('w', {.permits = 6});
    s.guard.reset();
    poll(s.context);
    CHECK(waiting->code() == asio::error::operation_aborted);
    held.success();
}

TEST_CASE("A task with a time-out returns all of its permits when it is cancelled") {
    scene s;
    const auto end =
        start(s.context, s.guard->run(never_ends(std::make_shared<int>()), options{.timeout = 10ms, .permits = 8}));
    poll(s.context);
    CHECK(s.in_flight() == 8);
    support::pass(s.context, 20ms);
    CHECK(end->code() == error::task_timeout);
    check_idle(*s.guard);
    CHECK(s.guard->stats().task_timeouts == 1);
}

TEST_CASE("A blocked thread may hold several permits") {
    scene s;
    const int in_flight = s.guard->run_blocking([&] { return static_cast<int>(s.in_flight()); }, options{.permits = 5});
    CHECK(in_flight == 5);
    check_idle(*s.guard);
    const ticket one = s.take(1);
    auto [error, result] = s.guard->run_blocking_as_tuple([] { return 1; }, options{.deadline = {}, .permits = 10});
    CHECK(error == flowguard::error::wait_timeout);
    CHECK(s.in_flight() == 1);
}

TEST_CASE("Light calls do not starve a heavy one, and it delays them by its own time alone") {
    scene s;
    s.call('a', {.permits = 6});
    s.call('h', {.permits = 8});
    for (const char light : {'1', '2', '3'})
        s.call(light, {});
    CHECK(s.started() == "a"); // four permits are free, and nobody overtakes the heavy call
    CHECK(s.guard->available_permits() == 0);
    CHECK_FALSE(s.take(1));
    s.held.let_one();
    CHECK(s.started() == "h12");
    s.end_all();
    CHECK(s.started() == "3");
    s.end_all();
    check_idle(*s.guard);
}

TEST_CASE("A call that is heavier than the limit runs alone, in its turn") {
    scene s;
    s.call('a', {});
    s.call('b', {});
    s.call('H', {.permits = 50});
    s.call('c', {});
    CHECK(s.started() == "ab");
    s.held.let_one();
    CHECK(s.started().empty());
    s.held.let_one();
    CHECK(s.started() == "H");
    CHECK(s.in_flight() == 50);
    CHECK(s.guard->stats().admitted == 3);
    CHECK(s.guard->available_permits() == 0);
    CHECK_FALSE(s.take(1));
    s.end_all();
    CHECK(s.started() == "c");
    s.end_all();
    check_idle(*s.guard);

    CHECK(s.take(50)); // also as an attempt, if nothing is in flight
    const ticket one = s.take(1);
    CHECK_FALSE(s.take(50));
}

TEST_CASE("Calls that are all heavier than the limit run one by one, and let the strategy raise it") {
    scene s(2, {.min_window = 1, .order = wait_order::fifo}, {16});
    for (const char name : {'1', '2', '3', '4'})
        s.call(name, {.permits = 8});
    CHECK(s.started() == "1");
    s.end_all();
    CHECK(s.started() == "2");
    s.end_all();
    CHECK(s.started() == "3"); // the window has three members
    s.end_all();
    REQUIRE(s.strategy.windows().size() == 1);
    CHECK(s.strategy.windows()[0].limit == 2);
    CHECK(s.strategy.windows()[0].max_in_flight == 8);
    CHECK(s.guard->current_limit() == 16);
    CHECK(s.started() == "4");
    CHECK(s.take(8));
}

// By default, the newest waiter is served first in an overload: then a heavy call is hardly ever the newest for as long
// as its permits take to come together.
TEST_CASE("In an overload, heavy and light calls are served in about the same proportion") {
    for (const std::size_t weight : {2U, 10U}) {
        CAPTURE(weight);
        scene s(30, {});
        tasks_of_10ms tasks;
        std::array<int, 2> served{};
        constexpr int calls = 10'000;
        const double permits = 0.9 + 0.1 * static_cast<double>(weight); // of a call, on average
        const auto between = std::chrono::duration_cast<manual_clock::duration>(10ms / 30.0 * permits / 2); // 2 × load
        for (int i = 0; i < calls; ++i) {
            const std::size_t is_heavy = i % 10 == 0 ? 1 : 0;
            s.guard->async_acquire(options{.permits = is_heavy != 0 ? weight : 1},
                                   [&, is_heavy](error_code e, ticket t) {
                                       if (e)
                                           return;
                                       ++served[is_heavy];
                                       tasks.begin(std::move(t));
                                   });
            poll(s.context);
            manual_clock::at += between;
            tasks.end(s.context);
        }
        const double light = served[0] / (0.9 * calls);
        const double heavy = served[1] / (0.1 * calls);
        CHECK(light > 0.3);
        CHECK(heavy / light == Approx(1).margin(0.4));
    }
}

TEST_CASE("A limit that is changed while heavy calls run or wait holds from then on") {
    scene s;
    s.call('a', {.permits = 8});
    s.guard->pin_limit(4);
    CHECK(s.in_flight() == 8);
    s.call('b', {.permits = 3});
    s.call('c', {.permits = 6}); // is heavier than the limit by now
    s.held.let_one();
    CHECK(s.started() == "ab");
    CHECK(s.in_flight() == 3);
    s.guard->pin_limit(9); // is not any more
    CHECK(s.started() == "c");
    s.guard->pin_limit(1);
    s.call('d', {.permits = 2});
    s.held.let_one();
    CHECK(s.started().empty());
    s.held.let_one();
    CHECK(s.started() == "d");
    s.end_all();
    check_idle(*s.guard);
}

// While a heavy call waits for its permits, no other call gets one. So how often it is let wait decides how much of the
// limit is in use.
TEST_CASE("Partitions whose calls are heavier than their share have their turns, and the limit is in use") {
    for (const std::size_t weight : {2U, 5U, 9U, 10U, 30U}) {
        CAPTURE(weight);
        scene s(10, {.order = wait_order::fifo, .partitions = {0.5, 0.5}});
        tasks_of_10ms tasks;
        std::array<std::size_t, 2> waiting{};
        std::array<double, 2> used{}; // permits × ms
        const auto call = [&](std::uint8_t partition) {
            const std::size_t permits = partition == 0 ? weight : 1;
            ++waiting[partition];
            s.guard->async_acquire(options{.partition = partition, .permits = permits},
                                   [&, partition, permits](error_code e, ticket t) {
                                       if (e)
                                           return;
                                       --waiting[partition];
                                       used[partition] += 10.0 * static_cast<double>(permits);
                                       tasks.begin(std::move(t));
                                   });
        };
        for (int ms = 0; ms < 10'000; ++ms) {
            for (const std::uint8_t partition : {std::uint8_t{0}, std::uint8_t{1}})
                while (waiting[partition] < 20)
                    call(partition);
            poll(s.context);
            manual_clock::at += 1ms;
            tasks.end(s.context);
        }
        CHECK(used[0] + used[1] > 0.6 * 10 * 10'000);
        CHECK(used[0] / used[1] == Approx(1).margin(0.4));
        s.guard->close();
        poll(s.context);
    }
}

TEST_CASE("Partitions count permits") {
    scene s(10, {.order = wait_order::fifo, .partitions = {0.5, 0.5}});
    const ticket of_first = s.guard->try_acquire(options{.partition = 0, .permits = 4});
    s.call('1', {.partition = 1});
    s.call('2', {.partition = 1});
    s.call('3', {.partition = 1, .permits = 4});
    CHECK(s.started() == "123");
    CHECK(s.guard->in_flight(0) == 4);
    CHECK(s.guard->in_flight(1) == 6);
    s.call('b', {.partition = 1});
    s.call('a', {.partition = 0});
    s.held.let_one();
    CHECK(s.started() == "a"); // by their number of calls, it would be the other partition's turn
    CHECK(s.guard->in_flight(0) == 5);
    s.end_all();
    s.end_all();
    CHECK(s.guard->in_flight(0) == 4);
    CHECK(s.guard->in_flight(1) == 0);
}

TEST_CASE("The turns of flows count permits") {
    scene s(4);
    ticket all = s.take(4);
    for (const char heavy : {'H', 'I', 'J'})
        s.call(heavy, {.flow = 1, .permits = 4});
    for (const char light : {'1', '2', '3', '4', '5', '6', '7', '8'})
        s.call(light, {.flow = 2});
    all.success();
    std::string order;
    for (std::string next = s.started(); !next.empty(); next = s.started()) {
        order += next + ' ';
        s.end_all();
    }
    CHECK(order == "H 123 I 4567 J 8 "); // four permits each; of equal turns, the flow that came first
}

TEST_CASE("What is in flight in a window counts permits, and its members and samples count calls") {
    scene s(20, {.min_window = 1});
    const auto call_one_by_one = [&](std::size_t calls, auto permits_of) {
        for (std::size_t i = 0; i < calls; ++i) {
            ticket t = s.take(permits_of(i));
            manual_clock::at += 10ms;
            t.success();
        }
    };
    call_one_by_one(30, [](std::size_t i) { return i % 3 == 0 ? 7U : 1U; }); // 3 on average
    REQUIRE(s.strategy.windows().size() == 1);
    const flowguard::window& w = s.strategy.windows()[0];
    CHECK(w.admitted == 30);
    CHECK(w.all.samples == 30);
    CHECK(w.all.mean == 10ms);
    CHECK(w.max_in_flight == 7);
    CHECK(w.mean_in_flight == Approx(3.0));
    CHECK(w.low.samples == 20); // with 7 permits, more than a third of the limit is in flight
}

TEST_CASE("The limit counts as reached if no other call with as many permits would fit") {
    // Or a limit that is no multiple of what the calls weigh would never bind, and no strategy would raise it.
    for (const auto& [limit, most] : {std::pair{4U, 4U}, {5U, 5U}, {6U, 3U}}) {
        CAPTURE(limit);
        scene s(limit, {.min_window = 1});
        for (int i = 0; i < 100 && s.strategy.windows().empty(); ++i) {
            ticket t = s.take(3);
            manual_clock::at += 10ms;
            t.success();
        }
        REQUIRE(s.strategy.windows().size() == 1);
        CHECK(s.strategy.windows()[0].max_in_flight == most);
        CHECK(s.strategy.windows()[0].mean_in_flight == Approx(3.0));
    }
}

TEST_CASE("Drops and ignored calls hold their permits as successes do") {
    scene s(20, {.min_window = 1});
    for (int i = 0; i < 30; ++i) {
        ticket t = s.take(5);
        manual_clock::at += 10ms;
        i % 2 == 0 ? t.drop() : t.ignore();
    }
    REQUIRE(s.strategy.windows().size() == 1);
    CHECK(s.strategy.windows()[0].dropped == 15);
    CHECK(s.strategy.windows()[0].mean_in_flight == Approx(5.0));
}

TEST_CASE("The permits of a straggler do not count in later windows, until they are back") {
    scene s(20, {.min_window = 1});
    ticket straggler = s.take(9);
    const auto fill_window = [&] {
        const std::size_t before = s.strategy.windows().size();
        while (s.strategy.windows().size() == before) {
            ticket t = s.take(2);
            manual_clock::at += 10ms;
            t.success();
        }
        return s.strategy.windows().back();
    };
    const flowguard::window first = fill_window(); // is closed early
    CHECK(first.unfinished == 1);
    CHECK(first.limit == 20);
    CHECK(first.max_in_flight == 11);
    const flowguard::window second = fill_window();
    CHECK(second.limit == 11); // the rest of the limit is what others can use
    CHECK(second.max_in_flight == 2);
    straggler.success();
    fill_window(); // was opened before
    const flowguard::window fourth = fill_window();
    CHECK(fourth.limit == 20);
    CHECK(fourth.max_in_flight == 2);
}

TEST_CASE("A drain waits for the permits of heavy calls that run and that wait") {
    scene s;
    s.call('a', {.permits = 6});
    s.call('b', {.permits = 16});
    bool drained = false;
    s.guard->async_drain([&](error_code e) { drained = !e; });
    s.held.let_one();
    CHECK(s.started() == "ab");
    CHECK_FALSE(drained);
    s.end_all();
    CHECK(drained);
    s.guard->reopen();
    check_idle(*s.guard);
}

TEST_CASE("A call that takes no permit ignores how many it would take") {
    scene s;
    const ticket stream = s.guard->try_acquire(options{.permits = 7, .long_lived = true});
    CHECK(stream);
    s.call('b', {.permits = 7, .bypass = true});
    CHECK(s.started() == "b");
    CHECK(s.in_flight() == 0);
    s.end_all();
}

TEST_CASE("An impossible number of permits of a call is rejected by name, value and range") {
    scene s;
    const std::string range = ", must be in [1, " + std::to_string(flowguard::max_limit) + "]";
    for (const std::size_t n : {std::size_t{0}, flowguard::max_limit + 1}) {
        const std::string rejected = "flowguard: the number of permits is " + std::to_string(n) + range;
        const options how{.permits = n};
        CHECK(rejection_of([&] { static_cast<void>(s.take(n)); }) == rejected);
        CHECK(rejection_of([&] { static_cast<void>(s.guard->acquire_if_free(how)); }) == rejected);
        CHECK(rejection_of([&] { start(s.context, s.guard->run(s.task('r'), how)); }) == rejected);
        CHECK(rejection_of([&] { start(s.context, s.guard->try_run(s.task('r'), how)); }) == rejected);
        CHECK(rejection_of([&] { s.guard->run_blocking([] {}, how); }) == rejected);
        CHECK(rejection_of([&] { s.guard->async_acquire(how, [](error_code, const ticket&) {}); }) == rejected);
    }
    CHECK(s.started().empty());
    check_idle(*s.guard);
    CHECK(rejection_of([&] { static_cast<void>(s.take(flowguard::max_limit)); }) == "accepted");
    check_idle(*s.guard);
}
