// restart.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_RESTART_HPP
#define POSTGRES_GUARD_RESTART_HPP

#include <chrono>
#include <cstddef>
#include <cstdio>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "benchmark.hpp"
#include "check.hpp"
#include "load.hpp"
#include "server.hpp"

namespace postgres_guard {

/// The times at which things happened.
struct outage {
    seconds killed{}, ready{}, end{};
};

/// Kills the server in the middle of a load, starts it again after a while, and ends the load later.
inline asio::awaitable<outage> disturb(server& postgres, load<adaptive_guard>& users, seconds part) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const auto pause = [&](seconds length) {
        timer.expires_after(std::chrono::duration_cast<clock::duration>(length));
        return timer.async_wait(asio::use_awaitable);
    };
    const auto wait_until = [&](const char* what, auto condition) -> asio::awaitable<void> {
        for (const auto latest = clock::now() + 20s; !condition();) {
            require(clock::now() < latest, what);
            co_await pause(seconds(0.02));
        }
    };
    const recorder& seen = users.seen();
    outage times;
    co_await wait_until("queries are answered before the server is killed", [&] { return seen.answered() >= 100; });
    co_await pause(2 * part);
    times.killed = users.now();
    postgres.kill();
    co_await pause(0.5 * part);
    co_await wait_until("the server is back", [&] { return postgres.is_ready(); });
    times.ready = users.now();
    const std::size_t before = seen.answered();
    co_await wait_until("queries are answered after the server has come back",
                        [&] { return seen.answered() > before; });
    co_await pause(3 * part);
    times.end = users.now();
    users.stop();
    co_return times;
}

/// Checks what a pool does when the server dies and comes back. Nothing tells the pool about either.
inline void run_restart(asio::io_context& context, server& postgres, const workload& work, seconds part) {
    adaptive_pool connections(postgres.where(), 4);
    const adaptive_guard& guard = connections.guard;
    load users(context, connections.connections, work);
    outage times;
    std::exception_ptr failure;
    asio::co_spawn(context, disturb(postgres, users, part), [&](const std::exception_ptr& e, outage t) {
        failure = e;
        times = t;
        users.stop();
    });
    finish(context, 120s);
    if (failure)
        std::rethrow_exception(failure);

    const recorder& seen = users.seen();
    require_order(guard, seen);
    const summary before = seen.between(times.killed - part, times.killed);
    const summary after = seen.between(times.end - part, times.end);
    const summary down = seen.between(times.killed, times.end);
    require(down.lost > 0, "the server was killed in the middle of queries");

    std::printf("the server was killed and started again, %s:\n"
                "%zu queries answered, %zu lost; each query is accounted for, and each permit is back\n"
                "down for %.2f s; the first answer came %.2f s after the server accepted queries again\n"
                "%.0f/s before, %.0f/s at the end; limit %zu\n",
                work.name, seen.answered(), seen.lost(), (times.ready - times.killed).count(),
                (seen.first_answer_after(times.killed + 0.25 * part) - times.ready).count(), before.throughput,
                after.throughput, guard.current_limit());
}

} // namespace postgres_guard

#endif
