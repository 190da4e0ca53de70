// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_OPTIONS_HPP
#define POSTGRES_GUARD_OPTIONS_HPP

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace postgres_guard {

struct options {
    bool help = false;
    bool quick = false;
    double seconds = 3;
    int rounds = 5;
    double timeout = 120;
    std::string postgres{};
    std::size_t processes = 0; ///< in the fleet; 0: no fleet is measured
    std::string svg{}; ///< where to write the chart of the fleet; empty: nowhere
};

inline constexpr std::string_view help_text =
    R"(usage: postgres_guard [--seconds S] [--rounds N] [--timeout S] [--quick] [--postgres DIR]
       postgres_guard --processes N [--seconds S] [--rounds N] [--svg FILE] [--quick] [--postgres DIR]

Measures a pool of connections to a real PostgreSQL server. A guard finds the size of the pool. First the pool is
compared with static pools of 1 to 128 connections. Then the server is killed and started again.

  --seconds S      length of each measurement, from 0.2 to 600; default: 3
  --rounds N       measurements of each pool, in turns, from 1 to 100; default: 5
  --timeout S      how long to wait, for each of the two queries, while other programs use more than 5 % of the
                   processors, and to repeat measurements that they disturbed; from 0 to 3600; default: 120
  --quick          takes about 25 seconds in all instead of 10 minutes: 1 round of 0.3 s, which says little
  --processes N    measures a fleet instead, from 2 to 64 processes; see below
  --svg FILE       where to write a chart of the limits in the fleet; default: no chart
  --postgres DIR   the folder of initdb and postgres; default: in the PATH, or the newest in /usr/lib/postgresql
  --help           this text

The program starts a server of its own, with its files and its Unix socket in a temporary directory. The server and the
directory are gone at the end, even if this program is killed. If root runs this program, the server runs as the user
'postgres', because PostgreSQL does not run as root.

160 callers each send their next query when the last one is answered, so that every limit up to 128 is reached. There
are two queries. One computes for some milliseconds. The other is a transaction: it reads for 2 ms on average, then
changes a row that all the others change, too, and keeps that row locked for 1 ms.

An RTT is the time for which the database is responsible, from admission to the answer. The best static pool is the one
with the lowest p99 of those within 2 % of the most throughput. The results are also compared with the pool that has the
most throughput. Two pools find their size, one starting from 4 and one from 64. Their goals: at least 95 % of the most
throughput, and a p99 of at most 1.25 x that of the best static pool.

With --processes, each of N processes has a guard, connections and callers of its own, in front of one server. First,
totals of 1 to 64 connections are spread over the processes, as evenly as they can be; a process without a connection is
left out. Then each process finds its own limit: first the whole fleet is there, then one or two processes leave, then
they join again. The goals: at least 95 % of the throughput of the best static total, a p99 of at most 1.5 x the p99
with that total, and a Jain's index of at least 0.95 for the throughputs of the processes. It takes about 14 minutes;
with --quick and 4 processes, 15 seconds on an idle machine.

Exit code: 0 if all calls are accounted for and all permits came back, whatever was measured; 1 if not; 2 for a bad
option; 77 if there is no PostgreSQL.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options chosen;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help") {
            chosen.help = true;
        } else if (option == "--quick") {
            chosen.quick = true;
            chosen.seconds = 0.3;
            chosen.rounds = 1;
            chosen.timeout = 0;
        } else if (option == "--seconds") {
            chosen.seconds = line.number_in<double>(0.2, 600);
        } else if (option == "--rounds") {
            chosen.rounds = line.number_in<int>(1, 100);
        } else if (option == "--timeout") {
            chosen.timeout = line.number_in<double>(0, 3600);
        } else if (option == "--postgres") {
            chosen.postgres = line.value();
        } else if (option == "--processes") {
            chosen.processes = line.number_in<std::size_t>(2, 64);
        } else if (option == "--svg") {
            chosen.svg = line.value();
        } else {
            line.reject();
        }
    }
    if (!chosen.svg.empty() && chosen.processes == 0)
        throw std::invalid_argument("--svg needs --processes");
    return chosen;
}

} // namespace postgres_guard

#endif
