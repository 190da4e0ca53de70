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

#include "pool.hpp"
#include "recorder.hpp"

namespace postgres_guard {

using namespace std::chrono_literals;

struct workload {
    const char* name;
    const char* sql;
};

/// Two cores are soon busy with it, and more connections only share them. Each query computes for another while.
inline constexpr workload cpu_heavy{"CPU-heavy",
                                    "select sum(sqrt(i)) from generate_series(1, (10000 + 40000 * random())::int) i"};

/// One transaction, as statements that are sent together are. It reads, which any number can at once, and then changes
/// the one row that all want, which it keeps to itself for a millisecond: those who wait for it hold a connection each.
inline constexpr workload lock_heavy{
    "lock-heavy", "select pg_sleep(0.001 + 0.002 * random()); update counters set n = n + 1 where id = 1; "
                  "select pg_sleep(0.0005 + 0.001 * random())"};

/// Who sends a query as soon as the last is answered. There are more of them than the highest limit allows, so that it
/// is the limit alone that sets what the database has to do; whoever exceeds it waits in the guard, and that is not
/// part of the RTT. The time that callers wait there would tell of their number, and not of the limit.
inline constexpr std::size_t callers = 160;

/// A load on a pool, from now on.
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

    /// From now on nobody sends another query.
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
                    seen_.refused();
            } catch (const asio::system_error&) {
                lost = true;
            }
            if (lost) {
                seen_.lost(now());
                pause.expires_after(100ms); // trying at once would not help a server that is down
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

/// Runs what there is to do in the context, which has to come to an end.
inline void finish(asio::io_context& context, std::chrono::seconds patience) {
    context.restart();
    context.run_for(patience);
    if (!context.stopped())
        throw std::runtime_error("queries hang");
}

/// What a load comes to, after a time to open connections.
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
