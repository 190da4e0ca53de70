// migration_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The snippets of docs/migration.md, word for word, and tests of what it says about dynamic_semaphore.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/database.hpp"

using namespace std::chrono_literals;
using support::database;
using support::poll;
using support::query;
using support::start;

namespace {

// ---- The snippets ----

using channel = asio::experimental::channel<void(asio::error_code, int)>;

asio::awaitable<int> query_with(channel& permits) { // channel permits{context, 10};
    co_await permits.async_send(asio::error_code(), 0, asio::use_awaitable);
    int rows = co_await query();
    permits.try_receive([](asio::error_code, int) {}); // not reached if query() throws
    co_return rows;
}

asio::awaitable<int> query_with(flowguard::dynamic_semaphore& permits) { // dynamic_semaphore permits{context, 10};
    flowguard::permit p = co_await permits.acquire();
    co_return co_await query();
} // p goes back here, whatever query() did

asio::awaitable<std::optional<int>> query_until(flowguard::dynamic_semaphore& permits, asio::steady_timer& timer) {
    using namespace asio::experimental::awaitable_operators;
    auto first = co_await (permits.acquire() || timer.async_wait(asio::use_awaitable));
    if (first.index() == 1)
        co_return std::nullopt; // a permit that was granted at the same moment has gone back by itself
    co_return co_await query(); // `first` holds the permit
}

asio::awaitable<std::optional<int>> query_within(flowguard::dynamic_semaphore& permits,
                                                 std::chrono::milliseconds timeout) {
    auto [error, p] = co_await permits.async_acquire_permit_for(timeout, asio::as_tuple(asio::use_awaitable));
    if (!p)
        co_return std::nullopt; // error says why: flowguard::error::wait_timeout, or that it was closed or cancelled
    co_return co_await query();
}

asio::awaitable<int> big_query(flowguard::dynamic_semaphore& permits) {
    flowguard::permit four = co_await permits.acquire(4); // all or none, in its turn; four.count() is 4
    co_return co_await query();
}

void add_permits(flowguard::dynamic_semaphore& s, std::size_t n) {
    s.set_limit(s.current_limit() + n);
}

void forget_permits(flowguard::dynamic_semaphore& s, std::size_t n) {
    s.set_limit(s.current_limit() - n); // those in use go when they are given back
}

void forget(flowguard::dynamic_semaphore& s, flowguard::permit p) {
    s.set_limit(s.current_limit() - p.count());
} // what p gives back is not given out again

template <class Action> // returns an awaitable
auto with_permit(flowguard::dynamic_semaphore& s, Action action) -> decltype(action()) {
    flowguard::permit p = co_await s.acquire();
    co_return co_await action();
}

} // namespace

// ---- What docs/migration.md says ----

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;

std::size_t left_in(channel& permits) {
    std::size_t n = 0;
    while (permits.try_send(error_code(), 0))
        ++n;
    return n;
}

std::size_t left_in(dynamic_semaphore& permits) {
    return permits.available_permits();
}

} // namespace

TEST_CASE("A channel and a semaphore let the same number of queries through") {
    asio::io_context context;
    support::gate gate{context};
    database db;
    db.held_up_by = &gate;
    channel before{context, 3};
    dynamic_semaphore after{context, 3};
    const bool use_channel = GENERATE(true, false);
    std::vector<std::shared_ptr<const support::ending<int>>> queries;
    for (int i = 0; i < 10; ++i)
        queries.push_back(start(context, use_channel ? query_with(before) : query_with(after)));
    do
        poll(context);
    while (gate.let_one());
    for (const auto& q : queries)
        CHECK(q->succeeded());
    CHECK(db.most_at_once == 3);
    CHECK(left_in(before) == 3);
    CHECK(left_in(after) == 3);
}

