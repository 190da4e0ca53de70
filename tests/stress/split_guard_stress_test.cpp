// split_guard_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Threads that use their own parts of a split guard, and the parts of others, while an operator changes all parts.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "flowguard/drain_options.hpp"
#include "flowguard/error.hpp"
#include "flowguard/split_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/drain_storm.hpp"
#include "support/guard_tests.hpp"

namespace {

using flowguard::error;
using flowguard::fixed_limit;
using split_type = flowguard::split_guard<fixed_limit>;
using part_type = split_type::guard_type;

constexpr std::size_t parts = 3;
constexpr std::size_t callers = 12;

// What the tasks of a part do to memory.
struct part_work {
    std::atomic<std::size_t> running{0};
    std::atomic<std::size_t> most{0};
};

struct work {
    std::array<part_work, parts> of_part;
    std::vector<int> ended = std::vector<int>(callers, 0); // by caller; plain, so that thread sanitizer sees a race
    std::atomic<std::uint64_t> admitted{0};
    std::atomic<std::uint64_t> rejected{0};
    std::atomic<std::uint64_t> otherwise{0};
    std::atomic<bool> stopped{false};

    std::size_t running() const {
        std::size_t all = 0;
        for (const part_work& p : of_part)
            all += p.running;
        return all;
    }
};

std::size_t index_of(split_type& guard, const part_type& part) {
    std::size_t index = 0;
    while (&guard.part(index) != &part)
        ++index;
    return index;
}

asio::awaitable<void> task(work& w, part_work& of_part, std::size_t caller) {
    const std::size_t running = ++of_part.running;
    std::size_t most = of_part.most;
    while (most < running && !of_part.most.compare_exchange_weak(most, running)) {
    }
    co_await asio::post(asio::use_awaitable);
    ++w.ended[caller];
    --of_part.running;
}

// Every third call is for a part that is not the thread's own.
asio::awaitable<void> call_again_and_again(split_type& guard, work& w, std::size_t caller) {
    for (std::size_t n = 0; !w.stopped; ++n) {
        part_type& part = n % 3 == 0 ? guard.part((caller + n) % parts) : guard.local();
        part_work& of_part = w.of_part[index_of(guard, part)];
        auto [code] = co_await part.run_as_tuple([&w, &of_part, caller] { return task(w, of_part, caller); });
        ++(!code ? w.admitted : code == error::closed ? w.rejected : w.otherwise);
        co_await asio::post(asio::use_awaitable);
    }
}

void start_callers(asio::thread_pool& pool, split_type& guard, work& w) {
    for (std::size_t caller = 0; caller < callers; ++caller)
        asio::co_spawn(pool, call_again_and_again(guard, w, caller), asio::detached);
}

} // namespace

TEST_CASE("No part has more in flight than its limit, all permits come back, and the stats add up") {
    asio::thread_pool pool(3);
    split_type guard{parts, fixed_limit{7}, {.order = flowguard::wait_order::fifo}};
    work w;
    start_callers(pool, guard, w);
    while (w.admitted < 30'000)
        std::this_thread::yield();
    w.stopped = true;
    pool.join();
    for (std::size_t i = 0; i < parts; ++i) {
        CHECK(w.of_part[i].most <= guard.part(i).current_limit());
        CHECK(w.of_part[i].running == 0);
        CHECK(guard.part(i).stats().succeeded > 0);
        support::check_idle(guard.part(i));
    }
    CHECK(w.otherwise == 0);
    CHECK(w.rejected == 0);
    CHECK(guard.stats().succeeded == w.admitted);
    CHECK(guard.stats().admitted == w.admitted);
    CHECK(guard.available_permits() == 7);
    CHECK(guard.is_idle());
}

TEST_CASE("A pin of all parts bounds what they have in flight together, while threads use them") {
    asio::thread_pool pool(3);
    split_type guard{parts, fixed_limit{300}, {.order = flowguard::wait_order::fifo}};
    work w;
    guard.pin_limit(4);
    start_callers(pool, guard, w);
    while (w.admitted < 10'000)
        std::this_thread::yield();
    std::size_t most = 0;
    for (const part_work& p : w.of_part)
        most += p.most;
    CHECK(most <= 4);
    for (std::size_t round = 0; round < 300; ++round) {
        guard.pin_limit(parts + round % 11);
        guard.set_limit_bounds(1 + round % 5, 20 + round % 7);
        guard.unpin_limit();
        guard.reset();
        CHECK(guard.stats().max_limit == 20 + round % 7);
    }
    guard.pin_limit(10);
    const std::uint64_t before = w.admitted;
    while (w.admitted < before + 1'000)
        std::this_thread::yield();
    w.stopped = true;
    pool.join();
    CHECK(w.otherwise == 0);
    CHECK(guard.current_limit() == 10);
    CHECK(guard.available_permits() == 10);
    CHECK(guard.stats().succeeded == w.admitted);
}

TEST_CASE("When a drain of all parts has ended, no task runs in any, and its handler sees what all tasks did") {
    asio::thread_pool pool(3);
    split_type guard{pool.get_executor(), parts, fixed_limit{7}};
    work w;
    start_callers(pool, guard, w);
    int sum = 0;
    for (std::uint64_t round = 0; round < 500; ++round) {
        while (w.admitted < round) // some calls between two drains
            std::this_thread::yield();
        std::future<void> other = guard.async_drain({.serves_waiting = round % 3 != 0}, asio::use_future);
        guard.async_drain({.serves_waiting = round % 2 != 0}, asio::use_future).get();
        REQUIRE(w.running() == 0);
        REQUIRE(guard.in_flight() == 0);
        REQUIRE(guard.waiting() == 0);
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
    CHECK(guard.is_idle());
    CHECK(guard.stats().succeeded == w.admitted);
}

TEST_CASE("The handler of a drain of all parts may destroy the guard at once") {
    asio::thread_pool pool(2);
    for (int round = 0; round < 300; ++round) {
        auto guard = std::make_unique<split_type>(pool.get_executor(), parts, fixed_limit{7});
        split_type& drained = *guard;
        std::promise<flowguard::error_code> ended;
        drained.async_drain([&](flowguard::error_code error) {
            guard.reset();
            ended.set_value(error);
        });
        REQUIRE(ended.get_future().get() == flowguard::error_code());
    }
    pool.join();
}

TEST_CASE("Each drain of all parts ends once: by the tasks, a time-out, a cancellation, reopen() or close()") {
    asio::thread_pool pool(3);
    split_type guard{pool.get_executor(), parts, fixed_limit{4}};
    work w;
    start_callers(pool, guard, w);
    constexpr int drains = 500;
    support::drain_storm storm;
    storm.run(guard, drains);
    w.stopped = true;
    pool.join();
    CHECK(storm.ended == support::drain_storm::threads * drains);
    CHECK(storm.otherwise == 0);
    CHECK(w.running() == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
}
