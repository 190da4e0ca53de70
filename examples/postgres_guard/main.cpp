// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <chrono>
#include <exception>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <flowguard.hpp>

#include "benchmark.hpp"
#include "check.hpp"
#include "fleet_benchmark.hpp"
#include "fleet_chart.hpp"
#include "load.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "restart.hpp"
#include "server.hpp"
#include "support/output_file.hpp"
#include "support/run_main.hpp"

namespace postgres_guard {

void make_tables(asio::io_context& context, const std::string& where) {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    pool connections(where, guard);
    const auto make = [&]() -> asio::awaitable<void> {
        const reply r = co_await connections.query("create table counters (id int primary key, n bigint not null); "
                                                   "insert into counters values (1, 0)");
        require(r.ok(), "the table was created");
        const reply bad = co_await connections.query("select no_such_column");
        require(sqlstate(bad.answer) == std::string_view("42703"), "the server's errors are replies");
    };
    std::exception_ptr failure;
    asio::co_spawn(context, make(), [&](const std::exception_ptr& e) { failure = e; });
    finish(context, 30s);
    if (failure)
        std::rethrow_exception(failure);
    require(guard.stats().succeeded == 1 && guard.stats().ignored == 1, "the guard ignores a reply to bad SQL");
    require_order(guard);
}

/// Compares pools in this process, and restarts the server.
void run_one_process(const options& chosen) {
    server postgres(find_postgres(chosen.postgres), 200);
    postgres.start();
    asio::io_context context(1);
    make_tables(context, postgres.where());
    for (const workload& work : {cpu_heavy, lock_heavy})
        run_benchmark(context, postgres, work, chosen);
    run_restart(context, postgres, cpu_heavy, seconds(chosen.quick ? 0.4 : 2));
}

/// Compares fleets of processes.
void run_fleets(const options& chosen) {
    if (!chosen.svg.empty())
        support::require_writable(chosen.svg);
    server postgres(find_postgres(chosen.postgres), connections_of(chosen.processes));
    postgres.start();
    {
        asio::io_context context(1);
        make_tables(context, postgres.where());
    }
    std::vector<fleet_history> histories;
    for (const workload& work : {cpu_heavy, lock_heavy})
        run_fleet_benchmark(postgres, work, chosen, histories);
    if (!chosen.svg.empty())
        support::write_file(chosen.svg, [&](std::ostream& svg) { fleet_chart(histories).write(svg); });
}

void run(const options& chosen) {
    if (chosen.processes > 0)
        run_fleets(chosen);
    else
        run_one_process(chosen);
}

} // namespace postgres_guard

int main(int argc, char** argv) {
    return support::run_main("postgres_guard", postgres_guard::help_text, argc, argv, postgres_guard::parse_options,
                             [](const postgres_guard::options& chosen) { postgres_guard::run(chosen); });
}
