// allocation_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new, so it must be a program of its own.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/strategies/any_strategy.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/counting_new.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using support::allocations;

constexpr int warm_up = 100;
constexpr int calls = 2000;

asio::awaitable<int> ready() {
    co_return 1;
}

// Returns how many allocations `calls` calls make in one coroutine, after some calls to warm up. There are enough calls
// for several windows.
template <class Call, class ExecutorOf>
std::uint64_t allocations_of(Call call, ExecutorOf executor_of) {
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    asio::io_context context{1};
    asio::co_spawn(
        executor_of(context),
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < warm_up; ++i)
                static_cast<void>(co_await call());
            before = allocations.load();
            for (int i = 0; i < calls; ++i)
                static_cast<void>(co_await call());
            after = allocations.load();
        },
        asio::detached);
    context.run();
    return after - before;
}
template <class Call>
std::uint64_t allocations_of(Call call) {
    return allocations_of(call, [](asio::io_context& context) { return context.get_executor(); });
}

} // namespace

TEST_CASE("Allocations are counted") {
    const std::uint64_t before = allocations.load();
    ::operator delete(::operator new(8));
    ::operator delete(::operator new(8, std::align_val_t{64}), std::align_val_t{64});
    CHECK(allocations.load() - before == 2);
    CHECK(allocations_of([]() -> asio::awaitable<void> {
              ::operator delete(::operator new(8));
              co_return;
          }) == calls);
}

TEST_CASE("A guarded call allocates nothing if a permit is free") {
    support::manual_clock::at = {};
    flowguard::flow_guard<flowguard::vegas_strategy, support::manual_clock> guard{flowguard::vegas_strategy{10}};
    CHECK(allocations_of([&] {
              support::manual_clock::at += std::chrono::milliseconds(1);
              return guard.run(ready());
          }) == 0);
    CHECK(guard.stats().windows > 5);
}

TEST_CASE("A guarded call that makes its task allocates nothing") {
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
    CHECK(allocations_of([&] { return guard.run(ready, [](const int&) { return flowguard::outcome::success; }); }) ==
          0);
}

// How many depends on the sizes of the frames, which each compiler chooses: Asio keeps few freed blocks, and a frame
// may fit in none of them.
TEST_CASE("A time-out costs a call at most eleven allocations, on a strand of Asio's as well as on a context") {
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}, {.timeout = std::chrono::hours(1)}};
    const auto call = [&] { return guard.run(ready); };
    const std::uint64_t on_context = allocations_of(call);
    const std::uint64_t on_strand = allocations_of(call, [](asio::io_context& c) { return asio::make_strand(c); });
    WARN("allocations of " << calls << " calls with a time-out: " << on_context << ", and " << on_strand
                           << " on a strand");
    CHECK(on_context <= 11 * calls);
    CHECK(on_strand <= 11 * calls);
    CHECK(guard.stats().succeeded == 2 * (warm_up + calls));
}

TEST_CASE("An attempt allocates nothing, whether it is admitted or shed") {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    CHECK(allocations_of([&] { return guard.try_run(ready); }) == 0);
    const auto held = guard.try_acquire();
    CHECK(allocations_of([&] { return guard.try_run(ready); }) == 0);
    CHECK(guard.stats().shed == warm_up + calls);
}

TEST_CASE("A call whose rejection is a value allocates nothing, whether it is admitted or rejected") {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    CHECK(allocations_of([&] { return guard.run_as_tuple(ready()); }) == 0);
    CHECK(allocations_of([&] { return guard.try_run_for(std::chrono::hours(1), ready); }) == 0);
    CHECK(guard.stats().succeeded == 2 * (warm_up + calls));
    const auto held = guard.try_acquire();
    CHECK(allocations_of([&] { return guard.run_as_tuple(ready()); }) == 0);
    CHECK(allocations_of([&] { return guard.try_run_for(std::chrono::hours(1), ready); }) == 0);
    CHECK(guard.stats().shed_from_full == 2 * (warm_up + calls));
}

TEST_CASE("A long-lived call allocates nothing, whether it is admitted or shed") {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}, {.max_long_lived = 1}};
    constexpr flowguard::run_options<> long_lived{.long_lived = true};
    CHECK(allocations_of([&] { return guard.run(ready(), long_lived); }) == 0);
    CHECK(allocations_of([&] { return guard.async_acquire(long_lived, asio::use_awaitable); }) == 0);
    CHECK(guard.stats().long_lived_admitted == 2 * (warm_up + calls));
    const auto held = guard.try_acquire(long_lived);
    CHECK(allocations_of([&] { return guard.try_run(ready, long_lived); }) == 0);
    CHECK(guard.stats().shed == warm_up + calls);
}

