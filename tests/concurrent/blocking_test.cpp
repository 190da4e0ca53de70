// blocking_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Plain threads that block until they have a permit.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"
#include "support/scripted_guard.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::error_code;
using flowguard::fixed_limit;
using flowguard::flow_guard;

// Returns when so many callers wait.
template <class Guarded>
void await_waiting(const Guarded& guarded, std::size_t callers) {
    while (guarded.waiting() != callers)
        std::this_thread::yield();
}

// The code of the system_error that `f()` throws; none if it throws none.
template <class F>
error_code code_of(F f) {
    try {
        f();
    } catch (const asio::system_error& e) {
        return e.code();
    }
    return {};
}

} // namespace

TEST_CASE("A thread blocks until another one releases a permit of the semaphore") {
    asio::io_context never_run;
    flowguard::dynamic_semaphore semaphore{never_run, 1};
    flowguard::permit first = semaphore.acquire_blocking();
    auto second = std::async(std::launch::async, [&] { return semaphore.acquire_blocking().count(); });
    await_waiting(semaphore, 1);
    first.release();
    CHECK(second.get() == 1);
    CHECK(semaphore.in_flight() == 0);
}

TEST_CASE("A blocked thread waits for several permits at once") {
    asio::io_context never_run;
    flowguard::dynamic_semaphore semaphore{never_run, 3};
    flowguard::permit first = semaphore.acquire_blocking(2);
    auto second = std::async(std::launch::async, [&] { return semaphore.acquire_blocking(3).count(); });
    await_waiting(semaphore, 1);
    CHECK_FALSE(semaphore.try_acquire());
    first.release();
    CHECK(second.get() == 3);
    CHECK(support::rejection_of([&] { static_cast<void>(semaphore.acquire_blocking(0)); }) ==
          "flowguard: n is 0, must be in [1, 268435455]");
}

TEST_CASE("A blocked thread gives up when its time is over") {
    asio::io_context never_run;
    flowguard::dynamic_semaphore semaphore{never_run, 1};
    CHECK(semaphore.acquire_blocking_for(-1s)); // free: taken at once
    const flowguard::permit held = semaphore.acquire_blocking();
    CHECK(code_of([&] { static_cast<void>(semaphore.acquire_blocking_for(0s)); }) == error::wait_timeout);
    CHECK(code_of([&] { static_cast<void>(semaphore.acquire_blocking_for(1ms)); }) == error::wait_timeout);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.in_flight() == 1);
}

TEST_CASE("Cancellation, close and destruction end a blocked thread") {
    asio::io_context never_run;
    std::optional<flowguard::dynamic_semaphore> semaphore;
    semaphore.emplace(never_run, 1u);
    const flowguard::permit held = semaphore->acquire_blocking();
    const auto block = [&] {
        auto blocked = std::async(std::launch::async, [&s = *semaphore] {
            return code_of([&] { static_cast<void>(s.acquire_blocking_for(24h)); });
        });
        await_waiting(*semaphore, 1);
        return blocked;
    };
    auto cancelled = block();
    semaphore->cancel();
    CHECK(cancelled.get() == asio::error::operation_aborted);
    auto closed = block();
    semaphore->close();
    CHECK(closed.get() == error::closed);
    CHECK(code_of([&] { static_cast<void>(semaphore->acquire_blocking()); }) == error::closed);
    semaphore->reopen();
    auto orphaned = block();
    semaphore.reset();
    CHECK(orphaned.get() == asio::error::operation_aborted);
}

TEST_CASE("A blocked thread belongs to no context whose waits are cancelled") {
    asio::io_context never_run;
    flowguard::dynamic_semaphore semaphore{never_run, 1};
    flowguard::permit first = semaphore.acquire_blocking();
    auto second = std::async(std::launch::async, [&] { return semaphore.acquire_blocking().count(); });
    await_waiting(semaphore, 1);
    semaphore.cancel(never_run);
    CHECK(semaphore.waiting() == 1);
    first.release();
    CHECK(second.get() == 1);
}

