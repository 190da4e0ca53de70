// shutdown_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The server of docs/shutdown.md: it gets SIGTERM while clients send one request after another.

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/http/beast.hpp"
#include "flowguard/http/http_layer.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

asio::awaitable<response> answer(request r) {
    asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
    co_await timer.async_wait(asio::use_awaitable);
    response a{http::status::ok, r.version(), "done\n"};
    a.prepare_payload();
    co_return a;
}

struct server {
    asio::io_context context;
    tcp::acceptor acceptor{context, {boost::asio::ip::address_v4::loopback(), 0}};
    flowguard::flow_guard<flowguard::fixed_limit> guard{flowguard::fixed_limit{2}, {.max_waiters = 4}};

    asio::awaitable<response> guarded(request r) {
        const flowguard::http_layer layer{guard, answer, flowguard::beast_http{}};
        co_return co_await layer(std::move(r));
    }
};

// The blocks of docs/shutdown.md begin here.

asio::awaitable<void> serve(server& s, beast::tcp_stream stream) {
    beast::flat_buffer buffer;
    error_code error;
    for (bool more = true; more;) {
        request r;
        stream.expires_after(2s); // a client that sends nothing for so long is idle
        co_await http::async_read(stream, buffer, r, asio::redirect_error(asio::use_awaitable, error));
        if (error)
            co_return;
        const bool keep_alive = r.keep_alive();
        response a = co_await s.guarded(std::move(r)); // 503 if the guard is closed
        more = keep_alive && !s.guard.is_closed();
        a.keep_alive(more);
        co_await http::async_write(stream, a, asio::redirect_error(asio::use_awaitable, error));
        more = more && !error;
    }
    stream.socket().shutdown(tcp::socket::shutdown_send, error);
}

asio::awaitable<void> end_on_signal(server& s) {
    asio::signal_set signals(s.context, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::use_awaitable);
    s.acceptor.close(); // accept() ends
    error_code error;
    co_await s.guard.async_drain({.timeout = 20s}, asio::redirect_error(asio::use_awaitable, error));
    if (error) // requests are still in flight, and there is no more time
        s.context.stop();
}

// The blocks end here.

asio::awaitable<void> accept(server& s) {
    for (error_code error; !error;) {
        tcp::socket socket = co_await s.acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (!error)
            asio::co_spawn(s.context, serve(s, beast::tcp_stream(std::move(socket))), asio::detached);
    }
}

struct client {
    int sent = 0;
    int answered = 0;
    http::status last{};
    bool was_told = false; // that the connection ends

    asio::awaitable<void> run(tcp::endpoint to) {
        beast::tcp_stream stream(co_await asio::this_coro::executor);
        co_await stream.async_connect(to, asio::use_awaitable);
        beast::flat_buffer buffer;
        while (!was_told) {
            request r{http::verb::get, "/", 11};
            ++sent;
            co_await http::async_write(stream, r, asio::use_awaitable);
            response a;
            co_await http::async_read(stream, buffer, a, asio::use_awaitable);
            ++answered;
            last = a.result();
            was_told = !a.keep_alive();
        }
    }
};

// Sends the signal when each client has had some answers.
asio::awaitable<void> end_server(const std::vector<client>& clients) {
    for (const client& c : clients)
        while (c.answered < 5)
            co_await asio::post(asio::use_awaitable);
    std::raise(SIGTERM);
}

} // namespace

TEST_CASE("A server that is drained on SIGTERM answers each request on its connections, and ends") {
    server s;
    std::vector<client> clients(8); // more than may be in flight and wait, so that some answers are 503
    asio::co_spawn(s.context, accept(s), asio::detached);
    asio::co_spawn(s.context, end_on_signal(s), asio::detached);
    int lost = 0;
    for (client& c : clients)
        asio::co_spawn(s.context, c.run(s.acceptor.local_endpoint()),
                       [&](const std::exception_ptr& failure) { lost += failure ? 1 : 0; });
    asio::co_spawn(s.context, end_server(clients), asio::detached);
    s.context.run(); // ends when no connection is left
    CHECK(lost == 0);
    for (const client& c : clients) {
        CHECK(c.answered == c.sent);
        CHECK(c.was_told);
        CHECK((c.last == http::status::ok || c.last == http::status::service_unavailable));
    }
    CHECK(s.guard.is_closed());
    CHECK(s.guard.in_flight() == 0);
}
