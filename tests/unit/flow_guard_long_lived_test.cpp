// flow_guard_long_lived_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Calls with run_options::long_lived, in all the ways in which such a call can be made.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
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
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::priority;
using flowguard::rejection;
using support::check_idle;
using support::fail_with;
using support::gate;
using support::give;
using support::manual_clock;
using support::message_of;
using support::never_ends;
using support::nothing;
using support::poll;
using support::rejection_of;
using support::scripted_strategy;
using support::start;

using guard_type = flowguard::flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

constexpr options long_lived{.long_lived = true};

// A guard with a limit of 1, whose only permit is taken, and the long-lived calls that were made to it.
struct scene {
    explicit scene(const guard_options& o = {}) {
        manual_clock::at = 9h;
        guard.emplace(context.get_executor(), strategy, o);
        permit = guard->try_acquire();
        REQUIRE(permit);
    }

    guard_stats stats() const { return guard->stats(); }

    asio::awaitable<int> task() {
        ++started;
        co_await held.pass();
        co_return 1;
    }

    void end_all() {
        held.let_all();
        tickets.clear();
        poll(context);
    }

    asio::io_context context;
    gate held{context};
    scripted_strategy strategy{1};
    std::optional<guard_type> guard;
    ticket permit;
    std::vector<ticket> tickets;
    int started = 0;
};

struct answer {
    bool admitted = false;
    flowguard::error_code error{}; // none for an attempt that is not admitted
};

template <class T>
answer answer_of(scene& s, const std::shared_ptr<const support::ending<T>>& end) {
    poll(s.context);
    return {.admitted = !end->done, .error = end->code()};
}

answer keep(scene& s, ticket t, flowguard::error_code error = {}) {
    const bool admitted = static_cast<bool>(t);
    if (admitted)
        s.tickets.push_back(std::move(t));
    return {.admitted = admitted, .error = error};
}

asio::awaitable<answer> keep(scene& s, asio::awaitable<ticket> acquired) {
    co_return keep(s, co_await std::move(acquired));
}

// A way to make a call. If the call is admitted, it lasts until scene::end_all().
struct form {
    const char* name;
    bool is_attempt; // if it is not admitted, it ends without an error
    answer (*call)(scene& s, const options& how);
};

const std::array forms{
    form{"run a task", false,
         [](scene& s, const options& how) { return answer_of(s, start(s.context, s.guard->run(s.task(), how))); }},
    form{"run a callable", false,
         [](scene& s, const options& how) {
             return answer_of(s, start(s.context, s.guard->run([&] { return s.task(); }, how)));
         }},
    form{"run a callable with arguments", false,
         [](scene& s, const options& how) {
             return answer_of(s, start(s.context, s.guard->run(how, &scene::task, &s)));
         }},
    form{"try to run a callable", true,
         [](scene& s, const options& how) {
             return answer_of(s, start(s.context, s.guard->try_run([&] { return s.task(); }, how)));
         }},
    form{"try to run a callable with arguments", true,
         [](scene& s, const options& how) {
             return answer_of(s, start(s.context, s.guard->try_run(how, &scene::task, &s)));
         }},
    form{"try to acquire a ticket", true,
         [](scene& s, const options& how) { return keep(s, s.guard->try_acquire(how)); }},
    form{"acquire a ticket in a coroutine", false,
         [](scene& s, const options& how) {
             const auto end = start(s.context, keep(s, s.guard->async_acquire(how, asio::use_awaitable)));
             poll(s.context);
             return end->succeeded() ? *end->value : answer{.error = end->code()};
         }},
    form{"acquire a ticket for a handler", false,
         [](scene& s, const options& how) {
             answer result;
             bool called = false;
             s.guard->async_acquire(how, [&](flowguard::error_code e, ticket t) {
                 called = true;
                 result = keep(s, std::move(t), e);
             });
             CHECK_FALSE(called); // not from inside the call
             poll(s.context);
             CHECK(called);
             return result;
         }},
};

// Checks that calls of this form are rejected with this error, and that no task of theirs is started.
void check_rejected(scene& s, const form& f, flowguard::error_code expected, const options& how = long_lived) {
    const int before = s.started;
    const answer a = f.call(s, how);
    CHECK_FALSE(a.admitted);
    CHECK(a.error == (f.is_attempt ? flowguard::error_code() : expected));
    CHECK(s.started == before);
}

} // namespace

