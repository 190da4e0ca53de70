// spacing_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Limits below one and scheduled probes, on several threads, while the strategy goes from one kind of plan to another.
// Run these tests with ThreadSanitizer, and with AddressSanitizer and UBSan.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;

constexpr std::size_t threads = 4;

// Plans at random: with a spacing, as a probe, with a scheduled probe, or plain. It owns memory, so that sanitizers
// notice two threads inside.
class random_plans {
public:
    std::size_t current_limit() const noexcept { return 3; }
    plan first_plan() const noexcept { return with_extras(3, 5); }

    plan update(const flowguard::window& w) noexcept {
        ++*updates_;
        if (w.spacing > 0ns && w.limit != 1)
            ++*errors;
        return with_extras(*updates_, any());
    }

    std::shared_ptr<std::atomic<int>> errors = std::make_shared<std::atomic<int>>(0);

private:
    static plan with_extras(std::uint64_t kind, std::uint64_t number) noexcept {
        plan p(kind % 3 == 0 ? 1 + number % 8 : 1, 1 + number / 8 % 20);
        if (kind % 5 != 0)
            p.spacing = duration(number / 256 % 200'000);
        if (kind % 4 == 1) {
            p.then = 1 + number / 1024 % 8;
            p.then_spacing = duration(number / 4096 % 200'000);
            p.within = duration(1 + number / 64 % 2'000'000);
        } else if (kind % 4 != 0) {
            p.scheduled = {.begins_in = duration(1 + number / 512 % 300'000),
                           .limit = 1 + number / 32 % 2,
                           .admissions = 1 + number / 16 % 10,
                           .within = duration(1 + number / 128 % 2'000'000),
                           .spacing = duration(number / 2048 % 200'000)};
        }
        return p;
    }

    std::uint64_t any() noexcept {
        *state_ = *state_ * 6364136223846793005 + 1442695040888963407;
        return *state_ >> 20;
    }

    std::unique_ptr<std::uint64_t> updates_ = std::make_unique<std::uint64_t>(0);
    std::unique_ptr<std::uint64_t> state_ = std::make_unique<std::uint64_t>(42);
};

using guard_type = flowguard::flow_guard<random_plans>;

struct counts {
    std::atomic<int> admitted{0};
    std::atomic<int> rejected{0};
    std::atomic<int> unexpected{0};
};

asio::awaitable<void> work(int n) {
    for (int i = n % 3; i > 0; --i)
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (n % 50 == 0) {
        asio::steady_timer pause(co_await asio::this_coro::executor, 200us);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<void> call_once(guard_type& guard, counts& seen, int n) {
    bool admitted = true;
    try {
        switch (n % 5) {
        case 0:
            admitted = co_await guard.try_run([n] { return work(n); });
            break;
        case 1: {
            auto t = guard.try_acquire();
            admitted = static_cast<bool>(t);
            t.drop();
            break;
        }
        case 2:
            co_await guard.run(work(n),
                               {.deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(n % 400)});
            break;
        default:
            co_await guard.run(work(n));
        }
    } catch (const flowguard::system_error& e) {
        admitted = false;
        if (e.code() != flowguard::error::wait_timeout)
            ++seen.unexpected;
    }
    ++(admitted ? seen.admitted : seen.rejected);
}

asio::awaitable<void> caller(guard_type& guard, counts& seen, int calls, int first) {
    for (int i = 0; i < calls; ++i) {
        co_await call_once(guard, seen, first + i);
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
}

} // namespace

TEST_CASE("All calls end, and no permit is lost, under plans with spacings and scheduled probes") {
    constexpr int callers = 5; // on each thread
    constexpr int calls = 300;
    random_plans plans;
    const auto errors = plans.errors;
    guard_type guard{std::move(plans), {.min_window = 1, .order = flowguard::wait_order::fifo}};
    counts seen;
    std::vector<std::thread> crew;
    for (std::size_t i = 0; i < threads; ++i)
        crew.emplace_back([&, i] {
            asio::io_context context{1};
            for (int c = 0; c < callers; ++c)
                asio::co_spawn(context, caller(guard, seen, calls, static_cast<int>(i) * 7 + c * 3), asio::detached);
            context.run();
        });
    for (std::thread& t : crew)
        t.join();
    CHECK(seen.admitted + seen.rejected == static_cast<int>(threads) * callers * calls);
    CHECK(seen.admitted > 0);
    CHECK(seen.unexpected == 0);
    CHECK(*errors == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
    CHECK(guard.stats().windows > 10);
    // A permit is free, or will be at the next turn.
    const auto patience = std::chrono::steady_clock::now() + 10s;
    bool is_free = false;
    while (!is_free && std::chrono::steady_clock::now() < patience)
        is_free = static_cast<bool>(guard.try_acquire());
    CHECK(is_free);
}

TEST_CASE("If only waiting callers are left, each has its turn, and contexts may be destroyed meanwhile") {
    for (int round = 0; round < 30; ++round) {
        guard_type guard{random_plans{}, {.min_window = 1, .order = flowguard::wait_order::fifo}};
        std::atomic<int> ended{0};
        std::vector<std::thread> crew;
        for (std::size_t i = 0; i < threads; ++i)
            crew.emplace_back([&, i] {
                asio::io_context context{1};
                for (int c = 0; c < 10; ++c)
                    guard.async_acquire(
                        asio::bind_executor(context, [&](flowguard::error_code e, guard_type::ticket t) {
                            t.success();
                            if (!e)
                                ++ended;
                        }));
                if (i == 0)
                    context.run_for(std::chrono::microseconds(50 * round)); // its other callers are destroyed
                else
                    context.run();
            });
        for (std::thread& t : crew)
            t.join();
        CHECK(ended >= static_cast<int>(threads - 1) * 10);
        CHECK(guard.in_flight() == 0);
        CHECK(guard.waiting() == 0);
    }
}

TEST_CASE("A guard with a spacing may be destroyed while its calls wait for a turn on other threads") {
    for (int round = 0; round < 50; ++round) {
        std::optional<guard_type> guard;
        guard.emplace(random_plans{}, flowguard::guard_options{.min_window = 1});
        std::array<asio::io_context, threads> contexts;
        std::atomic<int> ended{0};
        for (auto& context : contexts)
            for (int c = 0; c < 10; ++c)
                guard->async_acquire(asio::bind_executor(context, [&](flowguard::error_code, guard_type::ticket t) {
                    t.success();
                    ++ended;
                }));
        std::vector<std::thread> crew;
        for (auto& context : contexts)
            crew.emplace_back([&context] { context.run(); });
        std::this_thread::sleep_for(std::chrono::microseconds(30 * round));
        guard.reset();
        for (std::thread& t : crew)
            t.join();
        CHECK(ended == static_cast<int>(threads) * 10);
    }
}
