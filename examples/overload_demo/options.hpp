// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_OPTIONS_HPP
#define OVERLOAD_DEMO_OPTIONS_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace overload_demo {

struct options {
    bool help = false;
    bool quick = false;
    std::string svg = "overload_demo.svg";
    std::uint64_t seed = 1;
    double load = 2;
};

inline constexpr std::string_view help_text =
    R"(usage: overload_demo [--quick] [--svg FILE] [--seed N] [--load X]

Overloads a real TCP service on the loopback interface, four times: without a guard, with a static
limit that is too high, with one that is too low, and with a guard that finds its limit by itself.

  --quick      takes 8 seconds in all instead of 55; the numbers are rougher
  --svg FILE   where to write the chart; default: overload_demo.svg
  --seed N     seed of the arrivals, which are the same in all four runs; default: 1
  --load X     offered load while overloaded, in multiples of the capacity, from 1.1 to 10; default: 2
  --help       this text

The service has 8 worker threads. Each request holds one of them for about 15 ms: 1 ms of real
computing, calibrated at the start, and then a blocking wait of 7 to 21 ms, as for a disk or a database.
Because of the wait, the workers are the bottleneck, not the processors. So the client, which shares
the processors, does not slow the service down. The demo measures the capacity before the runs, and
again after them.

The client is an open loop: requests arrive as a Poisson process, and do not wait for answers. They
arrive at 0.5 x the capacity, then at X x, then at 0.5 x. Latency counts from the time at which a
request was meant to be sent. A client gives up after 300 ms. The service does not know this, and does
the work nevertheless. Goodput counts the requests that are answered in time.

Exit code: 0 if the demo ran, whatever it measured; 1 if it could not run; 2 for a bad option.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options result;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--quick")
            result.quick = true;
        else if (option == "--svg")
            result.svg = line.value();
        else if (option == "--seed")
            result.seed = line.number_in(0, UINT64_MAX);
        else if (option == "--load")
            result.load = line.number_in<double>(1.1, 10);
        else
            line.reject();
    }
    return result;
}

} // namespace overload_demo

#endif