TEST_CASE("Long-lived calls run beside a limit that is full, and are no samples") {
    for (const form& f : forms) {
        INFO(f.name);
        scene s{{.min_window = 1, .max_waiters = 0}};
        constexpr std::size_t calls = 50;
        for (std::size_t i = 0; i < calls; ++i)
            CHECK(f.call(s, long_lived).admitted);
        CHECK(s.stats().long_lived == calls);
        CHECK(s.stats().long_lived_admitted == calls);
        CHECK(s.guard->in_flight() == 1);
        CHECK(s.guard->waiting() == 0);
        manual_clock::at += 1h;
        s.end_all();
        CHECK(s.stats().long_lived == 0);
        CHECK(s.stats().long_lived_admitted == calls);
        CHECK(s.guard->in_flight() == 1);

        manual_clock::at += 1h;
        CHECK(s.strategy.windows().empty());
        s.permit.success();
        REQUIRE(s.strategy.windows().size() == 1);
        CHECK(s.strategy.windows()[0].admitted == 1);
        CHECK(s.stats().admitted == 1);
        CHECK(s.stats().shed == 0);
        check_idle(*s.guard);
    }
}

TEST_CASE("Ordinary calls are admitted while the bound of long-lived ones is reached") {
    scene s{{.max_long_lived = 1}};
    s.tickets.push_back(s.guard->try_acquire(long_lived));
    s.permit.success();
    const auto end = start(s.context, s.guard->run(give(1)));
    poll(s.context);
    CHECK(end->value == 1);
    CHECK(s.stats().long_lived == 1);
}

TEST_CASE("A long-lived call beyond the bound is shed at once, until a place comes back") {
    for (const std::size_t most : {0U, 1U, 3U})
        for (const form& f : forms) {
            INFO(f.name << ", at most " << most);
            scene s{{.max_long_lived = most}};
            for (std::size_t round = 1; round <= 2; ++round) {
                for (std::size_t i = 0; i < most; ++i)
                    CHECK(f.call(s, long_lived).admitted);
                CHECK(s.stats().long_lived == most);
                check_rejected(s, f, error::shed);
                CHECK(s.stats().long_lived == most);
                CHECK(s.stats().long_lived_admitted == round * most);
                CHECK(s.stats().shed_at_once == round);
                CHECK(s.stats().shed == round);
                s.end_all();
                CHECK(s.stats().long_lived == 0);
            }
        }
}

TEST_CASE("A long-lived task's result reaches the caller") {
    scene s;
    const auto ran = start(s.context, s.guard->run(give(5), long_lived));
    const auto ran_nothing = start(s.context, s.guard->run(nothing(), long_lived));
    const auto tried = start(s.context, s.guard->try_run([] { return give(6); }, long_lived));
    const auto tried_nothing = start(s.context, s.guard->try_run(nothing, long_lived));
    poll(s.context);
    CHECK(ran->value == 5);
    CHECK(ran_nothing->succeeded());
    CHECK(tried->value == std::optional<int>(6));
    CHECK(tried_nothing->value == true);
    CHECK(s.stats().long_lived == 0);
    CHECK(s.stats().long_lived_admitted == 4);
}

TEST_CASE("A long-lived task is not classified") {
    scene s;
    int classified = 0;
    const auto classifier = [&](const int&) {
        ++classified;
        return outcome::dropped;
    };
    const flowguard::run_options<std::decay_t<decltype(classifier)>, manual_clock> how{.long_lived = true,
                                                                                       .classify = classifier};
    const auto end = start(s.context, s.guard->run(give(1), how));
    poll(s.context);
    CHECK(end->succeeded());
    CHECK(classified == 0);
}