TEST_CASE("A channel refuses to release more permits than its capacity, and a semaphore throws") {
    asio::io_context context;
    channel before{context, 3};
    dynamic_semaphore after{context, 3};
    CHECK_FALSE(before.try_receive([](error_code, int) {}));
    CHECK_THROWS_AS(after.release(), std::invalid_argument);
    CHECK(left_in(before) == 3);
    CHECK(left_in(after) == 3);
}

TEST_CASE("cancel() ends waiters with Asio's usual error, not with that of channels") {
    asio::io_context context;
    channel before{context, 1};
    dynamic_semaphore after{context, 1};
    REQUIRE(before.try_send(error_code(), 0));
    REQUIRE(after.try_acquire());
    error_code channels;
    error_code semaphores;
    before.async_send(error_code(), 0, [&](error_code e) { channels = e; });
    after.async_acquire([&](error_code e) { semaphores = e; });
    before.cancel();
    after.cancel();
    poll(context);
    CHECK(channels == asio::experimental::error::channel_cancelled);
    CHECK(semaphores == asio::error::operation_aborted);
}

TEST_CASE("An exception loses the permit of a channel, but not that of a semaphore") {
    asio::io_context context;
    database db;
    db.fails = true;
    channel before{context, 3};
    dynamic_semaphore after{context, 3};
    const auto a = start(context, query_with(before));
    const auto b = start(context, query_with(after));
    poll(context);
    CHECK_THROWS_AS(std::rethrow_exception(a->exception), std::runtime_error);
    CHECK_THROWS_AS(std::rethrow_exception(b->exception), std::runtime_error);
    CHECK(left_in(before) == 2);
    CHECK(left_in(after) == 3);
}

TEST_CASE("acquire() || timer gives a permit or a time-out, and loses no permit") {
    asio::io_context context;
    database db;
    dynamic_semaphore permits{context, 1};
    permit held = permits.try_acquire_permit();

    SECTION("the permit, while the timer does not expire") {
        asio::steady_timer never{context, asio::steady_timer::time_point::max()};
        const auto q = start(context, query_until(permits, never));
        poll(context);
        CHECK(permits.waiting() == 1);
        held.release();
        poll(context);
        REQUIRE(q->succeeded());
        CHECK(*q->value == 1);
        CHECK(never.cancel() == 0); // no coroutine waits for it any more
    }
    SECTION("the time-out, while no permit comes") {
        asio::steady_timer expired{context, asio::steady_timer::time_point::min()};
        const auto q = start(context, query_until(permits, expired));
        context.restart();
        context.run();
        REQUIRE(q->succeeded());
        CHECK_FALSE(q->value->has_value());
        CHECK(permits.waiting() == 0);
        held.release();
    }
    CHECK(permits.available_permits() == 1);
}

TEST_CASE("acquire() || timer waits for the timer if the semaphore is closed, but a wait with a timeout does not") {
    asio::io_context context;
    database db;
    dynamic_semaphore permits{context, 1};
    const permit held = permits.try_acquire_permit();
    asio::steady_timer timer{context, asio::steady_timer::time_point::max()};
    const auto either = start(context, query_until(permits, timer));
    const auto patient = start(context, query_within(permits, 24h));
    poll(context);
    permits.close();
    poll(context);
    CHECK_FALSE(either->done);
    REQUIRE(patient->succeeded());
    CHECK_FALSE(patient->value->has_value());
    timer.expires_at(asio::steady_timer::time_point::min()); // ends its wait with an error, too
    poll(context);
    CHECK(either->done);
    CHECK_FALSE(either->succeeded());
    CHECK(db.most_at_once == 0);
}