TEST_CASE("Calls allocate nothing if the strategy is chosen at run time, nor do changes of the limit by hand") {
    support::manual_clock::at = {};
    flowguard::flow_guard<flowguard::any_strategy, support::manual_clock> guard{flowguard::vegas_strategy{10}};
    std::size_t limit = 0;
    CHECK(allocations_of([&] {
              support::manual_clock::at += std::chrono::milliseconds(1);
              guard.set_limit_bounds(1 + ++limit % 3, 50);
              if (limit % 100 == 50)
                  guard.pin_limit(limit);
              if (limit % 100 == 60)
                  guard.unpin_limit();
              return guard.run(ready());
          }) == 0);
    CHECK(guard.stats().windows > 5);
}

namespace {

// What has been allocated since it was made.
class allocated_since {
public:
    std::uint64_t bytes() const { return support::allocated_bytes.load() - bytes_; }
    std::uint64_t blocks() const { return allocations.load() - blocks_; }

private:
    std::uint64_t bytes_ = support::allocated_bytes.load();
    std::uint64_t blocks_ = allocations.load();
};

} // namespace

TEST_CASE("A guard takes at most 3 KB until its first call, and allocates what it needs in use only once") {
    const allocated_since begin;
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
    const std::uint64_t idle = begin.bytes() + sizeof guard;

    const allocated_since made;
    guard.try_acquire().success();
    const std::uint64_t by_first_call = made.blocks();
    while (guard.stats().windows == 0)
        guard.try_acquire().success();
    const std::uint64_t by_first_window = made.blocks();
    const std::uint64_t in_use = begin.bytes() + sizeof guard;

    guard.pin_limit(3);
    guard.unpin_limit();
    while (guard.stats().windows < 10)
        guard.try_acquire().success();
    const std::uint64_t later = made.blocks();

    WARN("bytes of a guard: " << idle << " if idle, and " << in_use << " in use");
    CHECK(idle <= 3072);
    CHECK(by_first_call == 3); // windows, histograms, and a copy of the strategy
    CHECK(by_first_window == 4); // the trace
    CHECK(later == 4);
}

TEST_CASE("Tickets allocate nothing") {
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
    while (guard.stats().windows == 0)
        guard.try_acquire().success();
    const std::uint64_t before = allocations.load();
    for (int i = 0; i < calls; ++i)
        guard.try_acquire().success();
    CHECK(allocations.load() == before);
}

namespace {

// A high limit, and windows of four.
struct many_small_windows {
    static constexpr std::size_t limit = 200'000;

    std::size_t current_limit() const noexcept { return limit; }
    flowguard::plan update(const flowguard::window&) noexcept { return {limit, 4}; }
};

} // namespace

TEST_CASE("Windows that close without their stragglers allocate nothing, however many stragglers there are") {
    using std::chrono::milliseconds;
    using guard_type = flowguard::flow_guard<many_small_windows, support::manual_clock>;
    support::manual_clock::at = {};
    guard_type guard{many_small_windows{}};
    constexpr std::uint64_t stragglers = 50'000;
    std::vector<guard_type::ticket> held;
    held.reserve(stragglers);
    for (std::size_t i = 0; i < many_small_windows::limit * 3 / 2; ++i) // the first window has the usual size
        guard.try_acquire().success();
    REQUIRE(guard.stats().windows == 1);
    const std::uint64_t before = allocations.load();
    for (std::uint64_t i = 0; i < stragglers; ++i) {
        held.push_back(guard.try_acquire());
        for (int n = 0; n < 3; ++n)
            guard.try_acquire().success();
        support::manual_clock::at += milliseconds(2);
        guard.try_acquire().success(); // closes the window
    }
    CHECK(guard.stats().windows == 1 + stragglers);
    while (!held.empty()) { // those of windows that were opened again, and of some that were not
        held.back().success();
        held.pop_back();
    }
    CHECK(allocations.load() == before);
    CHECK(guard.in_flight() == 0);
    for (int n = 0; n < 4 * 10; ++n)
        guard.try_acquire().success();
    CHECK(guard.stats().windows == 1 + stragglers + 10);
}

TEST_CASE("Acquiring a free permit of a semaphore allocates nothing") {
    asio::io_context context;
    flowguard::dynamic_semaphore semaphore{context, 1};
    CHECK(allocations_of(
              [&]() -> asio::awaitable<void> { const flowguard::permit p = co_await semaphore.acquire(); }) == 0);
}

