// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_OPTIONS_HPP
#define BEAST_SERVER_OPTIONS_HPP

#include <chrono>
#include <string>
#include <string_view>

#include "knobs.hpp"
#include "support/command_line.hpp"

namespace beast_server {

struct options {
    bool help = false;
    std::string address = "127.0.0.1";
    unsigned short port = 8080;
    unsigned threads = 2;
    std::chrono::seconds timeout{15};
    unsigned workers = 16;
    unsigned latency_ms = 20;
    unsigned load = 0;
};

inline constexpr std::string_view help_text =
    R"(usage: beast_server [--port N] [--address A] [--threads N] [--timeout SECONDS]
                    [--workers N] [--latency_ms N] [--load N]

An HTTP server in front of a simulated service, guarded by FlowGuard. Its page shows how the limit
follows the capacity of the service. You can change the capacity on the page.

  GET  /         the page
  GET  /work     one task of the service: 200, or 503 if the guard rejects it
  GET  /health   200 at once, without the guard
  GET  /metrics  metrics for Prometheus
  GET  /events   what the page shows, as server-sent events
  POST /knobs    sets workers=N&latency_ms=N&load=N, or some of them

  --port N            where to listen, 0 for any free port; default: 8080
  --address A         an IP address of this machine; default: 127.0.0.1
  --threads N         threads that serve, from 1 to 64; default: 2
  --timeout SECONDS   how long to wait for a request to come, and for a client to take an answer,
                      from 1 to 600; default: 15
  --workers N         how many tasks the service works on at once, from 1 to 64; default: 16
  --latency_ms N      how long a worker takes for a task, on average, from 1 to 500; default: 20
  --load N            requests/s that the server sends itself, from 0 to 5000; default: 0
  --help              this text

SIGINT and SIGTERM end the server, after it has answered the requests in progress, and the next
request of each connection that is open, if one comes within a second.

Exit code: 0 if a signal ended it in this way; 1 if it could not listen; 2 for a bad option.
)";

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options result;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--address")
            result.address = line.value();
        else if (option == "--port")
            result.port = line.number_in<unsigned short>(0, 65535);
        else if (option == "--threads")
            result.threads = line.number_in<unsigned>(1, 64);
        else if (option == "--timeout")
            result.timeout = std::chrono::seconds(line.number_in<unsigned>(1, 600));
        else if (option == "--workers")
            result.workers = workers_knob.value_of(line.value());
        else if (option == "--latency_ms")
            result.latency_ms = latency_knob.value_of(line.value());
        else if (option == "--load")
            result.load = load_knob.value_of(line.value());
        else
            line.reject();
    }
    return result;
}

} // namespace beast_server

#endif
