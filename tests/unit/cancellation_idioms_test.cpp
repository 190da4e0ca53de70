// cancellation_idioms_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The examples of docs/cancellation.md, and what that page says about them.

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using flowguard::fixed_limit;
using support::gate;
using support::poll;
using support::start;
using guard_type = flowguard::flow_guard<fixed_limit>;

// A session whose requests end when its client has gone.
class session : public std::enable_shared_from_this<session> {
public:
    session(asio::io_context& context, guard_type& guard, gate& database)
        : strand_(asio::make_strand(context)), guard_(guard), database_(database) {}

    void start() {
        asio::co_spawn(strand_, serve(shared_from_this()), asio::bind_cancellation_slot(gone_.slot(), asio::detached));
    }

    // May be called on any thread.
    void client_has_gone() {
        asio::post(strand_, [self = shared_from_this()] { self->gone_.emit(asio::cancellation_type::total); });
    }

    bool has_answered() const { return has_answered_; }

private:
    asio::awaitable<void> serve(std::shared_ptr<session>) { // keeps the session, and so the signal
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await guard_.run([this] { return database_.pass(); });
        has_answered_ = true;
    }

    asio::strand<asio::io_context::executor_type> strand_;
    asio::cancellation_signal gone_;
    guard_type& guard_;
    gate& database_;
    bool has_answered_ = false;
};

} // namespace

TEST_CASE("A session cancels its requests by a signal on its strand") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    gate database{context};
    const auto runs = std::make_shared<session>(context, guard, database);
    const auto waits = std::make_shared<session>(context, guard, database);
    const auto stays = std::make_shared<session>(context, guard, database);
    for (const auto& s : {runs, waits, stays})
        s->start();
    poll(context);
    REQUIRE(guard.in_flight() == 1);
    REQUIRE(guard.waiting() == 2);
    waits->client_has_gone();
    poll(context);
    CHECK(guard.waiting() == 1);
    CHECK(guard.stats().cancelled == 1);
    runs->client_has_gone();
    poll(context);
    CHECK(guard.in_flight() == 1); // the permit went to the third session
    CHECK(guard.waiting() == 0);
    CHECK(guard.stats().ignored == 1);
    database.let_all();
    poll(context);
    CHECK(stays->has_answered());
    CHECK_FALSE(runs->has_answered());
    CHECK_FALSE(waits->has_answered());
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.stats().dropped == 0);
    CHECK(waits.use_count() == 1);
}

TEST_CASE("A call that is cancelled after it was granted a permit ends, and counts as ignored") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    gate database{context};
    auto held = guard.try_acquire();
    asio::cancellation_signal signal;
    const auto pass = [&] { return database.pass(); };
    const auto as_tuple = [](guard_type& g, auto& task) -> asio::awaitable<void> {
        co_await g.run_as_tuple(std::ref(task)); // throws as well: no tuple tells of it
    };
    const auto end = start(context, GENERATE(false, true) ? as_tuple(guard, pass) : guard.run(pass), &signal);
    poll(context);
    held.success();
    REQUIRE(guard.in_flight() == 1);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(end->code() == asio::error::operation_aborted);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().ignored == 1);
    CHECK(guard.stats().cancelled == 0);
}

TEST_CASE("By default, a coroutine passes on terminal cancellation alone") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    gate database{context};
    const auto held = guard.try_acquire();
    asio::cancellation_signal signal;
    const auto end = start(context, guard.run([&] { return database.pass(); }), &signal);
    poll(context);
    signal.emit(asio::cancellation_type::total);
    poll(context);
    CHECK(guard.waiting() == 1);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(guard.waiting() == 0);
    CHECK(end->code() == asio::error::operation_aborted);
}

namespace {

// A request that needs a permit of two guards.
asio::awaitable<void> nested(guard_type& pages, guard_type& queries, gate& database) {
    co_await pages.run([&] { return queries.run([&] { return database.pass(); }); });
}

} // namespace

TEST_CASE("A cancellation of nested calls ends the innermost one, and counts as no drop") {
    asio::io_context context;
    guard_type pages{fixed_limit{2}};
    guard_type queries{fixed_limit{1}};
    gate database{context};
    asio::cancellation_signal of_running;
    asio::cancellation_signal of_waiting;
    const auto running = start(context, nested(pages, queries, database), &of_running);
    const auto waiting = start(context, nested(pages, queries, database), &of_waiting);
    poll(context);
    REQUIRE(queries.waiting() == 1);
    of_waiting.emit(asio::cancellation_type::terminal);
    of_running.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(waiting->code() == asio::error::operation_aborted);
    CHECK(running->code() == asio::error::operation_aborted);
    CHECK(queries.stats().cancelled == 1);
    CHECK(queries.stats().ignored == 1);
    CHECK(pages.stats().ignored == 2);
    CHECK(pages.in_flight() + queries.in_flight() == 0);
}

namespace {

// Answers without the database if the caller gives up on it.
asio::awaitable<int> with_substitute(guard_type& guard, gate& database) {
    auto [error] = co_await guard.run_as_tuple([&] { return database.pass(); });
    if (error != asio::error::operation_aborted)
        co_return 1;
    co_await asio::this_coro::reset_cancellation_state(); // otherwise the next operation is cancelled, too
    co_return 2;
}

} // namespace

TEST_CASE("A caller that was cancelled can go on") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    gate database{context};
    const auto held = guard.try_acquire();
    asio::cancellation_signal signal;
    const auto end = start(context, with_substitute(guard, database), &signal);
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 2);
}

namespace {

// A listener with a context of its own. Others use the same guard.
class listener {
public:
    listener(guard_type& guard, gate& database) : guard_(guard), database_(database) {}

    void accept_client() { asio::co_spawn(context_, serve(), asio::detached); }

    // May be called on any thread. The other listeners' calls go on waiting.
    void stop() {
        asio::post(context_, [this] {
            acceptor_.close(); // no more clients
            guard_.cancel_waiting(context_); // the calls that wait end with operation_aborted
        });
    }

    void poll() { support::poll(context_); }

    bool is_open() const { return acceptor_.is_open; }
    int answered = 0;
    int turned_away = 0;

private:
    struct acceptor {
        void close() { is_open = false; }
        bool is_open = true;
    };

    asio::awaitable<void> serve() {
        auto [error] = co_await guard_.run_as_tuple([this] { return database_.pass(); });
        ++(error == asio::error::operation_aborted ? turned_away : answered);
    }

    asio::io_context context_;
    acceptor acceptor_;
    guard_type& guard_;
    gate& database_;
};

} // namespace

TEST_CASE("A listener that goes away ends its waiting calls, and no others") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    gate database{context};
    listener going{guard, database};
    listener staying{guard, database};
    for (int i = 0; i < 3; ++i) {
        going.accept_client();
        going.poll(); // the first one runs
        staying.accept_client();
        staying.poll();
    }
    REQUIRE(guard.waiting() == 5);
    going.stop();
    going.poll();
    CHECK(guard.waiting() == 3);
    CHECK_FALSE(going.is_open());
    CHECK(going.turned_away == 2);
    while (database.let_one()) {
        poll(context); // the database's
        for (listener* l : {&going, &staying})
            l->poll();
    }
    CHECK(going.answered == 1);
    CHECK(staying.answered == 3);
    CHECK(staying.turned_away == 0);
    CHECK(guard.in_flight() == 0);
}