TEST_CASE("acquire() || timer loses no permit, at whatever step the permit is granted") {
    int in_time = 0;
    int too_late = 0;
    bool done_before = false;
    for (int steps = 0; !done_before; ++steps) {
        REQUIRE(steps < 100);
        asio::io_context context;
        database db;
        dynamic_semaphore permits{context, 1};
        permit held = permits.try_acquire_permit();
        asio::steady_timer expired{context, asio::steady_timer::time_point::min()};
        const auto q = start(context, query_until(permits, expired));
        for (int i = 0; i < steps; ++i)
            context.poll_one();
        done_before = q->done;
        held.release();
        context.restart();
        context.run();
        REQUIRE(q->succeeded());
        ++(q->value->has_value() ? in_time : too_late);
        CHECK(permits.waiting() == 0);
        CHECK(permits.in_flight() == 0);
        CHECK(permits.available_permits() == 1);
    }
    CHECK(in_time > 0);
    CHECK(too_late > 1);
}

namespace {

// Waits for `acquire()` or for a timer. Both happen before the coroutine sees either. Returns which one won.
template <class Acquire, class Release>
std::size_t race(asio::io_context& context, Acquire acquire, Release release) {
    asio::steady_timer timer{context, asio::steady_timer::time_point::max()};
    const auto winner = start(context, [](auto& t, auto& a) -> asio::awaitable<std::size_t> {
        using namespace asio::experimental::awaitable_operators;
        auto first = co_await (t.async_wait(asio::as_tuple(asio::use_awaitable)) || a());
        co_return first.index();
    }(timer, acquire));
    poll(context);
    timer.cancel();
    release();
    poll(context);
    REQUIRE(winner->succeeded());
    return *winner->value;
}

} // namespace

TEST_CASE("operator|| loses a bare permit that is granted to its loser, as it does with a channel") {
    asio::io_context context;
    dynamic_semaphore permits{context, 1};

    SECTION("async_send into a channel") {
        channel before{context, 1};
        REQUIRE(before.try_send(error_code(), 0));
        CHECK(race(
                  context, [&] { return before.async_send(error_code(), 0, asio::use_awaitable); },
                  [&] { CHECK(before.try_receive([](error_code, int) {})); }) == 0);
        CHECK(left_in(before) == 0);
    }
    SECTION("async_acquire") {
        REQUIRE(permits.try_acquire());
        CHECK(
            race(context, [&] { return permits.async_acquire(asio::use_awaitable); }, [&] { permits.release(); }) == 0);
        CHECK(permits.available_permits() == 0);
        permits.release();
    }
    SECTION("acquire() loses none") {
        permit held = permits.try_acquire_permit();
        CHECK(race(context, [&] { return permits.acquire(); }, [&] { held.release(); }) == 0);
    }
    CHECK(permits.available_permits() == 1);
}

TEST_CASE("A wait with a timeout ends with a permit or without one") {
    asio::io_context context;
    database db;
    dynamic_semaphore permits{context, 1};
    permit held = permits.try_acquire_permit();
    const auto impatient = start(context, query_within(permits, 0ms));
    const auto patient = start(context, query_within(permits, 24h));
    poll(context);
    REQUIRE(impatient->succeeded());
    CHECK_FALSE(impatient->value->has_value());
    CHECK_FALSE(patient->done);
    held.release();
    context.restart();
    context.run(); // would take a day if the timer were not cancelled
    REQUIRE(patient->succeeded());
    CHECK(*patient->value == 1);
    CHECK(permits.available_permits() == 1);

    held = permits.try_acquire_permit();
    const auto thrown = start(context, permits.acquire_for(0s));
    const auto until = start(context, permits.acquire_until(std::chrono::steady_clock::now()));
    poll(context);
    CHECK(thrown->code() == flowguard::error::wait_timeout);
    CHECK(until->code() == flowguard::error::wait_timeout);
}

