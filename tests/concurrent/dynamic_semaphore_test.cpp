// dynamic_semaphore_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/dynamic_semaphore.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/rejection.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;
using support::rejection_of;

// Records how a handler was called.
struct record {
    int calls = 0;
    error_code error;

    auto handler() {
        return [this](error_code e) {
            ++calls;
            error = e;
        };
    }
};

} // namespace

TEST_CASE("A semaphore counts the permits that are available and in flight, and the waiters") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 2};
    CHECK(semaphore.current_limit() == 2);
    CHECK(semaphore.available_permits() == 2);
    CHECK(semaphore.in_flight() == 0);

    REQUIRE(semaphore.try_acquire());
    REQUIRE(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire());
    CHECK(semaphore.available_permits() == 0);
    CHECK(semaphore.in_flight() == 2);

    record waiter;
    semaphore.async_acquire(waiter.handler());
    CHECK(semaphore.waiting() == 1);

    semaphore.release();
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.in_flight() == 2); // the permit is on its way to the waiter
    context.run();
    CHECK(waiter.calls == 1);
    CHECK_FALSE(waiter.error);

    semaphore.release(2);
    CHECK(semaphore.available_permits() == 2);
    CHECK(semaphore.in_flight() == 0);
}

TEST_CASE("A handler never runs inside the call that completes it") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};

    SECTION("when a permit is free") {
        record waiter;
        semaphore.async_acquire(waiter.handler());
        CHECK(waiter.calls == 0);
        CHECK(semaphore.in_flight() == 1);
        context.run();
        CHECK(waiter.calls == 1);
    }
    SECTION("when it is called from within the executor, by release, set_limit, cancel or close") {
        record waiters[4];
        REQUIRE(semaphore.try_acquire());
        for (record& w : waiters)
            semaphore.async_acquire(w.handler());
        asio::post(context, [&] {
            semaphore.release();
            CHECK(waiters[0].calls == 0);
            semaphore.set_limit(2);
            CHECK(waiters[1].calls == 0);
            semaphore.cancel();
            CHECK(waiters[2].calls == 0);
            semaphore.close();
        });
        context.run();
        CHECK_FALSE(waiters[0].error);
        CHECK_FALSE(waiters[1].error);
        CHECK(waiters[2].error == asio::error::operation_aborted);
        CHECK(waiters[3].error == asio::error::operation_aborted);
        for (const record& w : waiters)
            CHECK(w.calls == 1);
    }
}

TEST_CASE("Waiters are served first in, first out, and no newcomer overtakes them") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    std::vector<int> order;
    for (int i = 0; i < 5; ++i)
        semaphore.async_acquire([&order, i](error_code) { order.push_back(i); });

    semaphore.release();
    CHECK_FALSE(semaphore.try_acquire()); // the first waiter has the permit, although its handler has not run yet
    for (int i = 0; i < 4; ++i)
        semaphore.release();
    context.run();
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(semaphore.in_flight() == 1);
}

TEST_CASE("A coroutine that finds a free permit does not suspend") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    bool other_ran = false;
    bool other_ran_before_acquired = true;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            asio::post(context, [&] { other_ran = true; });
            const permit p = co_await semaphore.acquire();
            other_ran_before_acquired = other_ran;
            CHECK(p);
        },
        asio::detached);
    context.run();
    CHECK(other_ran);
    CHECK_FALSE(other_ran_before_acquired);
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("A permit is released when it goes out of scope, once") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 2};
    {
        permit a = semaphore.try_acquire_permit();
        REQUIRE(a);
        permit b = std::move(a);
        CHECK_FALSE(a); // NOLINT(bugprone-use-after-move): a moved-from permit is empty
        CHECK(b);
        CHECK(semaphore.in_flight() == 1);
        permit c = semaphore.try_acquire_permit();
        CHECK(semaphore.in_flight() == 2);
        CHECK_FALSE(semaphore.try_acquire_permit());
        c = std::move(b);
        CHECK(semaphore.in_flight() == 1);
        c.release();
        CHECK(semaphore.in_flight() == 0);
        c.release();
        CHECK(semaphore.in_flight() == 0);
    }
    CHECK(semaphore.available_permits() == 2);
}

