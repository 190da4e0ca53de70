// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_OPTIONS_HPP
#define POSTGRES_GUARD_OPTIONS_HPP

#include <string>
#include <string_view>

#include "command_line.hpp"

namespace postgres_guard {

struct options {
    bool help = false;
    bool quick = false;
    double seconds = 3;
    int rounds = 5;
    double patience = 120;
    std::string postgres{};
};

inline constexpr std::string_view help_text =
    R"(usage: postgres_guard [--seconds S] [--rounds N] [--patience S] [--quick] [--postgres DIR]

A pool of connections to a real PostgreSQL, whose size is found by a guard: compared with pools of 1 to 128
connections, and then while the server is killed and started again.

  --seconds S      length of each measurement, from 0.2 to 600; default: 3
  --rounds N       measurements of each pool, in turns, from 1 to 100; default: 5
  --patience S     for how long to wait, with each query, for others who have more than 5 % of the processors, and to
                   repeat measurements that they disturbed, from 0 to 3600; default: 120
  --quick          about 25 seconds in all instead of 10 minutes: 1 round of 0.3 s, which says little
  --postgres DIR   where initdb and postgres are; default: in the PATH, or the newest in /usr/lib/postgresql
  --help           this text

The server is the example's own: in a temporary directory, on a Unix socket in it, and gone with it at the end, even if
this program is killed. It runs as the user 'postgres' when this program is run by root, as PostgreSQL wants it.

160 callers send their next query when the last one is answered, so that every limit up to 128 is reached. Of queries,
there are two: one computes for some milliseconds; the other, a transaction, reads for 2 ms on average, and then
changes a row that all others want, too, which it keeps to itself for 1 ms.

RTTs are those that the database is responsible for, from admission to the answer. The best static pool is, of
those within 2 % of the most throughput, the one with the lowest p99; that of the one with the most is printed, too. The
goals for the pools that find their size, starting from 4 and from 64: at least 95 % of the most throughput, and a p99
of at most 1.25 x that of the best static pool.

Exit code: 0 when all calls are accounted for and all permits came back, whatever was measured; 1 when not; 2 for a bad
option; 77 when there is no PostgreSQL.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options chosen;
    for (command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help") {
            chosen.help = true;
        } else if (option == "--quick") {
            chosen.quick = true;
            chosen.seconds = 0.3;
            chosen.rounds = 1;
            chosen.patience = 0;
        } else if (option == "--seconds") {
            chosen.seconds = line.number_in<double>(0.2, 600);
        } else if (option == "--rounds") {
            chosen.rounds = line.number_in<int>(1, 100);
        } else if (option == "--patience") {
            chosen.patience = line.number_in<double>(0, 3600);
        } else if (option == "--postgres") {
            chosen.postgres = line.value();
        } else {
            line.refuse();
        }
    }
    return chosen;
}

} // namespace postgres_guard

#endif
