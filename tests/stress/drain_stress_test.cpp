// drain_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Drains a guard again and again, while threads call it.

#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/drain_storm.hpp"
#include "support/guard_tests.hpp"

namespace {

using flowguard::error;
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
    support::drain_storm storm;
    storm.run(guard, drains);
    w.stopped = true;
    pool.join();
    CHECK(storm.started == support::drain_storm::threads * drains);
    CHECK(storm.ended == support::drain_storm::threads * drains);
    CHECK(storm.otherwise == 0);
    CHECK(w.otherwise == 0);
    CHECK(w.running == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
}