TEST_CASE("Acquiring works with every completion token") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};

    SECTION("use_future") {
        std::future<void> bare = semaphore.async_acquire(asio::use_future);
        std::future<permit> held = semaphore.async_acquire_permit(asio::use_future);
        semaphore.release();
        context.run();
        CHECK_NOTHROW(bare.get());
        CHECK(held.get());
    }
    SECTION("use_awaitable, and use_awaitable as a tuple") {
        int reached = 0;
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                co_await semaphore.async_acquire(asio::use_awaitable);
                ++reached;
                asio::post(context, [&] { semaphore.release(); });
                auto [error, p] = co_await semaphore.async_acquire_permit(asio::as_tuple(asio::use_awaitable));
                CHECK_FALSE(error);
                CHECK(p);
                ++reached;
            },
            asio::detached);
        context.run();
        CHECK(reached == 2);
    }
    SECTION("deferred, which does nothing until it is called") {
        auto later = semaphore.async_acquire(asio::deferred);
        CHECK(semaphore.available_permits() == 1);
        record waiter;
        std::move(later)(waiter.handler());
        CHECK(semaphore.available_permits() == 0);
        context.run();
        CHECK(waiter.calls == 1);
    }
    SECTION("a move-only callback") {
        auto owned = std::make_unique<int>(7);
        int seen = 0;
        semaphore.async_acquire([&seen, owned = std::move(owned)](error_code) { seen = *owned; });
        context.run();
        CHECK(seen == 7);
    }
    SECTION("the default token of an executor") {
        using executor = asio::use_awaitable_t<>::executor_with_default<asio::any_io_executor>;
        flowguard::basic_dynamic_semaphore<executor> defaulted{executor(context.get_executor()), 1};
        bool done = false;
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                co_await defaulted.async_acquire();
                defaulted.release();
                co_await defaulted.async_acquire_for(std::chrono::hours(1));
                defaulted.release();
                co_await defaulted.async_acquire_n(1);
                defaulted.release();
                const permit p = co_await defaulted.async_acquire_permit();
                done = p.count() == 1;
            },
            asio::detached);
        context.run();
        CHECK(done);
    }
}

TEST_CASE("A handler is called through its associated executor") {
    asio::io_context semaphores;
    asio::io_context handlers;
    dynamic_semaphore semaphore{semaphores, 1};
    record first;
    record second;
    semaphore.async_acquire(asio::bind_executor(handlers, first.handler()));
    semaphore.async_acquire(
        asio::bind_executor(asio::make_strand(asio::any_io_executor(handlers.get_executor())), second.handler()));
    semaphore.release();
    semaphores.run();
    CHECK(first.calls + second.calls == 0);
    handlers.run();
    CHECK(first.calls == 1);
    CHECK(second.calls == 1);
}

TEST_CASE("A handler is called through what an any_io_executor holds") {
    asio::io_context context;
    asio::thread_pool pool{1};
    dynamic_semaphore semaphore{context, 2};
    permit held = semaphore.try_acquire_permit_n(2);
    const auto strand = asio::make_strand(context);
    const auto pool_strand = asio::make_strand(pool);
    bool in_strand = false;
    std::promise<bool> in_pool;
    semaphore.async_acquire_permit(asio::bind_executor(
        asio::any_io_executor(strand), [&](error_code, permit) { in_strand = strand.running_in_this_thread(); }));
    semaphore.async_acquire_permit(asio::bind_executor(asio::any_io_executor(pool_strand), [&](error_code, permit) {
        in_pool.set_value(pool_strand.running_in_this_thread());
    }));
    held.release();
    context.run();
    CHECK(in_strand);
    CHECK(in_pool.get_future().get());
}

TEST_CASE("A waiter counts as work on its executor") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    record waiter;
    semaphore.async_acquire(waiter.handler());
    context.poll();
    CHECK_FALSE(context.stopped());
    semaphore.release();
    context.poll();
    CHECK(context.stopped());
    CHECK(waiter.calls == 1);
}

namespace {

// Counts the allocations that are made with it.
template <class T>
struct counting_allocator {
    using value_type = T;
    int* live;
    int* total;

    counting_allocator(int& live_count, int& total_count) : live(&live_count), total(&total_count) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) : live(other.live), total(other.total) {}

    T* allocate(std::size_t n) {
        ++*live;
        ++*total;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) {
        --*live;
        std::allocator<T>().deallocate(p, n);
    }
    template <class U>
    bool operator==(const counting_allocator<U>& other) const {
        return live == other.live;
    }
};

struct allocating_handler {
    using allocator_type = counting_allocator<char>;
    allocator_type allocator;
    int* live_when_called;

    allocator_type get_allocator() const noexcept { return allocator; }
    void operator()(error_code) { *live_when_called = *allocator.live; }
};

} // namespace

