// load.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_LOAD_HPP
#define POSTGRES_GUARD_LOAD_HPP

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/system_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

#include "pool.hpp"
#include "recorder.hpp"

namespace postgres_guard {

using namespace std::chrono_literals;

struct workload {
    const char* name;
    const char* sql;
};

/// A few connections keep two cores busy; more connections only share them. The computing time varies from query to
/// query.
inline constexpr workload cpu_heavy{"CPU-heavy",
                                    "select sum(sqrt(i)) from generate_series(1, (10000 + 40000 * random())::int) i"};

/// One transaction, because the statements are sent together. It first reads, which any number of transactions can do
/// at once. Then it changes the one row that all transactions change, and keeps it locked for a millisecond. Each
/// transaction that waits for the row holds a connection.
inline constexpr workload lock_heavy{
    "lock-heavy", "select pg_sleep(0.001 + 0.002 * random()); update counters set n = n + 1 where id = 1; "
                  "select pg_sleep(0.0005 + 0.001 * random())"};

/// The number of callers, each of which sends a query as soon as its last one is answered. There are more callers than
/// the highest limit allows, so that only the limit decides how much the database has to do. The callers beyond the
/// limit wait in the guard. This wait is not part of the RTT: it depends on the number of callers, not on the limit.
inline constexpr std::size_t callers = 160;

/// A load on a pool, which starts with the constructor.
template <class Guard>
class load {
public:
    load(asio::io_context& context, pool<Guard>& to, const workload& work) : pool_(to), work_(work) {
        for (std::size_t i = 0; i < callers; ++i)
            asio::co_spawn(context, call(), asio::detached);
    }

    load(const load&) = delete;
    load& operator=(const load&) = delete;

    seconds now() const { return clock::now() - start_; }

    /// Makes each caller end after its current query.
    void stop() { stopped_ = true; }

    const recorder& seen() const { return seen_; }

private:
    asio::awaitable<void> call() {
        asio::steady_timer pause(co_await asio::this_coro::executor);
        while (!stopped_) {
            bool lost = false;
            try {
                const reply r = co_await pool_.query(work_.sql);
                if (r.ok())
                    seen_.answered(now(), r.rtt);
                else
                    seen_.rejected();
            } catch (const asio::system_error& e) {
                if (e.code() == flowguard::error::closed) {
                    seen_.closed();
                    co_return;
                }
                lost = true;
            }
            if (lost) {
                seen_.lost(now());
                pause.expires_after(100ms); // retrying at once would not help a server that is down
                co_await pause.async_wait(asio::use_awaitable);
            }
        }
    }

    pool<Guard>& pool_;
    workload work_;
    clock::time_point start_ = clock::now();
    recorder seen_;
    bool stopped_ = false;
};

/// Runs the context until it has no work left. Throws if that takes longer than `timeout`.
inline void finish(asio::io_context& context, std::chrono::seconds timeout) {
    context.restart();
    context.run_for(timeout);
    if (!context.stopped())
        throw std::runtime_error("the queries did not end in time");
}

/// Measures a load for `length`, after a warm-up in which connections are opened.
template <class Guard>
summary measure(asio::io_context& context, pool<Guard>& to, const workload& work, seconds warm_up, seconds length) {
    load users(context, to, work);
    context.restart();
    context.run_for(std::chrono::duration_cast<clock::duration>(warm_up + length));
    const seconds end = users.now();
    users.stop();
    finish(context, 60s);
    return users.seen().between(end - length, end);
}

} // namespace postgres_guard

#endif
