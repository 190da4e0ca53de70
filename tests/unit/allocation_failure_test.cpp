// allocation_failure_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Each allocation of an initiating call fails in turn. Then the call either throws std::bad_alloc, calls no handler and
// loses no permit; or it succeeds. Replaces the global operator new, so it must be a program of its own.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"
#include "support/failing_new.hpp"
#include "support/manual_clock.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;
using namespace std::chrono_literals;

// What all initiating calls share. `Executor` is the type of the handler's executor.
template <class Executor>
struct fixture {
    asio::io_context context{1};
    std::optional<Executor> executor; // destroyed before the context
    std::optional<dynamic_semaphore> semaphore{std::in_place, context, 1};
    asio::cancellation_signal signal;
    std::shared_ptr<int> canary = std::make_shared<int>(0); // each handler keeps a copy; the value counts their calls

    fixture() {
        if constexpr (std::is_same_v<Executor, asio::any_io_executor>)
            executor.emplace(asio::make_strand(context));
        else if constexpr (std::is_constructible_v<Executor, asio::io_context::executor_type>)
            executor.emplace(context.get_executor());
        else
            executor.emplace(context);
    }

    auto handler() {
        return asio::bind_executor(*executor, [kept = canary](error_code, const permit&) { ++*kept; });
    }
};

// Calls `initiate(fixture, handler)` again and again, each time with another allocation that fails, until no allocation
// is left to fail. `prepare(fixture)` returns the permit that is held meanwhile.
template <class Executor, class Prepare, class Initiate>
void fail_each(Prepare prepare, Initiate initiate) {
    int failed = 0;
    for (int k = 1;; ++k) {
        REQUIRE(k < 100);
        fixture<Executor> f;
        auto held = prepare(f);
        const auto handlers_before = f.canary.use_count();
        REQUIRE(handlers_before == 1);
        auto handler = std::make_optional(f.handler());
        bool thrown = false;
        bool all_succeeded = false;
        {
            support::failing_allocation failing(k);
            try {
                initiate(f, std::move(*handler));
            } catch (const std::bad_alloc&) {
                thrown = true;
            }
            all_succeeded = !failing.has_failed();
        }
        handler.reset();
        INFO("allocation " << k);
        CHECK((!all_succeeded || !thrown));
        failed += thrown ? 1 : 0;
        f.signal.emit(asio::cancellation_type::none);
        held = {}; // a waiter is served now
        f.context.poll();
        CHECK(*f.canary == (thrown ? 0 : 1));
        CHECK(f.semaphore->waiting() == 0);
        CHECK(f.semaphore->in_flight() == 0);
        f.signal.emit(asio::cancellation_type::all);
        f.executor.reset(); // the strand may have kept a handler that it had no memory to run
        CHECK(f.canary.use_count() == 1);
        if (all_succeeded)
            break;
    }
#if !defined(FLOWGUARD_NO_ALLOCATION_FAILS)
    CHECK(failed > 0);
#endif
}

using io_executor = asio::io_context::executor_type;
using io_strand = asio::strand<io_executor>;

constexpr auto free_permit = [](auto&) { return permit(); };
constexpr auto no_permit = [](auto& f) { return f.semaphore->try_acquire_permit(); };
constexpr auto closed = [](auto& f) {
    f.semaphore->close();
    return permit();
};

} // namespace

#define FLOWGUARD_KINDS io_executor, io_strand, asio::any_io_executor, asio::io_context::strand

TEMPLATE_TEST_CASE("An allocation that fails loses no permit that is free", "", FLOWGUARD_KINDS) {
    fail_each<TestType>(free_permit,
                        [](auto& f, auto handler) { f.semaphore->async_acquire_permit(std::move(handler)); });
    fail_each<TestType>(free_permit,
                        [](auto& f, auto handler) { f.semaphore->async_acquire_permit_for(1h, std::move(handler)); });
}

