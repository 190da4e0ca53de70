// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_OPTIONS_HPP
#define API_CLIENT_OPTIONS_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace api_client {

struct options {
    bool help = false;
    double seconds = 3; ///< the length of a phase
    std::uint64_t seed = 1;
};

inline constexpr std::string_view help_text =
    R"(usage: api_client [--seconds S] [--quick] [--seed N]

Sends the same requests three times to an HTTP API on the loopback interface. The API is healthy, then slow, flaky,
browned out, and healthy again. The first client retries at once. The second client retries with jitter and a retry
budget. The third client does the same, and has a guard around each attempt.

  --seconds S  how long each of the five phases lasts, from 0.1 to 60; default: 3
  --quick      the same as --seconds 0.3: enough to check the counters, but the measured numbers mean little
  --seed N     seed of arrivals, jitter and faults; default: 1
  --help       this text

Exit code: 0 if the counters of client, guard and API agree, whatever was measured; 1 if not; 2 for a bad option.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options result;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--quick")
            result.seconds = 0.3;
        else if (option == "--seconds")
            result.seconds = line.number_in<double>(0.1, 60);
        else if (option == "--seed")
            result.seed = line.number_in(0, UINT64_MAX);
        else
            line.reject();
    }
    return result;
}

} // namespace api_client

#endif