TEST_CASE("A waiter's memory comes from its associated allocator, and is freed before its handler runs") {
    int live = 0;
    int total = 0;
    int live_when_called = -1;
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    semaphore.async_acquire(asio::bind_executor(
        context.get_executor(), allocating_handler{counting_allocator<char>(live, total), &live_when_called}));
    CHECK(live == 1);
    semaphore.release();
    context.run();
    CHECK(live_when_called == 0);
    CHECK(live == 0);
    CHECK(total >= 1);
}

TEST_CASE("A raised limit admits waiters at once") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    record waiters[3];
    for (record& w : waiters)
        semaphore.async_acquire(w.handler());
    semaphore.set_limit(3);
    context.poll();
    CHECK(waiters[0].calls == 1);
    CHECK(waiters[1].calls == 1);
    CHECK(waiters[2].calls == 0);
    CHECK(semaphore.current_limit() == 3);
    CHECK(semaphore.in_flight() == 3);
    CHECK(semaphore.available_permits() == 0);
}

TEST_CASE("A lowered limit revokes no permit, and keeps the permits that come back") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 100};
    std::vector<permit> held;
    for (int i = 0; i < 100; ++i)
        held.push_back(semaphore.try_acquire_permit());
    semaphore.set_limit(1);
    CHECK(semaphore.in_flight() == 100);
    CHECK(semaphore.available_permits() == 0);

    record waiter;
    semaphore.async_acquire(waiter.handler());
    for (int i = 0; i < 99; ++i) {
        held.pop_back();
        context.poll();
        REQUIRE(waiter.calls == 0);
    }
    CHECK(semaphore.in_flight() == 1);
    held.pop_back();
    context.poll();
    CHECK(waiter.calls == 1);
    semaphore.release();
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("When the limit rises again, permits that come back are no longer kept") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 4};
    std::vector<permit> held;
    for (int i = 0; i < 4; ++i)
        held.push_back(semaphore.try_acquire_permit());
    semaphore.set_limit(2);
    semaphore.set_limit(5);
    CHECK(semaphore.available_permits() == 1);
    held.clear();
    CHECK(semaphore.available_permits() == 5);
}

TEST_CASE("A limit of 0 pauses a semaphore: callers wait, in their order, until it is raised") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 2};
    std::vector<int> order;
    const auto record = [&order](int as) { return [&order, as](error_code) { order.push_back(as); }; };
    REQUIRE(semaphore.try_acquire());
    semaphore.set_limit(0);
    CHECK(semaphore.current_limit() == 0);
    CHECK_FALSE(semaphore.try_acquire());
    semaphore.async_acquire_n(3, record(3)); // more than the limit was: what limit comes next is not known
    semaphore.async_acquire(record(1));
    semaphore.release();
    context.restart();
    context.poll();
    CHECK(order.empty());
    CHECK(semaphore.waiting() == 2);
    CHECK(semaphore.in_flight() == 0);
    semaphore.set_limit(1);
    context.restart();
    context.poll();
    CHECK(order == std::vector{1});
    semaphore.set_limit(0);
    semaphore.release();
    semaphore.set_limit(3);
    context.restart();
    context.poll();
    CHECK(order == std::vector{1, 3});
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A closed semaphore can be opened again") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    CHECK_FALSE(semaphore.is_closed());
    semaphore.reopen(); // has no effect
    REQUIRE(semaphore.try_acquire());
    error_code of_waiter;
    semaphore.async_acquire([&](error_code e) { of_waiter = e; });
    semaphore.close();
    CHECK(semaphore.is_closed());
    semaphore.reopen();
    CHECK_FALSE(semaphore.is_closed());
    bool admitted = false;
    semaphore.async_acquire([&](error_code e) { admitted = !e; });
    context.restart();
    context.poll();
    CHECK(of_waiter == flowguard::error::closed);
    CHECK_FALSE(admitted);
    CHECK(semaphore.waiting() == 1);
    semaphore.release();
    context.restart();
    context.poll();
    CHECK(admitted);
    semaphore.release();
    CHECK(semaphore.available_permits() == 1);
    semaphore.close();
    CHECK_FALSE(semaphore.try_acquire());
    semaphore.reopen();
    CHECK(semaphore.try_acquire());
}