namespace {

// Takes a ticket again and again, and has to wait for it each time.
class caller {
public:
    using executor_type = asio::io_context::executor_type;

    caller(asio::io_context& context, flowguard::flow_guard<flowguard::fixed_limit>& guard, int& rounds)
        : context_(&context), guard_(&guard), rounds_(&rounds) {}

    executor_type get_executor() const noexcept { return context_->get_executor(); }

    void operator()(flowguard::error_code, flowguard::flow_guard<flowguard::fixed_limit>::ticket t) {
        if (--*rounds_ > 0)
            guard_->async_acquire(caller(*this));
        t.success();
    }

private:
    asio::io_context* context_;
    flowguard::flow_guard<flowguard::fixed_limit>* guard_;
    int* rounds_;
};

} // namespace

TEST_CASE("Tickets that pass from one caller to the next allocate nothing") {
    asio::io_context context{1};
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    int rounds = calls;
    std::uint64_t before = 0;
    {
        auto first = guard.try_acquire();
        guard.async_acquire(caller(context, guard, rounds));
        CHECK(guard.waiting() == 1);
    }
    for (int i = 0; i < warm_up; ++i)
        context.run_one();
    CHECK(rounds == calls - warm_up);
    before = allocations.load();
    context.run();
    CHECK(allocations.load() == before);
    CHECK(rounds == 0);
    CHECK(guard.stats().succeeded == calls);
}

namespace {

// Two coroutines pass one permit to and fro, and each waits for it every time. With `signals`, each can be cancelled.
template <class Acquire>
std::uint64_t allocations_of_hand_over(asio::io_context& context, Acquire acquire,
                                       std::array<asio::cancellation_signal, 2>* signals = nullptr) {
    int rounds = 0;
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    for (std::size_t i = 0; i < 2; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                while (rounds < warm_up + calls) {
                    const auto held = co_await acquire();
                    if (++rounds == warm_up)
                        before = allocations.load();
                    if (rounds == warm_up + calls)
                        after = allocations.load();
                    co_await asio::post(asio::use_awaitable); // so that the other one begins to wait
                }
            },
            asio::bind_cancellation_slot(signals != nullptr ? (*signals)[i].slot() : asio::cancellation_slot(),
                                         asio::detached));
    context.restart();
    context.run();
    return after - before;
}

} // namespace

TEST_CASE("Coroutines that wait for a permit allocate nothing, with a deadline or without") {
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 1};
    CHECK(allocations_of_hand_over(context, [&] { return semaphore.acquire(); }) == 0);
    CHECK(allocations_of_hand_over(context, [&] { return semaphore.acquire_for(std::chrono::hours(24)); }) == 0);
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("Coroutines that can be cancelled while they wait allocate nothing") {
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 1};
    std::array<asio::cancellation_signal, 2> signals;
    CHECK(allocations_of_hand_over(context, [&] { return semaphore.acquire(); }, &signals) == 0);
}

TEST_CASE("Coroutines that wait for a guard's permit allocate nothing, with a longest wait or without") {
    asio::io_context context{1};
    const auto of_guard = [&](const flowguard::guard_options& options) {
        flowguard::flow_guard guard{flowguard::fixed_limit{1}, options};
        const std::uint64_t allocated =
            allocations_of_hand_over(context, [&] { return guard.async_acquire(asio::use_awaitable); });
        CHECK(guard.stats().ignored == warm_up + calls + 1); // the last one is the other coroutine's
        return allocated;
    };
    CHECK(of_guard({}) == 0);
    CHECK(of_guard({.max_waiters = 1, .max_wait = std::chrono::hours(24)}) == 0);
}

TEST_CASE("A waiter takes at most 160 bytes beyond its handler") {
    struct handler {
        void* something = nullptr;
        void operator()(flowguard::error_code) const {}
    };
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 0};
    semaphore.async_acquire(handler{}); // registers the semaphore with the context
    const std::uint64_t before = support::allocated_bytes.load();
    semaphore.async_acquire(handler{});
    const std::uint64_t taken = support::allocated_bytes.load() - before;
    CHECK(taken > sizeof(handler));
    constexpr std::size_t most = 160 + sizeof(handler);
    constexpr std::size_t unit = alignof(std::max_align_t); // newer Asios ask for a multiple of it
    CHECK(taken <= (most + unit - 1) / unit * unit);
    semaphore.release(2);
    context.run();
}