TEST_CASE("A waiter for several permits waits for all of them, and smaller waiters do not overtake it") {
    asio::io_context context;
    support::gate gate{context};
    database db;
    db.held_up_by = &gate;
    dynamic_semaphore permits{context, 4};
    permit held = permits.try_acquire_permit();
    asio::cancellation_signal signal;
    const auto big = start(context, big_query(permits), &signal);
    const auto small = start(context, query_with(permits));
    poll(context);
    CHECK(db.running == 0);
    CHECK(permits.waiting() == 2);
    CHECK(permits.available_permits() == 0); // although three are free
    CHECK_FALSE(permits.try_acquire());

    SECTION("it is served first") {
        held.release();
        poll(context);
        CHECK(db.running == 1);
        CHECK(permits.in_flight() == 4);
        gate.let_all();
        poll(context);
        CHECK(big->succeeded());
    }
    SECTION("when it is cancelled, those behind it go on at once") {
        signal.emit(asio::cancellation_type::terminal);
        poll(context);
        CHECK(big->code() == asio::error::operation_aborted);
    }
    CHECK(permits.waiting() == 0);
    CHECK(db.running == 1); // the small waiter
    gate.let_all();
    poll(context);
    CHECK(small->succeeded());
    held.release();
    CHECK(permits.available_permits() == 4);
}

TEST_CASE("Permits are added and forgotten") {
    asio::io_context context;
    dynamic_semaphore s{context, 3};

    SECTION("added: waiters have them at once") {
        permit held = s.try_acquire_permit_n(3);
        const auto waiter = start(context, s.acquire());
        poll(context);
        CHECK_FALSE(waiter->done);
        add_permits(s, 2);
        poll(context);
        CHECK(waiter->succeeded());
        CHECK(s.in_flight() == 4);
        CHECK(s.available_permits() == 1);
        CHECK(s.current_limit() == 5);
    }
    SECTION("forgotten: first the free ones, then those in use, as they come back") {
        permit a = s.try_acquire_permit();
        permit b = s.try_acquire_permit();
        forget_permits(s, 2);
        CHECK(s.available_permits() == 0);
        CHECK(s.in_flight() == 2);
        a.release();
        CHECK(s.available_permits() == 0);
        b.release();
        CHECK(s.available_permits() == 1);
        CHECK_THROWS_AS(forget_permits(s, 2), std::invalid_argument); // more than there are
        CHECK(s.current_limit() == 1);
        forget_permits(s, 1); // callers wait until there are some again
        CHECK_FALSE(s.try_acquire());
        CHECK(s.current_limit() == 0);
    }
    SECTION("forgotten with the one that is held") {
        forget(s, s.try_acquire_permit_n(2));
        CHECK(s.current_limit() == 1);
        CHECK(s.available_permits() == 1);
        CHECK(s.in_flight() == 0);
    }
    SECTION("a release of more than was taken is rejected, unless the semaphore started at 0") {
        CHECK_THROWS_AS(s.release(), std::invalid_argument);
        CHECK(s.available_permits() == 3);
        flowguard::dynamic_semaphore from_zero{context, 0};
        from_zero.release(3);
        CHECK(from_zero.try_acquire_n(3));
        from_zero.release(5); // and back: there is no limit
        CHECK(from_zero.available_permits() == 5);
    }
    SECTION("none at all is rejected where there is a number") {
        CHECK_THROWS_AS(s.release(0), std::invalid_argument);
        CHECK_THROWS_AS(s.acquire(0), std::invalid_argument);
        CHECK_THROWS_AS(s.try_acquire_n(0), std::invalid_argument);
        CHECK_THROWS_AS(s.try_acquire_permit_n(0), std::invalid_argument);
    }
    SECTION("more than max_limit are rejected") {
        CHECK_THROWS_AS(s.release(flowguard::max_limit), std::invalid_argument);
        CHECK_THROWS_AS(dynamic_semaphore(context, flowguard::max_limit + 1), std::invalid_argument);
    }
}

