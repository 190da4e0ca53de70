// flow_guard_priority_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Which waiters get a guard's permits: their priorities, and the shares of their partitions.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::guard_options;
using flowguard::plan;
using flowguard::priority;
using support::gate;
using support::manual_clock;
using support::poll;
using support::rejection_of;
using support::scripted_strategy;
using support::start;

using guard_type = flowguard::flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;

// Callers note their names when they are admitted, and keep their permits until the test ends their tasks.
struct scene {
    scene(std::size_t limit, const guard_options& options) : guard(scripted_strategy{limit}, options) {
        manual_clock::at = 9h;
    }

    void come(char name, priority rank, std::size_t partition = 0) {
        guard.async_acquire({.priority = rank, .partition = partition},
                            asio::bind_executor(context, [this, name](flowguard::error_code e, ticket t) {
                                (e ? shed : admitted) += name;
                                if (t)
                                    held.push_back(std::move(t));
                            }));
        poll(context);
    }

    // Ends the task of the caller that was admitted first.
    void let_one_go() {
        held.erase(held.begin());
        poll(context);
    }

    asio::io_context context;
    guard_type guard;
    std::string admitted;
    std::string shed;
    std::vector<ticket> held;
};

} // namespace

TEST_CASE("Waiters are admitted by their priorities") {
    scene s{1, {}};
    s.come('a', priority::sheddable);
    s.come('b', priority::sheddable);
    s.come('c', priority::critical_plus);
    s.come('d', priority::critical);
    CHECK(s.admitted == "a"); // any caller gets a free permit
    for (int i = 0; i < 3; ++i)
        s.let_one_go();
    CHECK(s.admitted == "acdb");
}

TEST_CASE("A critical caller evicts a sheddable one") {
    scene s{1, {.max_waiters = 2}};
    s.come('a', priority::critical);
    s.come('b', priority::sheddable);
    s.come('c', priority::sheddable_plus);
    s.come('d', priority::critical);
    CHECK(s.shed == "b");
    s.come('e', priority::sheddable);
    CHECK(s.shed == "be");
    CHECK(s.guard.stats().shed == 2);
}

TEST_CASE("A call's options set its priority") {
    asio::io_context context;
    guard_type guard{scripted_strategy{1}};
    auto held = guard.try_acquire();
    std::string order;
    const auto task = [&order](char name) {
        return [&order, name]() -> asio::awaitable<void> {
            order += name;
            co_return;
        };
    };
    const auto low = start(context, guard.run(task('l'), {.priority = priority::sheddable}));
    const auto usual = start(context, guard.run(task('u')));
    const auto high = start(context, guard.run(task('h'), {.priority = priority::critical_plus}));
    poll(context);
    held.success();
    poll(context);
    CHECK(order == "hul");
}

TEST_CASE("With ageing, a sheddable caller gets its turn although new critical callers keep coming") {
    const bool ages = GENERATE(false, true);
    scene s{1, {.ageing = ages ? 10ms : flowguard::duration::max()}};
    s.come('.', priority::critical);
    s.come('s', priority::sheddable);
    for (int i = 0; i < 10; ++i) {
        s.come('c', priority::critical);
        manual_clock::at += 5ms;
        s.let_one_go();
    }
    // After 20 ms, the sheddable caller counts as critical, too, and has waited for longer.
    CHECK(s.admitted == (ages ? ".cccscccccc" : ".cccccccccc"));
}

TEST_CASE("A partition may use what others leave free, and is the first to give it back when they wait") {
    scene s{10, {.partitions = {0.5, 0.5}}};
    for (int i = 0; i < 10; ++i)
        s.come('a', priority::critical, 0);
    CHECK(s.admitted == "aaaaaaaaaa");
    CHECK(s.guard.in_flight(0) == 10);
    s.admitted.clear();
    for (int i = 0; i < 5; ++i) {
        s.come('a', priority::critical_plus, 0);
        s.come('b', priority::sheddable, 1);
    }
    for (int i = 0; i < 5; ++i) // within one RTT, as each of the borrowers ends
        s.let_one_go();
    CHECK(s.admitted == "bbbbb");
    CHECK(s.guard.in_flight(0) == 5);
    CHECK(s.guard.in_flight(1) == 5);
}

TEST_CASE("Each partition has its share of a limit that moves, and not more, while all partitions wait") {
    asio::io_context context;
    manual_clock::at = 9h;
    // The guard's first window has 12 admissions.
    guard_type guard{scripted_strategy{8, {plan(16, 60), plan(4, 1000)}},
                     guard_options{.min_window = 1, .partitions = {0.75, 0.25}}};
    std::vector<ticket> held;
    for (int i = 0; i < 400; ++i)
        guard.async_acquire({.partition = i % 2 == 0 ? 0U : 1U},
                            asio::bind_executor(context, [&held](flowguard::error_code, ticket t) {
                                if (t)
                                    held.push_back(std::move(t));
                            }));
    poll(context);
    const auto turn_over = [&](int n) {
        for (int i = 0; i < n; ++i) {
            held.front().success();
            held.erase(held.begin());
            poll(context);
            CHECK(guard.in_flight(0) + guard.in_flight(1) == guard.in_flight());
            CHECK(held.size() == guard.in_flight());
        }
    };
    const auto check_shares = [&](std::size_t limit) {
        CHECK(guard.current_limit() == limit);
        CHECK(guard.in_flight(0) == limit * 3 / 4);
        CHECK(guard.in_flight(1) == limit / 4);
    };
    turn_over(11);
    check_shares(8);
    turn_over(40);
    check_shares(16);
    turn_over(60);
    check_shares(4);
    guard.close();
    poll(context);
    held.clear();
    CHECK(guard.in_flight(0) + guard.in_flight(1) == 0);
}

