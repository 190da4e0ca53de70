// manual_clock_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/testing/manual_clock.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/rejection.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::manual_clock;
using support::poll;

template <class Clock>
using timer = asio::basic_waitable_timer<Clock>;

} // namespace

TEST_CASE("Each tag of a manual clock has a time of its own, which begins with 0") {
    using one = manual_clock<struct time_of_one>;
    using other = manual_clock<struct time_of_other>;
    CHECK(one::now() == one::time_point());
    one::advance(5ms);
    one::advance(0ns);
    one::advance(1h);
    CHECK(one::now().time_since_epoch() == 1h + 5ms);
    CHECK(other::now() == other::time_point());
}

TEST_CASE("A manual clock can be set to any time") {
    using clock = manual_clock<struct set_to>;
    clock::set(clock::time_point(9h));
    CHECK(clock::now().time_since_epoch() == 9h);
    clock::set({});
    CHECK(clock::now().time_since_epoch() == 0h);
}

TEST_CASE("A manual clock stops at the last time that there is") {
    using clock = manual_clock<struct stops>;
    clock::set(clock::time_point::max() - 1ns);
    clock::advance(1ns);
    CHECK(clock::now() == clock::time_point::max());
    clock::advance(1h);
    CHECK(clock::now() == clock::time_point::max());
}

TEST_CASE("A manual clock does not advance by less than nothing") {
    using clock = manual_clock<struct backwards>;
    CHECK(support::rejection_of([] { clock::advance(-1ns); }) ==
          "flowguard: manual_clock: the time to advance is -1 ns, must be at least 0");
    CHECK(clock::now() == clock::time_point());
}

TEST_CASE("The next poll after an advance ends the waits whose time has come, and no others") {
    using clock = manual_clock<struct next_poll>;
    asio::io_context context;
    std::string ended;
    timer<clock> late{context, clock::time_point(1h)};
    timer<clock> early{context, clock::time_point(1s)};
    timer<clock> never{context, clock::time_point::max()};
    late.async_wait([&](const flowguard::error_code& e) { ended += e ? "?" : "late "; });
    early.async_wait([&](const flowguard::error_code& e) { ended += e ? "?" : "early "; });
    never.async_wait([&](const flowguard::error_code& e) { ended += e ? "cancelled " : "?"; });
    poll(context);
    CHECK(ended.empty());
    clock::advance(1s - 1ns);
    poll(context);
    CHECK(ended.empty());
    clock::advance(1ns);
    poll(context);
    CHECK(ended == "early ");
    clock::advance(1h);
    poll(context);
    CHECK(ended == "early late ");
    never.cancel();
    poll(context);
    CHECK(ended == "early late cancelled ");
}

TEST_CASE("A wait of one clock takes no notice of another clock") {
    using one = manual_clock<struct wait_of_one>;
    using other = manual_clock<struct wait_of_other>;
    asio::io_context context;
    flowguard::flow_guard<flowguard::fixed_limit, one> guard{flowguard::fixed_limit{1}, {.max_wait = 10ms}};
    flowguard::flow_guard<flowguard::fixed_limit, other> other_guard{flowguard::fixed_limit{1}, {.max_wait = 10ms}};
    const auto held = guard.try_acquire();
    const auto other_held = other_guard.try_acquire();
    guard.async_acquire(asio::bind_executor(context, [](flowguard::error_code, auto) {}));
    other_guard.async_acquire(asio::bind_executor(context, [](flowguard::error_code, auto) {}));
    one::advance(10ms);
    poll(context);
    CHECK(guard.waiting() == 0);
    CHECK(guard.stats().timed_out == 1);
    CHECK(other_guard.waiting() == 1);
    other::advance(10ms);
    poll(context);
    CHECK(other_guard.stats().timed_out == 1);
}

TEST_CASE("A context that another thread runs notices that a manual clock has advanced") {
    using clock = manual_clock<struct other_thread>;
    asio::io_context context;
    timer<clock> wait{context, clock::time_point(1h)};
    bool ended = false;
    wait.async_wait([&](const flowguard::error_code& e) { ended = !e; });
    std::thread runs([&] { context.run(); });
    clock::advance(30min);
    clock::advance(30min);
    runs.join();
    CHECK(ended);
}

TEST_CASE("A manual clock counts what several threads advance it by") {
    using clock = manual_clock<struct several_threads>;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([] {
            for (int j = 0; j < 1000; ++j)
                clock::advance(1ms);
        });
    for (std::thread& t : threads)
        t.join();
    CHECK(clock::now().time_since_epoch() == 4s);
}
