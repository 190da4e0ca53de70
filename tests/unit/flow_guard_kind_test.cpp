// flow_guard_kind_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The kinds of calls, on their way from the options to the strategy.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::guard_options;
using flowguard::plan;
using flowguard::window;
using support::manual_clock;
using support::poll;
using support::rejection_of;
using support::scripted_strategy;
using support::start;

using guard_type = flowguard::flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;

// A guard with a limit and windows of as many calls.
struct server {
    explicit server(std::size_t limit) : strategy(limit, {plan(limit, limit)}) {}

    // The kinds of the calls in the latest window, as "kind:count ".
    std::string kinds() const {
        std::string text;
        const window& w = strategy.windows().back();
        for (std::size_t k = 0; k < w.all.kinds.size(); ++k)
            if (w.all.kinds[k].samples > 0)
                text += std::to_string(k) + ':' + std::to_string(w.all.kinds[k].samples) + ' ';
        return text;
    }

    // Ends the first window, whose size the guard chooses.
    void begin() {
        while (strategy.windows().empty())
            guard.try_acquire().success();
    }

    asio::io_context context;
    scripted_strategy strategy;
    guard_type guard{strategy};
};

asio::awaitable<void> nothing() {
    co_return;
}

TEST_CASE("A window tells the kinds of its calls, in whatever way they were made") {
    server s{6};
    s.begin();
    start(s.context, s.guard.run(nothing(), {.kind = 1}));
    start(s.context, s.guard.run({.kind = 2}, nothing));
    start(s.context, s.guard.try_run(nothing, {.kind = 3}));
    s.guard.try_acquire({.kind = 4}).success();
    s.guard.async_acquire({.kind = 5},
                          asio::bind_executor(s.context, [](flowguard::error_code, ticket t) { t.success(); }));
    start(s.context, s.guard.run(nothing()));
    poll(s.context);
    REQUIRE(s.strategy.windows().size() == 2);
    CHECK(s.kinds() == "0:1 1:1 2:1 3:1 4:1 5:1 ");
}

TEST_CASE("A call that waits keeps its kind") {
    server s{1};
    s.begin();
    const std::size_t before = s.strategy.windows().size();
    auto held = s.guard.try_acquire();
    start(s.context, s.guard.run(nothing(), {.kind = 9}));
    s.guard.async_acquire({.kind = 15},
                          asio::bind_executor(s.context, [](flowguard::error_code, ticket t) { t.success(); }));
    poll(s.context);
    held.success();
    poll(s.context);
    REQUIRE(s.strategy.windows().size() == before + 3);
    CHECK(s.strategy.windows()[before + 1].all.kinds[15].samples == 1);
    CHECK(s.kinds() == "9:1 "); // a coroutine starts later
}

TEST_CASE("A moved ticket keeps its kind, and only successes count") {
    server s{3};
    s.begin();
    ticket first = s.guard.try_acquire({.kind = 2});
    ticket second;
    second = std::move(first);
    manual_clock::at += 4ms;
    second.success();
    s.guard.try_acquire({.kind = 2}).drop();
    s.guard.try_acquire({.kind = 2}).ignore();
    CHECK(s.kinds() == "2:1 ");
    CHECK(s.strategy.windows().back().all.kinds[2].mean == 4ms);
}

TEST_CASE("A kind that does not exist is rejected by name, value and range") {
    server s{1};
    const std::string rejected = "flowguard: the kind is 16, must be in [0, 15]";
    CHECK(rejection_of([&] { static_cast<void>(s.guard.try_acquire({.kind = 16})); }) == rejected);
    CHECK(rejection_of([&] { start(s.context, s.guard.run(nothing, {.kind = 16})); }) == rejected);
    CHECK(rejection_of([&] { start(s.context, s.guard.try_run(nothing, {.kind = 16})); }) == rejected);
    CHECK(rejection_of([&] { start(s.context, s.guard.run(nothing, {.kind = 16, .long_lived = true})); }) == rejected);
    CHECK(rejection_of([&] { s.guard.async_acquire({.kind = 16}, [](flowguard::error_code, const ticket&) {}); }) ==
          rejected);
    CHECK(s.guard.in_flight() == 0);
    CHECK(rejection_of([&] { start(s.context, s.guard.run(nothing, {.kind = 15})); }) == "accepted");
    CHECK(rejection_of([&] { start(s.context, s.guard.run(nothing, {.kind = 99, .bypass = true})); }) == "accepted");
}

// A window waits for long calls, once it is known how long they take.
TEST_CASE("The calls of a slow kind are in their windows") {
    server s{10};
    s.begin();
    const auto run_window = [&] {
        const std::size_t before = s.strategy.windows().size();
        ticket slow = s.guard.try_acquire({.kind = 1});
        for (int i = 0; i < 9; ++i) {
            ticket quick = s.guard.try_acquire();
            manual_clock::at += 1ms;
            quick.success();
        }
        manual_clock::at += 400ms;
        s.guard.try_acquire().ignore(); // closes the window if its last call counts as a straggler
        const bool waited = s.strategy.windows().size() == before;
        slow.success();
        while (s.strategy.windows().size() == before)
            s.guard.try_acquire().ignore();
        return waited;
    };
    CHECK_FALSE(run_window());
    CHECK_FALSE(run_window()); // was opened before the first slow call ended
    CHECK(run_window());
    CHECK(s.kinds() == "0:9 1:1 ");
}

} // namespace