TEST_CASE("A semaphore rejects the release of more permits than are taken; a signal adds them") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 3};
    const std::string expected = ", must not be more than the permits that are taken";
    CHECK(rejection_of([&] { semaphore.release(); }) == "flowguard: n is 1" + expected);
    REQUIRE(semaphore.try_acquire_n(2));
    CHECK(rejection_of([&] { semaphore.release(3); }) == "flowguard: n is 3" + expected);
    CHECK(semaphore.in_flight() == 2);
    semaphore.set_limit(1); // a debt does not change what may be released
    semaphore.release(2);
    CHECK(semaphore.available_permits() == 1);

    dynamic_semaphore signal{context, 0};
    signal.set_limit(1); // still a signal
    signal.release(2);
    CHECK(signal.available_permits() == 3);
    CHECK(signal.in_flight() == 0);
}

TEST_CASE("A semaphore that begins without permits works as a signal") {
    asio::io_context context;
    dynamic_semaphore signal{context, 0};
    CHECK(signal.current_limit() == 0);
    CHECK(signal.available_permits() == 0);
    CHECK_FALSE(signal.try_acquire());
    record waiter;
    signal.async_acquire(waiter.handler());
    CHECK(context.poll() == 0);
    CHECK(signal.waiting() == 1);
    signal.release();
    context.run();
    CHECK(waiter.calls == 1);
    CHECK_FALSE(waiter.error);
    CHECK_FALSE(signal.try_acquire()); // the waiter took the only permit
    signal.release(2);
    CHECK(signal.available_permits() == 2);
    CHECK(signal.in_flight() == 0);
    CHECK(signal.try_acquire());
    CHECK(signal.try_acquire());
    CHECK_FALSE(signal.try_acquire());
}

TEST_CASE("A cancelled waiter completes once, with operation_aborted, and has taken no permit") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    record waiter;
    record other;
    asio::cancellation_signal signal;
    semaphore.async_acquire(asio::bind_cancellation_slot(signal.slot(), waiter.handler()));
    semaphore.async_acquire(other.handler());

    const auto type =
        GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total);

    SECTION("before a permit is free") {
        signal.emit(type);
        CHECK(semaphore.waiting() == 1);
        semaphore.release();
        context.run();
        CHECK(waiter.error == asio::error::operation_aborted);
    }
    SECTION("too late: the waiter has its permit") {
        semaphore.release();
        signal.emit(type);
        semaphore.release();
        context.run();
        CHECK_FALSE(waiter.error);
    }
    CHECK(waiter.calls == 1);
    CHECK(other.calls == 1);
    CHECK_FALSE(other.error);

    signal.emit(type); // the slot is empty by now
    context.restart();
    context.run();
    CHECK(waiter.calls == 1);
}

TEST_CASE("A permit granted to the loser of operator|| is not lost") {
    using namespace asio::experimental::awaitable_operators;
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    std::size_t winner = 9;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            asio::steady_timer timer{context, asio::steady_timer::time_point::max()};
            asio::post(context, [&] {
                timer.cancel();     // both have completed before the coroutine sees either
                held.release();
            });
            auto result = co_await (semaphore.acquire() || timer.async_wait(asio::as_tuple(asio::use_awaitable)));
            winner = result.index();
        },
        asio::detached);
    context.run();
    CHECK(winner < 2);
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("cancel() ends the present waits, and no later ones") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    record waiters[3];
    semaphore.async_acquire(waiters[0].handler());
    semaphore.async_acquire(waiters[1].handler());
    semaphore.cancel();
    CHECK(semaphore.waiting() == 0);
    semaphore.async_acquire(waiters[2].handler());
    semaphore.release();
    context.run();
    CHECK(waiters[0].error == asio::error::operation_aborted);
    CHECK(waiters[1].error == asio::error::operation_aborted);
    CHECK_FALSE(waiters[2].error);
    for (const record& w : waiters)
        CHECK(w.calls == 1);
}