TEMPLATE_TEST_CASE("An allocation that fails loses no permit that a caller waits for", "", FLOWGUARD_KINDS) {
    fail_each<TestType>(no_permit,
                        [](auto& f, auto handler) { f.semaphore->async_acquire_permit(std::move(handler)); });
    fail_each<TestType>(no_permit,
                        [](auto& f, auto handler) { f.semaphore->async_acquire_permit_for(1h, std::move(handler)); });
}

TEMPLATE_TEST_CASE("An allocation that fails loses no permit of a wait that can be cancelled", "", FLOWGUARD_KINDS) {
    fail_each<TestType>(no_permit, [](auto& f, auto handler) {
        f.semaphore->async_acquire_permit(asio::bind_cancellation_slot(f.signal.slot(), std::move(handler)));
    });
    fail_each<TestType>(no_permit, [](auto& f, auto handler) {
        f.semaphore->async_acquire_permit_for(1h, asio::bind_cancellation_slot(f.signal.slot(), std::move(handler)));
    });
}

TEMPLATE_TEST_CASE("An allocation that fails at a closed semaphore leaves it as it is", "", FLOWGUARD_KINDS) {
    fail_each<TestType>(closed, [](auto& f, auto handler) { f.semaphore->async_acquire_permit(std::move(handler)); });
    fail_each<TestType>(closed,
                        [](auto& f, auto handler) { f.semaphore->async_acquire_permit_for(1h, std::move(handler)); });
}

TEMPLATE_TEST_CASE("An allocation that fails loses no permit of a wait whose deadline has passed", "",
                   FLOWGUARD_KINDS) {
    fail_each<TestType>(no_permit, [](auto& f, auto handler) {
        f.semaphore->async_acquire_permit_until(std::chrono::steady_clock::time_point::min(), std::move(handler));
    });
}

TEMPLATE_TEST_CASE("An allocation that fails loses no ticket of a guard", "", FLOWGUARD_KINDS) {
    using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;
    const bool long_lived = GENERATE(false, true);
    for (int k = 1;; ++k) {
        REQUIRE(k < 100);
        fixture<TestType> f;
        std::optional<guard_type> guard{std::in_place, f.context.get_executor(), flowguard::fixed_limit{1}};
        int called = 0;
        bool thrown = false;
        bool all_succeeded = false;
        {
            const support::failing_allocation failing(k);
            try {
                guard->async_acquire(
                    {.long_lived = long_lived},
                    asio::bind_executor(*f.executor, [&called](error_code, const guard_type::ticket&) { ++called; }));
            } catch (const std::bad_alloc&) {
                thrown = true;
            }
            all_succeeded = !failing.has_failed();
        }
        f.context.poll();
        CHECK(called == (thrown ? 0 : 1));
        CHECK(guard->in_flight() == 0);
        CHECK(guard->stats().long_lived == 0);
        f.executor.reset();
        if (all_succeeded)
            break;
    }
}

#if !defined(FLOWGUARD_NO_ALLOCATION_FAILS)

TEST_CASE("If there is no memory to cancel waits, they go on, and can be cancelled later") {
    asio::io_context context{1};
    dynamic_semaphore semaphore{context, 1};
    const permit held = semaphore.try_acquire_permit();
    error_code ended;
    semaphore.async_acquire([&](error_code e) { ended = e; });
    {
        const support::failing_allocation failing(1);
        CHECK_THROWS_AS(semaphore.cancel(context), std::bad_alloc);
    }
    {
        const support::failing_allocation failing(1);
        CHECK_THROWS_AS(semaphore.cancel(), std::bad_alloc);
    }
    CHECK(context.poll() == 0);
    CHECK(semaphore.waiting() == 1);
    semaphore.cancel(context);
    CHECK(context.poll() == 1);
    CHECK(ended == asio::error::operation_aborted);
}

