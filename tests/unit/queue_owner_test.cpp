// queue_owner_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the owner of the queue does while other threads go on. Here, an executor or an observer that the owner calls
// plays the other threads: it acts while a thread owns the queue, or has just released it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error;
using flowguard::error_code;
using flowguard::fixed_limit;
using flowguard::guard_options;
using flowguard::rejection;
using guard = flowguard::flow_guard<fixed_limit>;
using ticket = guard::ticket;

// An io_context's executor that calls a function before each post.
class meddling_executor {
public:
    meddling_executor(asio::io_context& context, std::function<void()>& meddle)
        : inner_(asio::require(asio::any_io_executor(context.get_executor()), asio::execution::blocking.never)),
          meddle_(&meddle) {}

    template <class F>
    void execute(F f) const {
        inner_.execute(std::move(f));
        (*meddle_)();
    }

    asio::execution_context& query(asio::execution::context_t) const noexcept {
        return asio::query(inner_, asio::execution::context);
    }
    static constexpr auto query(asio::execution::blocking_t) noexcept { return asio::execution::blocking.never; }
    meddling_executor require(asio::execution::blocking_t::never_t) const { return *this; }

    [[maybe_unused]] friend bool operator==(const meddling_executor& a, const meddling_executor& b) noexcept {
        return a.meddle_ == b.meddle_;
    }

private:
    asio::any_io_executor inner_;
    std::function<void()>* meddle_;
};

void run_all(asio::io_context& context) {
    context.restart();
    context.poll();
}

} // namespace

TEST_CASE("A full queue rejects callers while a thread owns it, and they are told at once") {
    asio::io_context context;
    guard g{context.get_executor(), fixed_limit{1}, {.max_waiters = 2, .order = flowguard::wait_order::fifo}};
    int told = 0;
    int admitted = 0;
    bool flooded = false;
    std::function<void()> flood = [&] {
        if (std::exchange(flooded, true))
            return;
        for (int i = 0; i < 1000; ++i)
            g.async_acquire([&](error_code e, ticket) { e == error::shed ? ++told : ++admitted; });
        run_all(context); // this does not wait for the owner
        CHECK(told == 999);
        CHECK(g.waiting() <= 2);
    };
    ticket first = g.try_acquire();
    std::optional<error_code> seen;
    for (int i = 0; i < 2; ++i)
        g.async_acquire(
            asio::bind_executor(meddling_executor{context, flood}, [&](error_code e, ticket) { seen = e; }));
    first.success(); // completes the first of the two waiters, which starts the flood
    run_all(context);
    CHECK(seen == error_code());
    CHECK(told == 999);
    CHECK(admitted == 1);
    CHECK(g.stats().shed_from_full == 999);
    CHECK(g.in_flight() == 0);
}

TEST_CASE("Waiters are completed one by one, although each completion admits another waiter") {
    constexpr int waiters = 10'000;
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    REQUIRE(semaphore.try_acquire());
    int inside = 0;
    int most_inside = 0;
    int posted = 0;
    bool late = false;
    std::function<void()> next = [&] {
        most_inside = std::max(most_inside, ++inside);
        ++posted;
        semaphore.release(); // the owner is asked to grant the next
                             // If waiters were granted their permits long before they are posted, more than two would
                             // be in flight here.
        late = late || static_cast<int>(semaphore.in_flight()) > 2;
        --inside;
    };
    int completed = 0;
    for (int i = 0; i < waiters; ++i)
        semaphore.async_acquire(
            asio::bind_executor(meddling_executor{context, next}, [&](error_code e) { completed += e ? 0 : 1; }));
    semaphore.release();
    CHECK(posted == waiters);
    CHECK(most_inside == 1);
    CHECK_FALSE(late);
    CHECK(semaphore.waiting() == 0);
    run_all(context);
    CHECK(completed == waiters);
}