TEST_CASE("However a call ends, its partition gets the permit back") {
    auto context = std::make_unique<asio::io_context>();
    manual_clock::at = 9h;
    guard_type guard{scripted_strategy{1}, {.partitions = {0, 0.5, 0.5}}};
    const auto check = [&](std::size_t in_flight) {
        CHECK(guard.in_flight(2) == in_flight);
        CHECK(guard.in_flight() == in_flight);
    };
    {
        const ticket t = guard.try_acquire(2);
        REQUIRE(t);
        check(1);
        CHECK_FALSE(guard.try_acquire(1));
        CHECK(guard.in_flight(1) == 0);
    }
    check(0);
    std::optional<gate> g{*context};
    const auto run = start(*context, guard.run([&] { return g->pass(); }, {.partition = 2}));
    poll(*context);
    check(1);
    const auto late =
        start(*context, guard.run([&] { return g->pass(); }, {.deadline = manual_clock::now() + 1s, .partition = 1}));
    const auto tried = start(*context, guard.try_run([&] { return g->pass(); }, {.partition = 1}));
    poll(*context);
    CHECK(tried->value == false);
    g->let_all();
    context->restart();
    context->poll_one(); // the late caller is granted the permit, but does not know it yet
    manual_clock::at += 1s;
    poll(*context);
    CHECK(run->succeeded());
    CHECK(late->code() == error::wait_timeout);
    CHECK(guard.in_flight(1) == 0);
    check(0);

    auto held = guard.try_acquire(2);
    std::optional<ticket> never_called;
    guard.async_acquire({.partition = 1}, asio::bind_executor(*context, [&](flowguard::error_code, ticket t) {
                            never_called = std::move(t);
                        }));
    held.success();
    CHECK(guard.in_flight(1) == 1); // granted, but not delivered
    g.reset();
    context.reset();
    CHECK(guard.in_flight(1) == 0);
    CHECK_FALSE(never_called);
    check(0);
}

TEST_CASE("Bad shares and bad numbers of partitions are rejected by name, value and range") {
    const auto with = [](std::vector<double> shares) {
        return rejection_of([&] { guard_type{scripted_strategy{1}, guard_options{.partitions = std::move(shares)}}; });
    };
    CHECK(with({0.5, 0.5}) == "accepted");
    CHECK(with(std::vector<double>(10, 0.1)) == "accepted"); // although rounding makes their sum a little more than 1
    CHECK(with({1.5}) == "flowguard: a share in guard_options::partitions is 1.5, must be in [0, 1]");
    CHECK(with({0.5, -0.5}) == "flowguard: a share in guard_options::partitions is -0.5, must be in [0, 1]");
    CHECK(with({0.75, 0.75}) == "flowguard: the sum of guard_options::partitions is 1.5, must be in [0, 1]");
    CHECK(with(std::vector<double>(17)) ==
          "flowguard: the number of guard_options::partitions is 17, must be in [1, 16]");

    asio::io_context context;
    guard_type two{scripted_strategy{1}, guard_options{.partitions = {0.5, 0.5}}};
    guard_type one{scripted_strategy{1}};
    const std::string rejected = "flowguard: the partition is 2, must be in [0, 1]";
    const auto nothing = []() -> asio::awaitable<void> { co_return; };
    CHECK(rejection_of([&] { static_cast<void>(two.try_acquire(2)); }) == rejected);
    CHECK(rejection_of([&] { static_cast<void>(two.in_flight(2)); }) == rejected);
    CHECK(rejection_of([&] { start(context, two.run(nothing, {.partition = 2})); }) == rejected);
    CHECK(rejection_of([&] { start(context, two.try_run(nothing, {.partition = 2})); }) == rejected);
    CHECK(rejection_of([&] { two.async_acquire({.partition = 2}, [](flowguard::error_code, const ticket&) {}); }) ==
          rejected);
    CHECK(rejection_of([&] { static_cast<void>(one.try_acquire(1)); }) ==
          "flowguard: the partition is 1, must be in [0, 0]");
    CHECK(rejection_of([&] { start(context, one.run(nothing, {.priority = static_cast<priority>(4)})); }) ==
          "flowguard: the priority is 4, must be in [0, 3]");
    CHECK(two.in_flight() == 0);
    CHECK(rejection_of([] { guard_type{scripted_strategy{1}, guard_options{.ageing = 0ns}}; }) ==
          "flowguard: guard_options::ageing is 0 ns, must be at least 1");
}
