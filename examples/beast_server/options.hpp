// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_OPTIONS_HPP
#define BEAST_SERVER_OPTIONS_HPP

#include <chrono>
#include <string>
#include <string_view>

#include "command_line.hpp"
#include "knobs.hpp"

namespace beast_server {

struct options {
    bool help = false;
    std::string address = "127.0.0.1";
    unsigned short port = 8080;
    unsigned threads = 2;
    std::chrono::seconds patience{15};
    unsigned workers = 16;
    unsigned latency_ms = 20;
    unsigned load = 0;
};

inline constexpr std::string_view help_text =
    R"(usage: beast_server [--port N] [--address A] [--threads N] [--patience SECONDS]
                    [--workers N] [--latency_ms N] [--load N]

An HTTP server in front of a simulated service, guarded by FlowGuard. Its page shows the limit as it
follows the service, whose capacity can be changed there.

  GET  /         the page
  GET  /work     one task of the service: 200, or 503 when the guard turns it away
  GET  /health   200 at once: goes past the guard
  GET  /metrics  for Prometheus
  GET  /events   what the page shows, as server-sent events
  POST /knobs    workers=N&latency_ms=N&load=N, or some of them

  --port N            where to listen, 0 for any free port; default: 8080
  --address A         an IP address of this machine; default: 127.0.0.1
  --threads N         that serve, from 1 to 64; default: 2
  --patience SECONDS  for a request to come and for an answer to be taken, from 1 to 600; default: 15
  --workers N         of the service, from 1 to 64: how many tasks it works on at once; default: 16
  --latency_ms N      how long a worker takes for a task, on average, from 1 to 500; default: 20
  --load N            requests/s that the server makes itself, from 0 to 5000; default: 0
  --help              this text

SIGINT and SIGTERM end it, when the requests in progress are answered.

Exit code: 0 when it was ended so; 1 when it could not listen; 2 for a bad option.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options result;
    for (command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--address")
            result.address = line.value();
        else if (option == "--port")
            result.port = line.number_in<unsigned short>(0, 65535);
        else if (option == "--threads")
            result.threads = line.number_in<unsigned>(1, 64);
        else if (option == "--patience")
            result.patience = std::chrono::seconds(line.number_in<unsigned>(1, 600));
        else if (option == "--workers")
            result.workers = workers_knob.value_of(line.value());
        else if (option == "--latency_ms")
            result.latency_ms = latency_knob.value_of(line.value());
        else if (option == "--load")
            result.load = load_knob.value_of(line.value());
        else
            line.refuse();
    }
    return result;
}

} // namespace beast_server

#endif
