// long_lived_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Long-lived calls on several threads, beside ordinary ones. Run these tests with ThreadSanitizer, and with
// AddressSanitizer and UBSan.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"

namespace {

using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;

constexpr std::size_t threads = 4;
constexpr flowguard::run_options<> long_lived{.long_lived = true};

struct counts {
    explicit counts(std::size_t bound) : most(bound) {}

    const std::size_t most;
    std::atomic<std::size_t> running{0};
    std::atomic<std::uint64_t> admitted{0};
    std::atomic<std::uint64_t> shed{0};
    std::atomic<int> beyond_bound{0};
    std::atomic<int> unexpected{0};
};

// Exists while a long-lived call runs. Relaxed: an operation that synchronizes would hide a race from ThreadSanitizer.
class presence {
public:
    explicit presence(counts& c) noexcept : counts_(c) {
        counts_.admitted.fetch_add(1, std::memory_order_relaxed);
        if (counts_.running.fetch_add(1, std::memory_order_relaxed) >= counts_.most)
            ++counts_.beyond_bound;
    }
    presence(const presence&) = delete;
    presence& operator=(const presence&) = delete;
    ~presence() { counts_.running.fetch_sub(1, std::memory_order_relaxed); }

private:
    counts& counts_;
};

asio::awaitable<void> watch(counts& seen, bool fails) {
    const presence here{seen};
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (fails)
        throw std::runtime_error("as told to");
}

asio::awaitable<void> ordinary() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

asio::awaitable<void> call_once(guard_type& guard, counts& seen, int n) {
    switch (n % 6) {
    case 0:
        co_await guard.run(watch(seen, false), long_lived);
        break;
    case 1:
        co_await guard.run(watch(seen, true), long_lived);
        break;
    case 2:
        if (!co_await guard.try_run([&] { return watch(seen, false); }, long_lived))
            ++seen.shed;
        break;
    case 3:
        if (auto t = guard.try_acquire(long_lived))
            co_await watch(seen, false);
        else
            ++seen.shed;
        break;
    case 4: {
        const auto t = co_await guard.async_acquire(long_lived, asio::use_awaitable);
        co_await watch(seen, false);
        break;
    }
    default:
        co_await guard.run(ordinary());
        break;
    }
}

asio::awaitable<void> client(guard_type& guard, counts& seen, int calls) {
    for (int i = 0; i < calls; ++i) {
        try {
            co_await call_once(guard, seen, i);
        } catch (const asio::system_error& e) {
            if (e.code() != flowguard::error::shed)
                throw;
            ++seen.shed;
        } catch (const std::runtime_error&) { // the task's
        }
    }
}

} // namespace

TEST_CASE("No more long-lived calls run than the bound lets, and each place comes back, on many threads") {
    counts seen{3};
    guard_type guard{flowguard::fixed_limit{2}, {.order = flowguard::wait_order::fifo, .max_long_lived = seen.most}};
    asio::thread_pool pool{threads};
    constexpr int clients = 12;
    constexpr int calls = 600;
    for (int i = 0; i < clients; ++i)
        asio::co_spawn(pool, client(guard, seen, calls), [&](std::exception_ptr e) {
            if (e)
                ++seen.unexpected;
        });
    pool.join();

    CHECK(seen.unexpected == 0);
    CHECK(seen.beyond_bound == 0);
    const flowguard::guard_stats s = guard.stats();
    CHECK(s.long_lived == 0);
    CHECK(s.long_lived_admitted == seen.admitted);
    CHECK(s.shed_at_once == seen.shed);
    CHECK(s.succeeded == clients * calls / 6);
    CHECK(seen.admitted + seen.shed == clients * calls / 6 * 5);
    CHECK(seen.admitted > 0);
    CHECK(seen.shed > 0);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("Each holder of the only place sees what the last one did") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = 1}};
    std::uint64_t held = 0; // not atomic: ThreadSanitizer reports a race
    std::vector<std::thread> runners;
    for (std::size_t i = 0; i < threads; ++i)
        runners.emplace_back([&] {
            for (int n = 0; n < 20'000; ++n)
                if (const auto t = guard.try_acquire(long_lived))
                    ++held;
        });
    for (std::thread& t : runners)
        t.join();
    CHECK(guard.stats().long_lived_admitted == held);
    CHECK(guard.stats().shed_at_once == threads * 20'000 - held);
}

TEST_CASE("Tickets of long-lived calls may outlive their guard, on many threads") {
    for (int round = 0; round < 200; ++round) {
        auto guard = std::make_unique<guard_type>(flowguard::fixed_limit{1});
        std::array<guard_type::ticket, threads> tickets;
        for (auto& t : tickets)
            t = guard->try_acquire(long_lived);
        std::vector<std::thread> runners;
        for (auto& t : tickets)
            runners.emplace_back([&] { t.success(); });
        guard.reset();
        for (std::thread& t : runners)
            t.join();
    }
}