TEST_CASE("with_permit runs its action with a permit, and releases it whatever happens") {
    asio::io_context context;
    database db;
    dynamic_semaphore s{context, 1};
    permit held = s.try_acquire_permit();
    std::size_t in_flight = 0;
    const auto value = start(context, with_permit(s, [] { return query(); }));
    const auto nothing = start(context, with_permit(s, [&]() -> asio::awaitable<void> {
                                   in_flight = s.in_flight();
                                   co_return;
                               }));
    poll(context);
    CHECK_FALSE(value->done);
    held.release();
    poll(context);
    REQUIRE(value->succeeded());
    CHECK(*value->value == 1);
    CHECK(nothing->succeeded());
    CHECK(in_flight == 1);

    db.fails = true;
    const auto failed = start(context, with_permit(s, [] { return query(); }));
    poll(context);
    CHECK_THROWS_AS(std::rethrow_exception(failed->exception), std::runtime_error);
    CHECK(s.available_permits() == 1);
}

TEST_CASE("A coroutine that is cancelled after the grant has the permit, and releases it at the next co_await") {
    asio::io_context context;
    dynamic_semaphore s{context, 1};
    permit held = s.try_acquire_permit();
    asio::cancellation_signal signal;
    bool had_it = false;
    const auto coroutine = start(
        context,
        [](asio::io_context& on, dynamic_semaphore& of, bool& had) -> asio::awaitable<void> {
            const permit p = co_await of.acquire();
            had = static_cast<bool>(p);
            co_await asio::post(on, asio::use_awaitable); // newer Asios post the signal to the coroutine: it comes here
            co_await asio::post(on, asio::use_awaitable);
        }(context, s, had_it),
        &signal);
    poll(context);
    held.release();
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(had_it);
    CHECK(coroutine->code() == asio::error::operation_aborted);
    CHECK(s.available_permits() == 1);
}

TEST_CASE("A semaphore that starts at 0 works as a signal") {
    asio::io_context context;
    int woken = 0;

    flowguard::dynamic_semaphore signal{context, 0};
    signal.async_acquire([&](asio::error_code error) { woken += !error; });
    signal.release(); // wakes it; without a waiter, the next one would not wait

    CHECK(woken == 0);
    poll(context);
    CHECK(woken == 1);
    CHECK_FALSE(signal.try_acquire());
    signal.release();
    const auto next = start(context, signal.acquire());
    poll(context);
    CHECK(next->succeeded());
}

TEST_CASE("A thread can block until it has a permit, and needs no context that runs") {
    asio::io_context context; // never run
    flowguard::dynamic_semaphore semaphore{context, 1};

    flowguard::permit p = semaphore.acquire_blocking();

    CHECK(p);
    std::future<permit> waiter = semaphore.async_acquire_permit(asio::use_future);
    CHECK(waiter.wait_for(0s) == std::future_status::timeout);
    p.release();
    CHECK(waiter.get()); // released at once
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("Errors tell how a wait ended") {
    asio::io_context context;
    std::optional<dynamic_semaphore> s{std::in_place, context, 2};
    permit held = s->try_acquire_permit();
    REQUIRE(s->try_acquire());
    const auto waiter = start(context, s->acquire());
    poll(context);

    SECTION("cancel()") {
        s->cancel();
        poll(context);
        CHECK(waiter->code() == asio::error::operation_aborted);
    }
    SECTION("destruction; what is held may be given back afterwards") {
        s.reset();
        poll(context);
        CHECK(waiter->code() == asio::error::operation_aborted);
        held.release();
        CHECK_FALSE(held);
    }
    SECTION("close(); what is given back afterwards still counts as back") {
        s->close();
        poll(context);
        CHECK(waiter->code() == flowguard::error::closed);
        const auto later = start(context, s->acquire());
        poll(context);
        CHECK(later->code() == flowguard::error::closed);
        CHECK(s->in_flight() == 2);
        s->release();
        held.release();
        CHECK(s->in_flight() == 0);
        CHECK_FALSE(s->try_acquire());
        CHECK_FALSE(s->try_acquire_permit());
        CHECK(s->available_permits() == 0);
    }
}

TEST_CASE("A semaphore can be neither copied nor moved") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<dynamic_semaphore>);
    STATIC_REQUIRE_FALSE(std::is_move_assignable_v<dynamic_semaphore>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<permit>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<dynamic_semaphore, asio::io_context&>); // no default for the limit
}
