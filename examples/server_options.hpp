// server_options.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef EXAMPLES_SERVER_OPTIONS_HPP
#define EXAMPLES_SERVER_OPTIONS_HPP

#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace examples {

/// The options of a server in front of a simulated service.
struct options {
    bool help = false;
    unsigned short port = 8080;
    unsigned workers = 4;
    unsigned latency_ms = 20;
};

/// `name` is that of the program, `library` that of the server; `more_paths` are lines for what else it answers.
inline std::string help_text(const std::string& name, const std::string& library, const std::string& more_paths = "") {
    return "usage: " + name + R"( [--port N] [--workers N] [--latency_ms N]

A server of )" +
           library + R"( in front of a simulated service, guarded by FlowGuard.

  GET /work      one task of the service: 200, or 503 if the guard rejects it
  GET /metrics   metrics for Prometheus
)" + more_paths +
           R"(
  --port N         where to listen on 127.0.0.1, 0 for any free port; default: 8080
  --workers N      how many tasks the service works on at once, from 1 to 64; default: 4
  --latency_ms N   how long a worker takes for a task, from 1 to 500; default: 20
  --help           this text

SIGINT and SIGTERM end the server.
)";
}

inline options parse_options(int argc, char** argv) {
    options result;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--port")
            result.port = line.number_in<unsigned short>(0, 65535);
        else if (option == "--workers")
            result.workers = line.number_in<unsigned>(1, 64);
        else if (option == "--latency_ms")
            result.latency_ms = line.number_in<unsigned>(1, 500);
        else
            line.reject();
    }
    return result;
}

} // namespace examples

#endif
