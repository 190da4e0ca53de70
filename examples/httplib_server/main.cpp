// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// A server of cpp-httplib, which has a thread for each request. A guard blocks the threads for which the service has no
// place yet, and answers 503 in an overload.

#include <chrono>
#include <csignal>
#include <cstddef>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <flowguard.hpp>
#include <httplib.h>
#include <pthread.h>

#include "support/command_line.hpp"
#include "support/run_main.hpp"

namespace httplib_server {

struct options {
    bool help = false;
    int port = 8080;
    unsigned workers = 4;
    unsigned latency_ms = 20;
};

constexpr std::string_view help_text =
    R"(usage: httplib_server [--port N] [--workers N] [--latency_ms N]

A server of cpp-httplib in front of a simulated service, guarded by FlowGuard.

  GET /work      one task of the service: 200, or 503 if the guard rejects it
  GET /metrics   metrics for Prometheus

  --port N         where to listen on 127.0.0.1, 0 for any free port; default: 8080
  --workers N      how many tasks the service works on at once, from 1 to 64; default: 4
  --latency_ms N   how long a worker takes for a task, from 1 to 500; default: 20
  --help           this text

SIGINT and SIGTERM end the server.
)";

options parse_options(int argc, char** argv) {
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

// Stands for a database with a blocking client. Callers that find all workers busy wait, however many they are.
class database {
public:
    explicit database(const options& chosen) : workers_(never_run_, chosen.workers), latency_(chosen.latency_ms) {}

    std::string query(const std::string& what) {
        const flowguard::permit worker = workers_.acquire_blocking();
        std::this_thread::sleep_for(latency_);
        return "rows of " + what + '\n';
    }

private:
    asio::io_context never_run_; // blocked threads need none
    flowguard::dynamic_semaphore workers_;
    std::chrono::milliseconds latency_;
};

// Blocks SIGINT and SIGTERM in this thread and those that it starts, so that wait() can take them.
class stop_signals {
public:
    stop_signals() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }

    void wait() const {
        int signal = 0;
        sigwait(&set_, &signal);
    }

private:
    sigset_t set_;
};

void serve(const options& chosen) {
    const stop_signals signals;
    database db(chosen);

    constexpr std::size_t threads = 64;
    // A call that is admitted or waits keeps a thread. The rest answers other requests, and says 503 without delay.
    flowguard::flow_guard guard{flowguard::vegas_strategy{flowguard::vegas_options{.max_limit = threads / 4}},
                                {.max_waiters = threads / 4}};

    httplib::Server server;
    // By default, cpp-httplib lets several programs listen on one port.
    server.set_socket_options([](int socket) {
        const int yes = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.new_task_queue = [] { return new httplib::ThreadPool(threads); };

    server.Get("/work", [&](const httplib::Request& request, httplib::Response& response) {
        auto [error, rows] = guard.run_blocking_as_tuple([&] { return db.query(request.path); });
        if (rows)
            return response.set_content(*rows, "text/plain");
        response.status = 503;
        response.set_header("Retry-After", std::to_string(flowguard::retry_after(guard.stats()).count()));
        response.set_content(error.message() + '\n', "text/plain");
    });
    server.Get("/metrics", [&](const httplib::Request&, httplib::Response& response) {
        const flowguard::named_stats guards[] = {{"database", guard.stats()}};
        response.set_content(flowguard::prometheus_text(guards), "text/plain; version=0.0.4");
    });

    const std::string address = "127.0.0.1";
    const int port = chosen.port == 0                            ? server.bind_to_any_port(address)
                     : server.bind_to_port(address, chosen.port) ? chosen.port
                                                                 : -1;
    if (port < 0)
        throw std::runtime_error("cannot listen on port " + std::to_string(chosen.port));
    std::jthread listener([&] { server.listen_after_bind(); });
    while (!server.is_running()) // until then, stop() does nothing
        std::this_thread::yield();
    std::cout << "listening on http://" << address << ':' << port << "/" << std::endl; // a script may wait for it
    signals.wait();
    guard.close(); // those who wait get a 503
    server.stop();
}

} // namespace httplib_server

int main(int argc, char** argv) {
    return support::run_main("httplib_server", httplib_server::help_text, argc, argv, httplib_server::parse_options,
                             [](const httplib_server::options& chosen) { httplib_server::serve(chosen); });
}
