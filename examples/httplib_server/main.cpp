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
#include <thread>

#include <flowguard.hpp>
#include <httplib.h>
#include <pthread.h>

#include "examples/server_options.hpp"
#include "support/run_main.hpp"

namespace httplib_server {

using examples::options;

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
    std::cout << "listening on http://" << address << ':' << port << "/\n" << std::flush; // a script may wait for it
    signals.wait();
    guard.close(); // those who wait get a 503
    server.stop();
}

} // namespace httplib_server

int main(int argc, char** argv) {
    const std::string help_text = examples::help_text("httplib_server", "cpp-httplib");
    return support::run_main("httplib_server", help_text, argc, argv, examples::parse_options,
                             [](const examples::options& chosen) { httplib_server::serve(chosen); });
}
