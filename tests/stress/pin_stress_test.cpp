// pin_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Operators who pin the limit, set bounds and start over, on several threads, while calls end and windows are closed on
// others. Run these tests with ThreadSanitizer, and with AddressSanitizer and UBSan.

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::plan;

constexpr std::size_t most_wanted = 10; // no plan has a higher limit

// Plans of all sorts. They own memory, so that sanitizers notice two threads inside.
class random_plans {
public:
    random_plans() = default;
    random_plans(const random_plans& other)
        : errors(other.errors), state_(std::make_unique<std::uint64_t>(*other.state_)) {}
    random_plans(random_plans&&) noexcept = default;
    random_plans& operator=(const random_plans& other) { return *this = random_plans(other); }
    random_plans& operator=(random_plans&&) noexcept = default;
    ~random_plans() = default;

    std::size_t current_limit() const noexcept { return 5; }

    plan update(const flowguard::window& w) noexcept {
        if (w.limit > most_wanted)
            ++*errors; // a window of a pinned limit
        const std::uint64_t n = any();
        plan p(1 + n % most_wanted, 1 + n / 16 % 20);
        switch (n / 512 % 4) {
        case 0:
            p.then = 1 + n / 1024 % most_wanted;
            p.within = duration(1 + n / 64 % 1'000'000);
            break;
        case 1:
            p.scheduled = {.begins_in = duration(1 + n / 512 % 300'000), .limit = 2, .admissions = 5, .within = 1ms};
            break;
        case 2:
            p.limit = 1;
            p.spacing = duration(n / 2048 % 100'000);
            break;
        default:
            break;
        }
        return p;
    }

    std::shared_ptr<std::atomic<int>> errors = std::make_shared<std::atomic<int>>(0);

private:
    std::uint64_t any() noexcept {
        *state_ = *state_ * 6364136223846793005 + 1442695040888963407;
        return *state_ >> 20;
    }

    std::unique_ptr<std::uint64_t> state_ = std::make_unique<std::uint64_t>(42);
};

using guard_type = flowguard::flow_guard<random_plans>;

// Threads that make calls until they are told to stop.
class crew {
public:
    explicit crew(guard_type& guard) {
        for (int i = 0; i < 2; ++i)
            threads_.emplace_back([&guard, this] {
                asio::io_context context{1};
                for (int c = 0; c < 12; ++c)
                    asio::co_spawn(context, call(guard), asio::detached);
                context.run();
            });
    }

    void stop() {
        stops_ = true;
        for (std::thread& t : threads_)
            t.join();
    }

private:
    asio::awaitable<void> call(guard_type& guard) {
        while (!stops_)
            co_await guard.run(work());
    }

    static asio::awaitable<void> work() {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }

    std::atomic<bool> stops_{false};
    std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("No window that is closed meanwhile sets a limit over a pinned one") {
    random_plans plans;
    const auto errors = plans.errors;
    guard_type guard{std::move(plans), {.min_window = 1, .order = flowguard::wait_order::fifo}};
    crew callers(guard);
    int others = 0;
    int unpinned_over = 0;
    for (std::size_t i = 0; i < 300; ++i) {
        const std::size_t pinned = most_wanted + 1 + i % 7;
        guard.pin_limit(pinned);
        for (int look = 0; look < 200; ++look)
            others += guard.current_limit() == pinned ? 0 : 1;
        guard.unpin_limit();
        for (int look = 0; look < 200; ++look)
            unpinned_over += guard.current_limit() <= most_wanted ? 0 : 1;
        std::this_thread::yield();
    }
    const std::uint64_t windows = guard.stats().windows;
    while (guard.stats().windows < windows + 10) // the strategy goes on
        std::this_thread::yield();
    callers.stop();
    CHECK(others == 0);
    CHECK(unpinned_over == 0);
    CHECK(*errors == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
}

TEST_CASE("Changes by hand on several threads leave the last one in force, and lose no call") {
    random_plans plans;
    const auto errors = plans.errors;
    guard_type guard{std::move(plans), {.min_window = 1, .order = flowguard::wait_order::fifo}};
    crew callers(guard);
    std::vector<std::thread> operators;
    for (std::size_t thread = 0; thread < 3; ++thread)
        operators.emplace_back([&guard, thread] {
            for (std::size_t i = 0; i < 200; ++i) {
                const std::size_t n = 7 * thread + i;
                guard.set_limit_bounds(1 + n % 3, 3 + n % 8);
                if (n % 5 == 0)
                    guard.pin_limit(1 + n % 9);
                if (n % 3 == 0)
                    guard.unpin_limit();
                if (n % 7 == 0)
                    guard.reset();
                static_cast<void>(guard.stats());
                static_cast<void>(guard.trace());
                std::this_thread::yield();
            }
        });
    for (std::thread& t : operators)
        t.join();
    guard.unpin_limit();
    guard.set_limit_bounds(4, 6);
    int beyond = 0;
    const std::uint64_t windows = guard.stats().windows;
    while (guard.stats().windows < windows + 20) {
        const std::size_t limit = guard.current_limit();
        beyond += limit >= 4 && limit <= 6 ? 0 : 1;
        std::this_thread::yield();
    }
    callers.stop();
    CHECK(beyond == 0);
    CHECK(*errors == 0);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
    guard.pin_limit(100);
    CHECK(guard.available_permits() == 100);
}

TEST_CASE("A guard may be destroyed just after changes by hand, while its calls end on other threads") {
    for (int round = 0; round < 40; ++round) {
        std::optional<guard_type> guard;
        guard.emplace(random_plans{}, flowguard::guard_options{.min_window = 1});
        std::vector<guard_type::ticket> held;
        while (auto t = guard->try_acquire())
            held.push_back(std::move(t));
        std::thread other([&held] {
            for (auto& t : held)
                t.success();
        });
        guard->pin_limit(20);
        guard->reset();
        guard->unpin_limit();
        guard.reset();
        other.join();
    }
}
