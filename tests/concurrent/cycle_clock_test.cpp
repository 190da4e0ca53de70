// cycle_clock_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Where cycle_clock uses no counter, it is steady_clock, of which all of this is true, too. No test depends on how fast
// the machine is: each time is compared with what steady_clock shows before it and after it.

#include "flowguard/cycle_clock.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <tuple>
#include <utility>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/time_histogram.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::cycle_clock;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using std::chrono::steady_clock;

constexpr auto tolerance = 100us; // many times what the clock promises

static_assert(std::chrono::is_clock_v<cycle_clock> && cycle_clock::is_steady);

// Compares the clock with steady_clock, for long enough for it to find the rate of the counter. Returns the number of
// times that were wrong or went back.
int wrong_times() {
    int wrong = 0;
    cycle_clock::time_point last{};
    const auto end = steady_clock::now() + 50ms;
    for (auto before = steady_clock::now(); before < end;) {
        const auto time = cycle_clock::now();
        const auto after = steady_clock::now();
        wrong += time.time_since_epoch() < before.time_since_epoch() - tolerance;
        wrong += time.time_since_epoch() > after.time_since_epoch() + tolerance;
        wrong += time < last;
        last = time;
        before = after;
    }
    return wrong;
}

asio::awaitable<void> sleep(steady_clock::duration length) {
    asio::steady_timer timer{co_await asio::this_coro::executor, length};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<flowguard::error_code> error_of(asio::awaitable<std::tuple<flowguard::error_code>> call) {
    const auto [error] = co_await std::move(call);
    co_return error;
}

} // namespace

TEST_CASE("A cycle clock shows the time of steady_clock, and never goes back") {
    INFO("uses the counter: " << cycle_clock::uses_counter());
    CHECK(wrong_times() == 0);
}

TEST_CASE("A cycle clock shows the same time to all threads") {
    int wrong = 0;
    std::thread other([&wrong] { wrong = wrong_times(); });
    const int wrong_here = wrong_times();
    other.join();
    CHECK(wrong == 0);
    CHECK(wrong_here == 0);

    // What another thread has read before is not later.
    wrong_times(); // so that this thread knows the rate of the counter
    cycle_clock::time_point read_there;
    for (int i = 0; i < 10; ++i) {
        std::thread([&read_there] { read_there = cycle_clock::now(); }).join();
        CHECK(read_there <= cycle_clock::now() + tolerance);
    }
}

TEST_CASE("A guard measures RTTs by a cycle clock") {
    flow_guard<fixed_limit, cycle_clock> guard{fixed_limit{1}, {.min_window = 1}};
    asio::io_context context{1};
    const auto before = steady_clock::now();
    asio::co_spawn(context, guard.run(sleep(2ms)), asio::detached);
    context.run();
    const auto elapsed = steady_clock::now() - before;
    const flowguard::time_histogram rtts = guard.stats().rtts;
    CHECK(rtts.total() == 1);
    CHECK(rtts.sum >= 2ms - tolerance);
    CHECK(rtts.sum <= elapsed + tolerance);
}

TEST_CASE("The deadlines and time-outs of a guard with a cycle clock are in its time") {
    flow_guard<fixed_limit, cycle_clock> guard{fixed_limit{1}, {.max_wait = 1ms}};
    asio::io_context context{1};
    flowguard::error_code late;
    flowguard::error_code timed_out;
    flowguard::error_code waited;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            late = co_await error_of(guard.run_as_tuple(sleep(0ms), {.deadline = cycle_clock::now() - 1ms}));
            timed_out = co_await error_of(guard.run_as_tuple(sleep(1h), {.timeout = 1ms}));
            const auto held = guard.try_acquire();
            waited = co_await error_of(guard.run_as_tuple(sleep(0ms)));
        },
        asio::detached);
    context.run();
    CHECK(late == flowguard::error::wait_timeout);
    CHECK(timed_out == flowguard::error::task_timeout);
    CHECK(waited == flowguard::error::wait_timeout);
}
