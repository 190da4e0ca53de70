// semaphore_shape_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A dynamic_semaphore in code that was written for a semaphore of the usual shape.

#include <catch2/catch.hpp>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/database.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using support::database;
using support::poll;
using support::query;
using support::start;

using channel = asio::experimental::channel<void(error_code, int)>;

// A semaphore of the usual shape for Asio, made of a channel.
class channel_semaphore {
public:
    using executor_type = asio::any_io_executor;

    channel_semaphore(const executor_type& executor, std::size_t n) : permits_(executor, n) {}

    executor_type get_executor() { return permits_.get_executor(); }

    template <class Token>
    auto async_acquire(Token&& token) {
        return permits_.async_send(error_code(), 0, std::forward<Token>(token));
    }
    bool try_acquire() { return permits_.try_send(error_code(), 0); }
    void release() {
        permits_.try_receive([](error_code, int) {});
    }

private:
    channel permits_;
};

} // namespace

TEMPLATE_TEST_CASE("Code for the usual shape of a semaphore runs unchanged", "", channel_semaphore, dynamic_semaphore) {
    asio::io_context context;
    std::optional<TestType> made{std::in_place, context.get_executor(), 2};
    TestType& semaphore = *made;
    CHECK(semaphore.get_executor() == context.get_executor());

    std::vector<int> order;
    const auto record = [&order](int as) {
        return [&order, as](error_code error) { order.push_back(error ? -as : as); };
    };

    SECTION("it counts") {
        CHECK(semaphore.try_acquire());
        CHECK(semaphore.try_acquire());
        CHECK_FALSE(semaphore.try_acquire());
        semaphore.release();
        CHECK(semaphore.try_acquire());
    }
    SECTION("a permit that is free is posted, not handed over within the call") {
        semaphore.async_acquire(record(1));
        CHECK(order.empty());
        CHECK(semaphore.try_acquire());
        CHECK_FALSE(semaphore.try_acquire());
        poll(context);
        CHECK(order == std::vector{1});
    }
    SECTION("waiters are served in order, outside of release(), and are not overtaken") {
        for (int i = 1; i <= 5; ++i)
            semaphore.async_acquire(record(i));
        poll(context);
        CHECK(order == std::vector{1, 2});
        asio::post(context, [&] {
            semaphore.release();
            CHECK_FALSE(semaphore.try_acquire()); // it belongs to the third waiter
            CHECK(order.size() == 2);
        });
        poll(context);
        CHECK(order == std::vector{1, 2, 3});
        semaphore.release();
        semaphore.release();
        semaphore.release();
        poll(context);
        CHECK(order == std::vector{1, 2, 3, 4, 5});
        CHECK(semaphore.try_acquire());
        CHECK_FALSE(semaphore.try_acquire());
    }
    SECTION("a waiter keeps its context running") {
        CHECK(semaphore.try_acquire());
        CHECK(semaphore.try_acquire());
        semaphore.async_acquire(record(1));
        context.poll();
        CHECK_FALSE(context.stopped());
        semaphore.release();
        context.poll();
        CHECK(context.stopped());
        CHECK(order == std::vector{1});
    }
    SECTION("a handler runs on its own executor") {
        asio::io_context other;
        semaphore.async_acquire(asio::bind_executor(other, record(1)));
        poll(context);
        CHECK(order.empty());
        poll(other);
        CHECK(order == std::vector{1});
    }
    SECTION("every completion token works") {
        std::future<void> future = semaphore.async_acquire(asio::use_future);
        poll(context);
        CHECK_NOTHROW(future.get());
        const auto coroutine = start(context, [](TestType& s) -> asio::awaitable<bool> {
            co_await s.async_acquire(asio::use_awaitable);
            auto [error] = co_await s.async_acquire(asio::as_tuple(asio::use_awaitable));
            co_return !error;
        }(semaphore));
        poll(context);
        CHECK_FALSE(coroutine->done);
        semaphore.release();
        poll(context);
        REQUIRE(coroutine->succeeded());
        CHECK(*coroutine->value);
    }
    SECTION("a cancelled waiter has an error, and no permit") {
        CHECK(semaphore.try_acquire());
        CHECK(semaphore.try_acquire());
        asio::cancellation_signal signal;
        semaphore.async_acquire(asio::bind_cancellation_slot(signal.slot(), record(1)));
        semaphore.async_acquire(record(2));
        signal.emit(asio::cancellation_type::terminal);
        poll(context);
        CHECK(order == std::vector{-1});
        semaphore.release();
        poll(context);
        CHECK(order == std::vector{-1, 2});
        CHECK_FALSE(semaphore.try_acquire());
    }
    SECTION("its end ends its waiters with an error") {
        CHECK(semaphore.try_acquire());
        CHECK(semaphore.try_acquire());
        semaphore.async_acquire(record(1));
        made.reset();
        poll(context);
        CHECK(order == std::vector{-1});
    }
    SECTION("no more coroutines than it has permits work at once") {
        support::gate gate{context};
        database db;
        db.held_up_by = &gate;
        const auto worker = [](TestType& s) -> asio::awaitable<int> {
            co_await s.async_acquire(asio::use_awaitable);
            const int rows = co_await query();
            s.release();
            co_return rows;
        };
        std::vector<std::shared_ptr<const support::ending<int>>> workers;
        for (int i = 0; i < 7; ++i)
            workers.push_back(start(context, worker(semaphore)));
        do
            poll(context);
        while (gate.let_one());
        for (const auto& w : workers)
            CHECK(w->succeeded());
        CHECK(db.most_at_once == 2);
    }
}
