// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// A server of RESTinio, whose handlers are callbacks that may answer later. A guard lets requests wait for the service,
// without a thread for each, and answers 503 in an overload. A page shows the guard, live.

#include <chrono>
#include <csignal>
#include <cstddef>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>
#include <flowguard/dashboard/restinio.hpp>
#include <restinio/all.hpp>

#include "examples/server_options.hpp"
#include "support/run_main.hpp"

namespace restinio_server {

using namespace std::chrono_literals;
using examples::options;

// Stands for a database with callbacks. Queries that find all workers busy wait, however many they are.
class database {
public:
    database(asio::io_context& context, const options& chosen)
        : context_(context), workers_(context, chosen.workers), latency_(chosen.latency_ms) {}

    // Calls done(ok, rows).
    template <class Done>
    void query(std::string what, Done done) {
        workers_.async_acquire_permit([this, what = std::move(what), done = std::move(done)](
                                          flowguard::error_code error, flowguard::permit worker) mutable {
            if (error)
                return done(false, error.message());
            auto timer = std::make_unique<asio::steady_timer>(context_, latency_);
            asio::steady_timer& waits = *timer;
            waits.async_wait([timer = std::move(timer), worker = std::move(worker), what = std::move(what),
                              done = std::move(done)](flowguard::error_code failed) mutable {
                worker.release();
                done(!failed, "rows of " + what + '\n');
            });
        });
    }

private:
    asio::io_context& context_;
    flowguard::dynamic_semaphore workers_;
    std::chrono::milliseconds latency_;
};

using restinio::request_handle_t;
using restinio::request_handling_status_t;
using guard_type = flowguard::flow_guard<>;

// Begins an answer. Once the guard is closed, an answer is the last one on its connection, and says so.
template <class Status>
auto begin_response(const request_handle_t& request, const guard_type& guard, Status status) {
    auto response = request->create_response(std::move(status));
    if (guard.is_closed())
        response.connection_close();
    return response;
}

void respond(const request_handle_t& request, const guard_type& guard, const std::string& body) {
    begin_response(request, guard, restinio::status_ok())
        .append_header("Content-Type", "text/plain")
        .set_body(body)
        .done();
}

void respond_unavailable(const request_handle_t& request, const guard_type& guard, const std::string& why) {
    begin_response(request, guard, restinio::status_service_unavailable())
        .append_header("Retry-After", std::to_string(flowguard::retry_after(guard.stats()).count()))
        .set_body(why)
        .done();
}

request_handling_status_t respond_with_metrics(const request_handle_t& request, const guard_type& guard) {
    const flowguard::named_stats guards[] = {{"database", guard.stats()}};
    return begin_response(request, guard, restinio::status_ok())
        .append_header("Content-Type", "text/plain; version=0.0.4")
        .set_body(flowguard::prometheus_text(guards))
        .done();
}

// Answers the requests in progress after SIGINT or SIGTERM, so that the context runs out of work when each connection
// has ended: see docs/shutdown.md.
asio::awaitable<void> end_on_signal(asio::signal_set& signals, asio::io_context& context,
                                    restinio::http_server_t<>& server, guard_type& guard, std::stop_source stop) {
    co_await signals.async_wait(asio::use_awaitable);
    signals.clear(); // a second signal kills the program
    server.close_sync(); // accepts no more connections
    stop.request_stop();
    flowguard::error_code error;
    co_await guard.async_drain({.timeout = 20s}, asio::redirect_error(asio::use_awaitable, error));
    if (error) // requests are still in flight, and there is no more time
        context.stop();
}

void serve(const options& chosen) {
    asio::io_context context(1);
    database db(context, chosen);
    guard_type guard{context.get_executor(), flowguard::vegas_strategy{10}};
    using ticket = guard_type::ticket;
    flowguard::dashboard board{{.title = "restinio_server"}};
    board.add("database", guard);
    std::stop_source stop; // ends the dashboard, and what it sends
    asio::co_spawn(context, board.run(stop.get_token()), asio::detached);

    const auto rows = [&](const request_handle_t& request) {
        guard.async_acquire([&, request](flowguard::error_code error, ticket admitted) {
            if (error)
                return respond_unavailable(request, guard, error.message());
            db.query(request->header().request_target(),
                     [&, request, admitted = std::move(admitted)](bool ok, const std::string& found) mutable {
                         ok ? admitted.success() : admitted.drop();
                         if (ok)
                             respond(request, guard, found);
                         else
                             respond_unavailable(request, guard, found);
                     });
        });
        return restinio::request_accepted(); // it answers later
    };

    const auto handle = [&](const request_handle_t& request) {
        if (request->header().path() == "/work")
            return rows(request);
        if (request->header().path() == "/metrics")
            return respond_with_metrics(request, guard);
        if (const auto done =
                flowguard::handle_dashboard(board, request, context.get_executor(), "/guards", stop.get_token()))
            return *done;
        return restinio::request_rejected(); // RESTinio answers 501
    };

    asio::ip::tcp::endpoint address;
    restinio::http_server_t<> server{restinio::external_io_context(context),
                                     restinio::server_settings_t<>{}
                                         .address("127.0.0.1")
                                         .port(chosen.port)
                                         .acceptor_post_bind_hook([&](const auto& a) { address = a.local_endpoint(); })
                                         .read_next_http_message_timelimit(5s) // a client is idle then
                                         .request_handler(handle)};
    asio::signal_set signals(context, SIGINT, SIGTERM);
    asio::co_spawn(context, end_on_signal(signals, context, server, guard, stop), asio::detached);
    server.open_sync();
    std::cout << "listening on http://" << address << "/\n" << std::flush; // a script may wait for it
    context.run();
}

} // namespace restinio_server

int main(int argc, char** argv) {
    const std::string help_text =
        examples::help_text("restinio_server", "RESTinio", "  GET /guards/   a page that shows the guard, live\n");
    return support::run_main("restinio_server", help_text, argc, argv, examples::parse_options,
                             [](const examples::options& chosen) { restinio_server::serve(chosen); });
}