namespace {

using fixed_guard = flowguard::flow_guard<flowguard::fixed_limit>;

// How many calls a guard needs until its first window is closed, if that allocation of the first call fails; 0: none
// fails.
int calls_until_a_window(int failing_one) {
    fixed_guard guard{flowguard::fixed_limit{4}, {.min_window = 1}};
    {
        const support::failing_allocation failing(failing_one);
        auto admitted = guard.try_acquire();
        CHECK(admitted);
        CHECK(failing.has_failed());
    }
    CHECK(guard.in_flight() == 0);
    int calls = 1;
    while (guard.stats().windows == 0 && calls < 1000) {
        guard.try_acquire().success();
        ++calls;
    }
    CHECK(guard.stats().admitted == static_cast<std::uint64_t>(calls));
    return calls;
}

} // namespace

TEST_CASE("A guard without memory for its windows admits calls, and samples them as soon as there is memory") {
    const int usual = calls_until_a_window(0);
    CHECK(usual < 20);
    CHECK(calls_until_a_window(1) == usual + 1); // the windows
    CHECK(calls_until_a_window(2) == usual + 1); // the copy of the strategy
}

TEST_CASE("A guard without memory for its windows serves callers that wait") {
    asio::io_context context{1};
    fixed_guard guard{context.get_executor(), flowguard::fixed_limit{1}};
    fixed_guard::ticket first;
    {
        const support::failing_allocation failing(1);
        first = guard.try_acquire();
        REQUIRE(failing.has_failed());
    }
    fixed_guard::ticket second;
    guard.async_acquire([&](error_code, fixed_guard::ticket t) { second = std::move(t); });
    first.success();
    context.poll();
    REQUIRE(second);
    second.success();
    CHECK(guard.stats().admitted == 2);
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.in_flight() == 0);
}

namespace {

// Lowers the limit to 3 after the first window: a probe, of at most 100 ms.
struct one_probe {
    std::size_t current_limit() const noexcept { return 10; }
    flowguard::plan update(const flowguard::window& w) noexcept {
        return w.limit == 10 ? flowguard::plan(3, 20, 10, 100ms) : flowguard::plan(10);
    }
};

} // namespace

TEST_CASE("A guard without memory for the timer of a probe ends the probe at once, so that its waiters do not hang") {
    using guard_type = flowguard::flow_guard<one_probe, support::manual_clock>;
    const int failing_one = GENERATE(0, 1, 2); // 0: none fails; the timer, and its handler
    asio::io_context context{1};
    guard_type guard{one_probe{}, {.min_window = 1, .order = flowguard::wait_order::fifo, .trace = 0}};
    for (int i = 0; i < 14; ++i)
        guard.try_acquire().success();
    auto last = guard.try_acquire();
    std::vector<guard_type::ticket> held;
    for (int i = 0; i < 9; ++i)
        held.push_back(guard.try_acquire());
    guard_type::ticket served;
    guard.async_acquire(asio::bind_executor(context, [&](error_code, guard_type::ticket t) { served = std::move(t); }));
    {
        const support::failing_allocation failing(failing_one);
        last.success(); // the probe begins, and the waiter is to watch it
        CHECK(failing.has_failed());
    }
    CHECK(guard.current_limit() == (failing_one == 0 ? 3U : 10U));
    context.poll();
    CHECK(static_cast<bool>(served) == (failing_one != 0));
}

TEST_CASE("A guard without memory for its trace keeps no decision, and keeps the next one if there is memory") {
    fixed_guard guard{flowguard::fixed_limit{4}};
    {
        const support::failing_allocation failing(1);
        guard.pin_limit(7);
        CHECK(failing.has_failed());
    }
    CHECK(guard.current_limit() == 7);
    CHECK(guard.trace().empty());
    guard.pin_limit(8);
    REQUIRE(guard.trace().size() == 1);
    CHECK(guard.trace()[0].before == 7);
    CHECK(guard.trace()[0].limit == 8);
}

#endif