TEST_CASE("A long-lived task's place comes back however the task ends") {
    scene s{{.max_long_lived = 1}};
    const auto failure = std::runtime_error("no luck");
    SECTION("with a result") {
        start(s.context, s.guard->run(give(1), long_lived));
    }
    SECTION("with an exception") {
        const auto end = start(s.context, s.guard->run(fail_with(failure), long_lived));
        poll(s.context);
        CHECK(message_of(end->exception) == "no luck");
    }
    SECTION("with an exception of an attempt") {
        const auto end = start(s.context, s.guard->try_run([&] { return fail_with(failure); }, long_lived));
        poll(s.context);
        CHECK(message_of(end->exception) == "no luck");
    }
    SECTION("because the task cannot be made") {
        const auto make = [&]() -> asio::awaitable<int> { throw failure; };
        const auto end = start(s.context, s.guard->run(make, long_lived));
        poll(s.context);
        CHECK(message_of(end->exception) == "no luck");
    }
    SECTION("by a cancellation") {
        asio::cancellation_signal signal;
        const auto end = start(s.context, s.guard->run(s.task(), long_lived), &signal);
        poll(s.context);
        CHECK(s.stats().long_lived == 1);
        signal.emit(asio::cancellation_type::terminal);
        poll(s.context);
        CHECK(end->code() == asio::error::operation_aborted);
    }
    SECTION("with the report of a ticket") {
        const auto how = GENERATE(outcome::success, outcome::ignored, outcome::dropped);
        s.guard->try_acquire(long_lived).finish(how);
    }
    SECTION("once, with the first report of a ticket that was moved") {
        ticket t = s.guard->try_acquire(long_lived);
        ticket moved = std::move(t);
        t = std::move(moved);
        CHECK(s.stats().long_lived == 1);
        t.success();
        CHECK_FALSE(t);
        t.drop();
    }
    SECTION("with a ticket that is destroyed") {
        const ticket t = s.guard->try_acquire(long_lived);
        CHECK(t);
    }
    SECTION("with a ticket that its handler does not take") {
        s.guard->async_acquire(long_lived, [](flowguard::error_code, auto) {});
        CHECK(s.stats().long_lived == 1);
    }
    poll(s.context);
    CHECK(s.stats().long_lived == 0);
    CHECK(s.stats().long_lived_admitted == 1);
    CHECK(s.guard->try_acquire(long_lived));
    CHECK(s.guard->in_flight() == 1);
    CHECK(s.stats().succeeded + s.stats().ignored + s.stats().dropped == 0);
}

TEST_CASE("A context that is destroyed returns the places of its long-lived calls") {
    scene s;
    const auto watched = std::make_shared<int>(0);
    auto context = std::make_unique<asio::io_context>();
    start(*context, s.guard->run(never_ends(watched), long_lived));
    start(*context, s.guard->try_run(long_lived, never_ends, watched));
    poll(*context);
    s.guard->async_acquire(long_lived,
                           asio::bind_executor(*context, [watched](flowguard::error_code, ticket) { ++*watched; }));
    CHECK(s.stats().long_lived == 3);
    SECTION("before the guard is destroyed") {
        context.reset();
        CHECK(s.stats().long_lived == 0);
        CHECK(s.stats().long_lived_admitted == 3);
    }
    SECTION("after the guard was destroyed") {
        s.guard.reset();
        s.permit.ignore();
        context.reset();
    }
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 0);
}

TEST_CASE("Long-lived tasks may outlive their guard") {
    for (const form& f : forms) {
        INFO(f.name);
        scene s;
        REQUIRE(f.call(s, long_lived).admitted);
        s.permit.ignore();
        s.guard.reset();
        s.end_all(); // AddressSanitizer sees whether the state exists, and is freed
    }
}

TEST_CASE("A closed guard rejects long-lived calls, and lets those that run go on") {
    for (const form& f : forms) {
        INFO(f.name);
        scene s;
        REQUIRE(f.call(s, long_lived).admitted);
        s.guard->close();
        check_rejected(s, f, error::closed);
        CHECK(s.stats().long_lived == 1);
        CHECK(s.stats().closed == 1);
        CHECK(s.stats().shed_at_once == 0);
        s.end_all();
        CHECK(s.stats().long_lived == 0);
    }
}

TEST_CASE("A long-lived call that starts after its guard was destroyed ends with operation_aborted") {
    scene s;
    const auto ran = start(s.context, s.guard->run(s.task(), long_lived));
    const auto tried = start(s.context, s.guard->try_run([&] { return s.task(); }, long_lived));
    s.permit.ignore();
    s.guard.reset();
    poll(s.context);
    CHECK(ran->code() == asio::error::operation_aborted);
    CHECK(tried->code() == asio::error::operation_aborted);
    CHECK(s.started == 0);
}

TEST_CASE("A long-lived call whose deadline has passed is not started") {
    for (const form& f : forms) {
        INFO(f.name);
        scene s;
        check_rejected(s, f, error::wait_timeout,
                       {.deadline = manual_clock::time_point(manual_clock::at), .long_lived = true});
        CHECK(s.stats().timed_out == 1);
        CHECK(s.stats().long_lived_admitted == 0);
        const options later{.deadline = manual_clock::time_point(manual_clock::at + 1ms), .long_lived = true};
        CHECK(f.call(s, later).admitted);
        manual_clock::at += 1h; // a task that was started goes on
        CHECK(s.stats().long_lived == 1);
        s.end_all();
        CHECK(s.stats().long_lived == 0);
    }
}

