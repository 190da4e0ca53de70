// timeout_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Time-outs cancel tasks while other threads run them, complete them, or cancel their callers. Run these tests with
// ThreadSanitizer, and with AddressSanitizer.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <tuple>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"

// Where GCC 12 inlines a coroutine frame's operator new, but not its operator delete, it warns that the two do not
// match.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::fixed_limit;
using flowguard::flow_guard;

constexpr std::size_t threads = 4;
constexpr std::size_t callers = 8;
constexpr int calls = 300;

// How calls ended.
struct endings {
    std::atomic<int> done{0};
    std::atomic<int> timed_out{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> otherwise{0};
};

// Waits in several ways, for about as long as the time-out. `state` is not atomic: ThreadSanitizer would see two
// threads in one task.
asio::awaitable<int> work(int seed) {
    int state = 0;
    std::minstd_rand random(static_cast<unsigned>(seed) + 1);
    asio::steady_timer timer{co_await asio::this_coro::executor};
    for (int i = 0; i < 4; ++i) {
        timer.expires_after(std::chrono::microseconds(random() % 60));
        co_await timer.async_wait(asio::use_awaitable);
        ++state;
        co_await asio::post(asio::use_awaitable);
        ++state;
    }
    co_return state;
}

asio::awaitable<void> call(flow_guard<fixed_limit>& guard, endings& ended, int seed) {
    try {
        const auto [error, state] = co_await guard.run_as_tuple({.timeout = 100us + 1us * (seed % 100)}, work, seed);
        if (!error)
            ++(*state == 8 ? ended.done : ended.otherwise);
        else
            ++(error == flowguard::error::task_timeout ? ended.timed_out : ended.otherwise);
    } catch (const asio::system_error& e) {
        ++(e.code() == asio::error::operation_aborted ? ended.cancelled : ended.otherwise);
    }
}

// Leaves its strand for blocking work, and ends on the pool, or with an exception there.
asio::awaitable<int> offload(asio::thread_pool& pool, int seed) {
    co_await asio::post(asio::bind_executor(pool, asio::use_awaitable));
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(80 + seed % 60);
    while (std::chrono::steady_clock::now() < until) {
    }
    if (seed % 3 == 0)
        throw asio::system_error(asio::error::connection_reset);
    co_return 8;
}

void check(const flow_guard<fixed_limit>& guard, const endings& ended) {
    CHECK(ended.otherwise == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
    CHECK(guard.available_permits() == callers);
}

} // namespace

TEST_CASE("Time-outs cancel tasks on the threads of one context, without strands of the user's") {
    endings ended;
    asio::thread_pool pool{threads};
    flow_guard guard{fixed_limit{callers}};
    for (std::size_t c = 0; c < callers; ++c)
        asio::co_spawn(
            pool,
            [&, c]() -> asio::awaitable<void> {
                for (int i = 0; i < calls; ++i)
                    co_await call(guard, ended, i * static_cast<int>(callers + c));
            },
            asio::detached);
    pool.join();
    check(guard, ended);
    CHECK(ended.done + ended.timed_out == calls * static_cast<int>(callers));
    CHECK(ended.cancelled == 0);
    CHECK(guard.stats().succeeded + guard.stats().dropped == callers * calls);
}

TEST_CASE("Time-outs and cancellations of the caller meet in one task") {
    endings ended;
    asio::thread_pool pool{threads};
    flow_guard guard{fixed_limit{callers}};
    // Each caller has a strand, on which its cancellations are emitted, too: that much Asio asks of its users.
    struct caller {
        explicit caller(asio::thread_pool& p) : strand(asio::make_strand(p)), timer(strand) {}

        asio::strand<asio::thread_pool::executor_type> strand;
        asio::steady_timer timer;
        asio::cancellation_signal signal;
    };
    for (std::size_t c = 0; c < callers; ++c)
        asio::co_spawn(
            pool,
            [&, c]() -> asio::awaitable<void> {
                for (int i = 0; i < calls; ++i) {
                    const auto mine = std::make_shared<caller>(pool);
                    const int seed = i * static_cast<int>(callers + c);
                    const auto call_until_cancelled = [&, mine]() -> asio::awaitable<void> {
                        mine->timer.expires_after(std::chrono::microseconds(50 + seed % 150));
                        mine->timer.async_wait(
                            [mine](flowguard::error_code) { mine->signal.emit(asio::cancellation_type::terminal); });
                        co_await call(guard, ended, seed);
                    };
                    co_await asio::co_spawn(mine->strand, call_until_cancelled,
                                            asio::bind_cancellation_slot(mine->signal.slot(), asio::use_awaitable));
                }
            },
            asio::detached);
    pool.join();
    check(guard, ended);
    CHECK(ended.done + ended.timed_out + ended.cancelled == calls * static_cast<int>(callers));
}

TEST_CASE("Tasks with a time-out may end on the threads of another context") {
    std::atomic<int> returned{0};
    std::atomic<int> thrown{0};
    asio::thread_pool context{1};
    asio::thread_pool pool{threads};
    flow_guard guard{fixed_limit{callers}, {.timeout = 100us}};
    for (std::size_t c = 0; c < callers; ++c)
        asio::co_spawn(
            context,
            [&, c]() -> asio::awaitable<void> {
                for (int i = 0; i < calls; ++i) {
                    try {
                        returned += co_await guard.run(offload, std::ref(pool), i + static_cast<int>(c)) == 8 ? 1 : 0;
                    } catch (const asio::system_error& e) {
                        thrown += e.code() == asio::error::connection_reset ? 1 : 0;
                    }
                }
            },
            asio::detached);
    context.join();
    pool.join();
    CHECK(returned + thrown == calls * static_cast<int>(callers));
    CHECK(thrown == calls * static_cast<int>(callers) / 3);
    CHECK(guard.stats().succeeded + guard.stats().dropped == callers * calls);
    CHECK(guard.in_flight() == 0);
}