TEST_CASE("Observers are called while the queue has no owner, so that their calls take effect at once") {
    asio::io_context context;
    std::optional<guard> g;
    ticket held;
    std::size_t waiting_after_release = 99;
    g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.max_waiters = 1, .on_rejection = [&](rejection) {
                                                                        held.success();
                                                                        waiting_after_release = g->waiting();
                                                                    }});
    held = g->try_acquire();
    std::optional<error_code> evicted;
    std::optional<error_code> served;
    g->async_acquire({.priority = flowguard::priority::sheddable}, [&](error_code e, ticket) { evicted = e; });
    g->async_acquire([&](error_code e, ticket) { served = e; });
    CHECK(waiting_after_release == 0);
    run_all(context);
    CHECK(evicted == error::shed);
    CHECK(served == error_code());
}

TEST_CASE("An observer may destroy the guard from inside a call that is rejected") {
    asio::io_context context;
    std::optional<guard> g;
    int calls = 0;
    const auto destroy = [&](rejection) {
        ++calls;
        g.reset();
    };
    SECTION("try_acquire()") {
        g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.on_rejection = destroy});
        const ticket held = g->try_acquire();
        CHECK_FALSE(g->try_acquire());
    }
    SECTION("async_acquire() with a full queue") {
        g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.max_waiters = 0, .on_rejection = destroy});
        const ticket held = g->try_acquire();
        std::optional<error_code> seen;
        g->async_acquire([&](error_code e, ticket) { seen = e; });
        run_all(context);
        CHECK(seen == error::shed);
    }
    SECTION("async_acquire() after close()") {
        g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.on_rejection = destroy});
        g->close();
        std::optional<error_code> seen;
        g->async_acquire([&](error_code e, ticket) { seen = e; });
        run_all(context);
        CHECK(seen == error::closed);
    }
    SECTION("a release that evicts no waiter, a cancellation of a waiter") {
        g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.on_rejection = destroy});
        const ticket held = g->try_acquire();
        asio::cancellation_signal signal;
        std::optional<error_code> seen;
        g->async_acquire(asio::bind_cancellation_slot(signal.slot(), [&](error_code e, ticket) { seen = e; }));
        signal.emit(asio::cancellation_type::terminal);
        run_all(context);
        CHECK(seen == asio::error::operation_aborted);
    }
    CHECK(calls == 1);
    CHECK_FALSE(g);
}

TEST_CASE("An observer may destroy a context in which other callers wait") {
    asio::io_context context;
    auto going = std::make_unique<asio::io_context>();
    guard g{
        context.get_executor(), fixed_limit{1}, {.max_waiters = 2, .on_rejection = [&](rejection) { going.reset(); }}};
    ticket held = g.try_acquire();
    bool called = false;
    for (int i = 0; i < 2; ++i)
        g.async_acquire(asio::bind_executor(*going, [&](error_code, ticket) { called = true; }));
    std::optional<error_code> rejected;
    g.async_acquire([&](error_code e, ticket) { rejected = e; });
    CHECK_FALSE(going);
    CHECK(g.waiting() == 0);
    run_all(context);
    CHECK(rejected == error::shed);
    CHECK_FALSE(called);
    // The room that they took in the queue is free again.
    std::optional<error_code> served;
    g.async_acquire([&](error_code e, ticket) { served = e; });
    held.success();
    run_all(context);
    CHECK(served == error_code());
}

TEST_CASE("An observer is destroyed with its guard, although a ticket keeps the guard's state") {
    asio::io_context context;
    const auto owned = std::make_shared<int>(1);
    std::optional<guard> g;
    g.emplace(context.get_executor(), fixed_limit{1}, guard_options{.on_rejection = [owned](rejection) {}});
    ticket held = g->try_acquire();
    CHECK_FALSE(g->try_acquire());
    CHECK(owned.use_count() == 2);
    g.reset();
    CHECK(owned.use_count() == 1);
    held.success();
}
