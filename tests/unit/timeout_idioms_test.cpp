// timeout_idioms_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The code of docs/timeouts.md: a backend that becomes slow for a while, behind a guard whose callers do not wait for
// ever. In virtual time.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"
#include "support/random_numbers.hpp"

namespace {

using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using support::manual_clock;

using guard_type = flowguard::flow_guard<flowguard::vegas_strategy, manual_clock>;
using timer = asio::basic_waitable_timer<manual_clock>;

// Four workers serve requests, first come, first served. A request whose caller has gone is served all the same: the
// backend cannot see that it has gone.
class backend {
public:
    explicit backend(asio::io_context& context) : context_(context) {}

    asio::awaitable<int> query() {
        const auto done = std::make_shared<timer>(context_, manual_clock::time_point::max());
        queue_.push_back(done);
        flowguard::error_code ignored;
        co_await done->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
            throw asio::system_error(asio::error::operation_aborted);
        co_return 1;
    }

    // Ends and begins services until now.
    void serve(manual_clock::duration service_time) {
        for (worker& w : workers_) {
            if (w.serves != nullptr && w.until <= manual_clock::now()) {
                w.serves->cancel();
                w.serves = nullptr;
            }
            if (w.serves == nullptr && !queue_.empty()) {
                w = {std::move(queue_.front()), manual_clock::now() + service_time};
                queue_.pop_front();
            }
        }
    }

private:
    struct worker {
        std::shared_ptr<timer> serves;
        manual_clock::time_point until;
    };

    asio::io_context& context_;
    std::deque<std::shared_ptr<timer>> queue_;
    std::array<worker, 4> workers_{};
};

asio::awaitable<void> after(manual_clock::duration time) {
    timer t{co_await asio::this_coro::executor, time};
    co_await t.async_wait(asio::use_awaitable);
}

asio::awaitable<int> with_option(guard_type& guard, backend& database) {
    co_return co_await guard.run([&] { return database.query(); }, {.timeout = 30ms});
}

asio::awaitable<int> beside_the_task(guard_type& guard, backend& database) {
    auto first = co_await guard.run([&] { return database.query() || after(30ms); });
    co_return first.index() == 0 ? 1 : 0;
}

asio::awaitable<int> around_the_call(guard_type& guard, backend& database) {
    auto first = co_await (guard.run([&] { return database.query(); }) || after(30ms));
    co_return first.index() == 0 ? 1 : 0;
}

asio::awaitable<int> thrown_by_the_task(guard_type& guard, backend& database) {
    co_return co_await guard.run([&]() -> asio::awaitable<int> {
        auto first = co_await (database.query() || after(30ms));
        if (first.index() == 1)
            throw asio::system_error(asio::error::timed_out);
        co_return 1;
    });
}

struct results {
    double before = 0; // in answers a second
    double after = 0;
    flowguard::guard_stats stats;
};

// The answers in time for each second, before the slow time (from 3 s to 5 s), and from 5 s after it.
results goodput(asio::awaitable<int> (*call)(guard_type&, backend&)) {
    constexpr auto step = 250us;
    constexpr auto end = 14s;
    manual_clock::at = {};
    asio::io_context context;
    backend database{context};
    guard_type guard{flowguard::vegas_strategy{}, {.max_waiters = 0}};
    std::array<int, 15> answers{};
    support::random_numbers random(1);
    manual_clock::duration next{};
    while (manual_clock::at < end) {
        const manual_clock::duration now = manual_clock::at;
        database.serve(now >= 3s && now < 5s ? 60ms : 5ms);
        for (; next <= now; next += std::chrono::nanoseconds(static_cast<long>(1e9 / 1200 * random.exponential())))
            asio::co_spawn(
                context,
                [&]() -> asio::awaitable<void> {
                    try {
                        const int rows = co_await call(guard, database);
                        answers[static_cast<std::size_t>(manual_clock::at / 1s)] += rows;
                    } catch (const asio::system_error&) { // shed, or too late
                    }
                },
                asio::detached);
        support::pass(context, step);
    }
    return {.before = (answers[1] + answers[2]) / 2.0,
            .after = (answers[10] + answers[11] + answers[12] + answers[13]) / 4.0,
            .stats = guard.stats()};
}

} // namespace

TEST_CASE("After a slow time of its backend, a guard with a time-out finds back to the whole goodput") {
    const results r = goodput(with_option);
    CHECK(r.before > 720); // of 800
    CHECK(r.after > 720);
    CHECK(r.stats.dropped > 0);
    CHECK(r.stats.limit < 20);
}

TEST_CASE("A guard whose tasks return a time-out as a result takes it for a success, and stays overloaded") {
    const results r = goodput(beside_the_task);
    CHECK(r.before > 720);
    CHECK(r.after < 8);
    CHECK(r.stats.dropped + r.stats.ignored == 0);
    CHECK(r.stats.limit > 40);
}

TEST_CASE("A guard whose calls are cancelled from outside takes nothing for a drop") {
    const results r = goodput(around_the_call);
    CHECK(r.before > 720);
    CHECK(r.after > 720);
    CHECK(r.stats.dropped == 0);
    CHECK(r.stats.ignored > 0);
}

TEST_CASE("A time-out that the task throws is a drop as well") {
    const results r = goodput(thrown_by_the_task);
    CHECK(r.before > 720);
    CHECK(r.after > 720);
    CHECK(r.stats.dropped > 0);
}