TEST_CASE("No permit is lost when grants and the ends of blocking waits race") {
    asio::io_context never_run;
    flowguard::dynamic_semaphore semaphore{never_run, 1};
    std::atomic<int> inside{0};
    std::atomic<int> together{0};
    std::atomic<int> granted{0};
    std::atomic<int> timed_out{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 1000; ++i)
                try {
                    const auto p = semaphore.acquire_blocking_for(std::chrono::microseconds((i * 7 + thread) % 50));
                    together += ++inside > 1 ? 1 : 0;
                    std::this_thread::yield();
                    --inside;
                    ++granted;
                } catch (const asio::system_error&) {
                    ++timed_out;
                }
        });
    for (std::thread& t : threads)
        t.join();
    CHECK(together == 0);
    CHECK(granted + timed_out == 4000);
    CHECK(semaphore.in_flight() == 0);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.try_acquire());
}

TEST_CASE("run_blocking() returns a function's result, and passes on its exception") {
    flow_guard guard{fixed_limit{1}};
    CHECK(guard.run_blocking([] { return 7; }) == 7);
    int calls = 0;
    guard.run_blocking([&] { ++calls; });
    CHECK(calls == 1);
    CHECK_THROWS_AS(guard.run_blocking([] { throw std::runtime_error("no such table"); }), std::runtime_error);
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("run_blocking() passes on what its classifier throws, and loses no permit") {
    flow_guard guard{fixed_limit{1}};
    const auto fails = [](int) -> flowguard::outcome { throw std::logic_error("no such status"); };
    CHECK_THROWS_AS(guard.run_blocking([] { return 1; }, flowguard::run_options{.classify = fails}), std::logic_error);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.run_blocking([] { return 2; }) == 2);
}