TEST_CASE("cancel(context) ends the waits of that context and of its strands, and no others") {
    asio::io_context going;
    asio::io_context staying;
    dynamic_semaphore semaphore{staying, 2};
    REQUIRE(semaphore.try_acquire_n(2));
    record direct;
    record on_strand;
    record timed;
    record other;
    record without_executor; // called through the semaphore's
    record late;
    semaphore.async_acquire_n(2, asio::bind_executor(going, direct.handler()));
    semaphore.async_acquire(asio::bind_executor(asio::make_strand(going), on_strand.handler()));
    semaphore.async_acquire_for(std::chrono::hours(1),
                                asio::bind_executor(asio::any_io_executor(going.get_executor()), timed.handler()));
    semaphore.async_acquire(asio::bind_executor(staying, other.handler()));
    semaphore.async_acquire(without_executor.handler());
    semaphore.release();
    REQUIRE(semaphore.waiting() == 5); // the first one wants two permits

    asio::post(going, [&] {
        semaphore.cancel(going);
        CHECK(direct.calls == 0);
    });
    going.poll_one();
    CHECK(semaphore.waiting() == 1); // one of the others has got the permit
    CHECK(semaphore.in_flight() == 2);
    semaphore.async_acquire(asio::bind_executor(going, late.handler()));
    semaphore.cancel(going);
    semaphore.async_acquire(asio::bind_executor(going, late.handler()));
    semaphore.release(2);
    going.restart();
    going.run(); // ends: the timer is cancelled as well
    staying.run();
    for (const record* w : {&direct, &on_strand, &timed}) {
        CHECK(w->calls == 1);
        CHECK(w->error == asio::error::operation_aborted);
    }
    for (const record* w : {&other, &without_executor}) {
        CHECK(w->calls == 1);
        CHECK_FALSE(w->error);
    }
    CHECK(late.calls == 2);
    CHECK_FALSE(late.error); // of the second wait, which began after the cancellation
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A context without waiters may cancel them, before and after the semaphore was closed") {
    asio::io_context context;
    asio::io_context other;
    dynamic_semaphore semaphore{context, 1};
    semaphore.cancel(other);
    REQUIRE(semaphore.try_acquire());
    record waiter;
    semaphore.async_acquire(waiter.handler());
    semaphore.cancel(other);
    CHECK(semaphore.waiting() == 1);
    semaphore.close();
    semaphore.cancel(context);
    context.run();
    CHECK(waiter.calls == 1);
    CHECK(waiter.error == flowguard::error::closed);
}

TEST_CASE("close() ends all waits, and rejects later calls") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 2};
    permit held = semaphore.try_acquire_permit();
    REQUIRE(semaphore.try_acquire());
    record waiter;
    semaphore.async_acquire(waiter.handler());
    semaphore.close();
    semaphore.close();
    CHECK(semaphore.waiting() == 0);

    record late;
    semaphore.async_acquire(late.handler());
    std::optional<error_code> thrown;
    asio::co_spawn(context, semaphore.acquire(), [&](std::exception_ptr exception, permit) {
        try {
            std::rethrow_exception(exception);
        } catch (const flowguard::system_error& e) {
            thrown = e.code();
        }
    });
    context.run();
    CHECK(waiter.error == flowguard::error::closed);
    CHECK(late.error == flowguard::error::closed);
    CHECK(thrown == make_error_code(flowguard::error::closed));
    CHECK(waiter.calls == 1);
    CHECK(late.calls == 1);

    CHECK(semaphore.in_flight() == 2);
    held.release();
    semaphore.release();
    CHECK(semaphore.in_flight() == 0);
    CHECK_FALSE(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire_permit());
}

TEST_CASE("A waiter that a closed semaphore rejects completes once, even if it is cancelled before its handler runs") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    semaphore.close();
    record waiter;
    asio::cancellation_signal signal;
    semaphore.async_acquire(asio::bind_cancellation_slot(signal.slot(), waiter.handler()));
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    CHECK(waiter.calls == 1);
    CHECK(waiter.error == flowguard::error::closed);
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("Destroying a semaphore ends all waits with operation_aborted") {
    asio::io_context context;
    record waiters[2];
    {
        dynamic_semaphore semaphore{context, 1};
        REQUIRE(semaphore.try_acquire());
        semaphore.async_acquire(waiters[0].handler());
        semaphore.async_acquire(waiters[1].handler());
    }
    context.run();
    for (const record& w : waiters) {
        CHECK(w.calls == 1);
        CHECK(w.error == asio::error::operation_aborted);
    }
}

TEST_CASE("A permit may outlive its semaphore") {
    asio::io_context context;
    std::optional<dynamic_semaphore> semaphore{std::in_place, context, 2};
    permit a = semaphore->try_acquire_permit();
    permit b = semaphore->try_acquire_permit();
    semaphore.reset();
    a.release();
    CHECK(b);
}