TEST_CASE("Priority and partition have no effect on long-lived calls, but must exist") {
    for (const form& f : forms) {
        INFO(f.name);
        scene s{{.partitions = {1, 0}, .max_long_lived = 2}};
        CHECK(f.call(s, {.priority = priority::sheddable, .partition = 1, .long_lived = true}).admitted);
        CHECK(f.call(s, {.priority = priority::critical_plus, .long_lived = true}).admitted);
        check_rejected(s, f, error::shed, {.priority = priority::critical_plus, .long_lived = true});
        CHECK(s.guard->in_flight(0) == 1);
        CHECK(s.guard->in_flight(1) == 0);
        CHECK_THROWS_AS(f.call(s, {.partition = 2, .long_lived = true}), std::invalid_argument);
        CHECK_THROWS_AS(f.call(s, {.priority = static_cast<priority>(4), .long_lived = true}), std::invalid_argument);
        CHECK(s.stats().long_lived == 2);
        s.end_all();
    }
}

TEST_CASE("A long-lived task may make ordinary calls of its own guard") {
    scene s;
    s.permit.success();
    const auto stream = [&]() -> asio::awaitable<int> {
        co_return co_await s.guard->run(give(1)) + co_await s.guard->run(give(2));
    };
    const auto end = start(s.context, s.guard->run(stream, long_lived));
    poll(s.context);
    CHECK(end->value == 3);
    CHECK(s.stats().succeeded == 3);
}

TEST_CASE("If bypass is set as well, it wins") {
    scene s{{.max_long_lived = 0}};
    const auto end = start(s.context, s.guard->run(give(1), {.bypass = true, .long_lived = true}));
    poll(s.context);
    CHECK(end->value == 1);
    CHECK(s.stats().bypassed == 1);
    CHECK(s.stats().long_lived_admitted == 0);
}

TEST_CASE("The observer is told why a long-lived call was rejected") {
    for (const form& f : forms) {
        INFO(f.name);
        std::vector<rejection> told;
        scene s{{.max_long_lived = 0, .on_rejection = [&](rejection why) { told.push_back(why); }}};
        f.call(s, long_lived);
        f.call(s, {.deadline = manual_clock::time_point(manual_clock::at), .long_lived = true});
        s.guard->close();
        f.call(s, long_lived);
        CHECK(told == std::vector<rejection>{rejection::no_permit, rejection::timed_out, rejection::closed});
    }
}

TEST_CASE("The observer may destroy the guard that has rejected a long-lived call") {
    for (const form& f : forms) {
        INFO(f.name);
        scene* guarded = nullptr;
        scene s{{.max_long_lived = 0, .on_rejection = [&](rejection) { guarded->guard.reset(); }}};
        guarded = &s;
        check_rejected(s, f, error::shed);
        CHECK_FALSE(s.guard.has_value());
    }
}

TEST_CASE("The bound of long-lived tasks is at most max_limit") {
    const auto made_with = [](std::size_t most) {
        return rejection_of([&] { guard_type{scripted_strategy{1}, guard_options{.max_long_lived = most}}; });
    };
    CHECK(made_with(0) == "accepted");
    CHECK(made_with(flowguard::max_limit) == "accepted");
    CHECK(made_with(flowguard::max_limit + 1) ==
          "flowguard: guard_options::max_long_lived is 268435456, must be in [0, 268435455]");
}

TEST_CASE("An attempt to acquire a ticket takes the options of ordinary calls, too") {
    manual_clock::at = 9h;
    guard_type guard{scripted_strategy{1}, {.partitions = {0.5, 0.5}}};
    CHECK_FALSE(guard.try_acquire({.deadline = manual_clock::time_point(manual_clock::at), .partition = 1}));
    CHECK(guard.stats().timed_out == 1);
    const ticket t = guard.try_acquire({.priority = priority::sheddable, .partition = 1});
    CHECK(t);
    CHECK(guard.in_flight(1) == 1);
    CHECK_FALSE(guard.try_acquire(options{}));
    CHECK(guard.stats().shed_at_once == 1);
    CHECK_THROWS_AS(static_cast<void>(guard.try_acquire({.partition = 2})), std::invalid_argument);
}