TEST_CASE("run_blocking() passes on a reference that the function returns") {
    flow_guard guard{fixed_limit{1}};
    int row = 1;
    const auto find = [&]() -> int& { return row; };
    CHECK(&guard.run_blocking(find) == &row);
    CHECK(&guard.run_blocking(find, {.bypass = true}) == &row);
    const auto take = [&]() -> int&& { return std::move(row); };
    static_assert(std::is_same_v<decltype(guard.run_blocking(take)), int&&>);
    CHECK(guard.run_blocking(take) == 1);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("run_blocking() takes the options of run()") {
    flow_guard guard{fixed_limit{1}, {.max_long_lived = 1}};
    CHECK(guard.run_blocking([] { return 503; }, flowguard::run_options{.classify = [](int) {
                                 return flowguard::outcome::dropped;
                             }}) == 503);
    CHECK(guard.stats().dropped == 1);
    guard.run_blocking([&] { CHECK(guard.run_blocking([] { return 1; }, {.bypass = true}) == 1); });
    guard.run_blocking(
        [&] {
            CHECK(guard.stats().long_lived == 1);
            CHECK(guard.run_blocking([] { return 2; }) == 2);
            CHECK(code_of([&] { guard.run_blocking([] {}, {.long_lived = true}); }) == error::shed);
        },
        {.long_lived = true});
    CHECK(guard.stats().long_lived == 0);
    CHECK(support::rejection_of([&] { guard.run_blocking([] {}, {.partition = 1}); }) ==
          "flowguard: the partition is 1, must be in [0, 0]");
}

TEST_CASE("Blocked threads and coroutines wait in one line") {
    asio::io_context context;
    flow_guard guard{context.get_executor(), fixed_limit{1}, flowguard::guard_options::for_batch()};
    auto held = guard.try_acquire();
    std::vector<int> order;
    auto blocked = std::async(std::launch::async, [&] { guard.run_blocking([&] { order.push_back(1); }); });
    await_waiting(guard, 1);
    guard.async_acquire([&](error_code, decltype(held)) { order.push_back(2); });
    await_waiting(guard, 2);
    held.success();
    blocked.get();
    context.run();
    CHECK(order == std::vector<int>{1, 2});
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("Blocked threads of several flows take turns") {
    flow_guard guard{fixed_limit{1}, flowguard::guard_options::for_batch()};
    auto held = guard.try_acquire();
    std::string order; // written by the thread that has the permit
    std::vector<std::future<void>> blocked;
    const auto block = [&](char name, std::uint64_t flow) {
        blocked.push_back(std::async(std::launch::async,
                                     [&, name, flow] { guard.run_blocking([&] { order += name; }, {.flow = flow}); }));
        await_waiting(guard, blocked.size());
    };
    block('a', 1);
    block('a', 1);
    block('b', 2);
    CHECK(code_of([&] {
              guard.run_blocking([] {}, {.deadline = std::chrono::steady_clock::now() + 1ms, .flow = 1});
          }) == error::wait_timeout);
    held.success();
    for (std::future<void>& b : blocked)
        b.get();
    CHECK(order == "aba");
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("run_blocking_as_tuple() returns why a call was not admitted") {
    using clock = support::manual_clock;
    clock::at = 9h;
    flow_guard<fixed_limit, clock> guard{fixed_limit{1}, {.max_waiters = 1, .max_wait = 50ms}};
    auto held = guard.try_acquire();
    const auto call = [&] { return guard.run_blocking_as_tuple([] { return 1; }); };

    auto waits = std::async(std::launch::async, call);
    await_waiting(guard, 1);
    CHECK(std::get<0>(call()) == error::shed); // the queue is full
    CHECK_FALSE(std::get<1>(call()));
    clock::advance(50ms);
    CHECK(std::get<0>(waits.get()) == error::wait_timeout);
    CHECK(std::get<0>(guard.run_blocking_as_tuple([] {}, {.deadline = clock::now()})) == error::wait_timeout);

    auto closed = std::async(std::launch::async, call);
    await_waiting(guard, 1);
    guard.close();
    CHECK(std::get<0>(closed.get()) == error::closed);
    CHECK(std::get<0>(call()) == error::closed);
    guard.reopen();
    held.success();
    CHECK(call() == std::tuple(error_code(), std::optional(1)));
    CHECK(guard.stats().timed_out == 2);
    CHECK(guard.stats().closed == 2);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A function that takes longer than its time-out counts as dropped, and has its result") {
    using clock = support::manual_clock;
    clock::at = 9h;
    flow_guard<fixed_limit, clock> guard{fixed_limit{1}, {.timeout = 30ms}};
    const auto late = [] {
        clock::advance(30ms);
        return 1;
    };
    CHECK(guard.run_blocking(late) == 1);
    CHECK(guard.stats().task_timeouts == 1);
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.run_blocking(late, {.timeout = 1s}) == 1);
    CHECK(guard.stats().succeeded == 1);
    CHECK(code_of([&] {
              guard.run_blocking([&] {
                  late();
                  throw asio::system_error(asio::error::operation_aborted);
              });
          }) == error::task_timeout);
}

TEST_CASE("A blocked thread ends an overdue probe itself") {
    flowguard::plan probe(1, 100);
    probe.then = 2;
    probe.within = 10ms;
    support::scripted_guard scripted({probe});
    auto& guard = *scripted.guard;
    REQUIRE(guard.current_limit() == 1);
    scripted.hold(1);
    auto blocked = std::async(std::launch::async, [&] { guard.run_blocking([] {}); });
    await_waiting(guard, 1);
    support::manual_clock::advance(11ms); // no call looks, and no timer: the limit is 2 again
    blocked.get();
    CHECK(guard.current_limit() == 2);
    scripted.release();
}

TEST_CASE("A blocked thread that is admitted before the end of a probe leaves the watch to the next one") {
    flowguard::plan probe(1, 100);
    probe.then = 2;
    probe.within = 10ms;
    support::scripted_guard scripted({probe});
    auto& guard = *scripted.guard;
    scripted.hold(1);
    std::promise<void> is_running;
    std::promise<void> may_end;
    auto first = std::async(std::launch::async, [&] {
        guard.run_blocking([&] {
            is_running.set_value();
            may_end.get_future().wait();
        });
    });
    await_waiting(guard, 1);
    auto second = std::async(std::launch::async, [&] { guard.run_blocking([] {}); });
    await_waiting(guard, 2);
    scripted.release();
    is_running.get_future().wait();
    CHECK(guard.current_limit() == 1);
    support::manual_clock::advance(11ms);
    second.get(); // although the first one holds the only permit of the probe
    CHECK(guard.current_limit() == 2);
    may_end.set_value();
    first.get();
}

TEST_CASE("A blocking call ignores the options that have no effect on it, as other calls do") {
    flow_guard guard{fixed_limit{1}};
    const auto answer = [] { return 42; };
    CHECK(guard.run_blocking(answer, {.timeout = 0ns, .partition = 9, .kind = 99, .permits = 0, .bypass = true}) == 42);
    CHECK(guard.run_blocking(answer, {.timeout = 0ns, .long_lived = true}) == 42);
    CHECK(support::rejection_of([&] { guard.run_blocking(answer, {.timeout = 0ns}); }) ==
          "flowguard: run_options::timeout is 0 ns, must be at least 1");
}
