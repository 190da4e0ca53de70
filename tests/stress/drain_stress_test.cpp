// drain_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Drains a guard again and again, while threads call it.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/guard_tests.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::error_code;
using flowguard::fixed_limit;
using guard_type = flowguard::flow_guard<fixed_limit>;

// What the tasks do to memory that the drains look at, when no task runs.
struct work {
    std::atomic<int> running{0};
    std::vector<int> ended = std::vector<int>(8, 0); // by caller; plain, so that thread sanitizer sees a missing order
    std::atomic<int> admitted{0};
    std::atomic<int> rejected{0};
    std::atomic<int> otherwise{0};
    std::atomic<bool> stopped{false};
};

asio::awaitable<void> task(work& w, std::size_t caller) {
    ++w.running;
    co_await asio::post(asio::use_awaitable);
    ++w.ended[caller];
    --w.running;
}

asio::awaitable<void> call_again_and_again(guard_type& guard, work& w, std::size_t caller) {
    for (int n = 0; !w.stopped; ++n) {
        auto [code] = co_await guard.run_as_tuple([&w, caller] { return task(w, caller); },
                                                  {.long_lived = (caller % 4 == 0 && n % 2 == 0)});
        ++(!code ? w.admitted : code == error::closed || code == error::shed ? w.rejected : w.otherwise);
        co_await asio::post(asio::use_awaitable);
    }
}

void start_callers(asio::thread_pool& pool, guard_type& guard, work& w) {
    for (std::size_t caller = 0; caller < w.ended.size(); ++caller)
        asio::co_spawn(pool, call_again_and_again(guard, w, caller), asio::detached);
}

} // namespace

TEST_CASE("When a drain has ended, no task runs, and its handler sees what all tasks did") {
    asio::thread_pool pool(3);
    guard_type guard{pool.get_executor(), fixed_limit{3}, {.max_long_lived = 2}};
    work w;
    start_callers(pool, guard, w);
    int sum = 0;
    for (int round = 0; round < 1500; ++round) {
        while (w.admitted < round) // some calls between two drains
            std::this_thread::yield();
        std::future<void> other = guard.async_drain({.serves_waiting = round % 3 != 0}, asio::use_future);
        guard.async_drain({.serves_waiting = round % 2 != 0}, asio::use_future).get();
        REQUIRE(w.running == 0);
        REQUIRE(guard.in_flight() == 0);
        REQUIRE(guard.waiting() == 0);
        REQUIRE(guard.stats().long_lived == 0);
        int ended = 0;
        for (const int n : w.ended)
            ended += n;
        REQUIRE(ended >= sum);
        sum = ended;
        other.get();
        guard.reopen();
    }
    w.stopped = true;
    guard.close();
    pool.join();
    CHECK(w.otherwise == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(static_cast<int>(guard.stats().succeeded + guard.stats().long_lived_admitted) == w.admitted);
}

TEST_CASE("Each drain ends once, whoever ends it: the tasks, a time-out, a cancellation, reopen() or close()") {
    asio::thread_pool pool(3);
    guard_type guard{pool.get_executor(), fixed_limit{2}, {.max_long_lived = 2}};
    work w;
    start_callers(pool, guard, w);
    constexpr int drains = 1500;
    std::atomic<int> started{0}, ended{0}, otherwise{0};
    const auto count = [&](error_code e) {
        ++ended;
        if (e && e != error::drain_timeout && e != asio::error::operation_aborted)
            ++otherwise;
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < drains; ++i) {
                asio::cancellation_signal signal;
                guard.async_drain({.serves_waiting = i % 2 == 0,
                                   .timeout = i % 3 == 0 ? 0ns : (i % 3 == 1 ? 20us : flowguard::duration::max())},
                                  asio::bind_cancellation_slot(signal.slot(), count));
                ++started;
                if (i % 4 == t)
                    signal.emit(asio::cancellation_type::terminal);
                if (i % 5 == 0)
                    guard.close();
                if (i % 2 == t)
                    guard.reopen();
            }
        });
    for (std::thread& t : threads)
        t.join();
    guard.reopen(); // so that the callers go on
    w.stopped = true;
    pool.join();
    CHECK(started == 2 * drains);
    CHECK(ended == 2 * drains);
    CHECK(otherwise == 0);
    CHECK(w.otherwise == 0);
    CHECK(w.running == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
}