TEST_CASE("Semaphore and context may be destroyed in either order while coroutines hold permits and wait") {
    // The context must destroy what the coroutines hold, and resume none of them. AddressSanitizer checks for leaks and
    // for uses after free.
    auto alive = std::make_shared<int>(0);
    int resumed = 0;
    const auto spawn = [&resumed](asio::io_context& context, dynamic_semaphore& semaphore, std::shared_ptr<int> mark) {
        for (int i = 0; i < 3; ++i)
            asio::co_spawn(
                context,
                [&resumed, &context, &semaphore, mark]() -> asio::awaitable<void> {
                    const permit p = co_await semaphore.acquire();
                    asio::steady_timer never{context, asio::steady_timer::time_point::max()};
                    co_await never.async_wait(asio::use_awaitable);
                    ++resumed;
                },
                asio::detached);
        context.poll();
    };

    SECTION("semaphore first") {
        asio::io_context context;
        {
            dynamic_semaphore semaphore{context, 1};
            spawn(context, semaphore, alive);
            CHECK(semaphore.waiting() == 2);
        }
        CHECK(alive.use_count() == 4);
    }
    SECTION("context first") {
        std::optional<asio::io_context> context{std::in_place};
        dynamic_semaphore semaphore{*context, 1};
        spawn(*context, semaphore, alive);
        CHECK(semaphore.waiting() == 2);
        context.reset();
        CHECK(alive.use_count() == 1);
        CHECK(semaphore.waiting() == 0);
        CHECK(semaphore.available_permits() == 1);
    }
    SECTION("another context first") {
        std::optional<asio::io_context> other{std::in_place};
        asio::io_context context;
        dynamic_semaphore semaphore{context, 1};
        spawn(*other, semaphore, alive);
        record waiter;
        semaphore.async_acquire(waiter.handler());
        CHECK(semaphore.waiting() == 3);
        other.reset();
        CHECK(alive.use_count() == 1);
        context.run(); // `waiter` gets the permit that a destroyed coroutine held
        CHECK(waiter.calls == 1);
        CHECK(semaphore.in_flight() == 1);
    }
    CHECK(alive.use_count() == 1);
    CHECK(resumed == 0);
}

TEST_CASE("If a handler is destroyed before its permit reaches it, the permit comes back") {
    std::optional<asio::io_context> context{std::in_place};
    asio::io_context own;
    std::optional<dynamic_semaphore> semaphore{std::in_place, own, 2};
    record waiters[2];
    REQUIRE(semaphore->try_acquire());
    semaphore->async_acquire(asio::bind_executor(*context, waiters[0].handler()));
    semaphore->async_acquire(asio::bind_executor(*context, waiters[1].handler()));
    semaphore->release();
    CHECK(semaphore->in_flight() == 2);

    SECTION("to the semaphore, if it exists") {
        context.reset();
        CHECK(semaphore->available_permits() == 2);
        CHECK(semaphore->in_flight() == 0);
    }
    SECTION("without an effect, if the semaphore was destroyed before") {
        semaphore.reset();
        context.reset();
    }
    CHECK(waiters[0].calls + waiters[1].calls == 0);
}

TEST_CASE("A context may be used by one semaphore after another") {
    asio::io_context context;
    int served = 0;
    for (int i = 0; i < 100; ++i) {
        dynamic_semaphore semaphore{context, 1};
        permit held = semaphore.try_acquire_permit();
        semaphore.async_acquire_permit([&](error_code error, permit p) { served += !error && p; });
        held.release();
        context.restart();
        context.run();
    }
    CHECK(served == 100);
}

TEST_CASE("Bad arguments are rejected with their name, value and range") {
    asio::io_context context;
    constexpr std::size_t most = flowguard::max_limit;
    const std::string range = "must be in [1, " + std::to_string(most) + "]";
    CHECK(rejection_of([&] { dynamic_semaphore(context, most + 1); }) ==
          "flowguard: limit is " + std::to_string(most + 1) + ", must be in [0, " + std::to_string(most) + "]");

    dynamic_semaphore semaphore{context, most};
    CHECK(rejection_of([&] { semaphore.set_limit(most + 1); }) ==
          "flowguard: limit is " + std::to_string(most + 1) + ", must be in [0, " + std::to_string(most) + "]");
    CHECK(rejection_of([&] { semaphore.release(0); }) == "flowguard: n is 0, " + range);
    CHECK(rejection_of([&] { semaphore.release(most + 1); }) ==
          "flowguard: n is " + std::to_string(most + 1) + ", " + range);
    dynamic_semaphore signal{context, 0};
    signal.release(most);
    CHECK(rejection_of([&] { signal.release(); }) ==
          "flowguard: n is 1, must leave at most " + std::to_string(most) + " permits available");
    CHECK(semaphore.current_limit() == most);
    CHECK(semaphore.available_permits() == most);
    semaphore.set_limit(1);
    CHECK(semaphore.available_permits() == 1);
}
