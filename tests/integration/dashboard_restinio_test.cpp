// dashboard_restinio_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/dashboard/restinio.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>

#include <asio/buffer.hpp>
#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <restinio/all.hpp>

#include "flowguard/dashboard.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"

namespace {

using asio::ip::tcp;

// A server of RESTinio that has a dashboard below /guards, and answers 501 to other requests.
class site {
public:
    explicit site(const flowguard::dashboard& board)
        : server_(restinio::external_io_context(context),
                  restinio::server_settings_t<>{}
                      .address("127.0.0.1")
                      .port(0)
                      .acceptor_post_bind_hook([this](const tcp::acceptor& a) { address_ = a.local_endpoint(); })
                      .request_handler([&](const restinio::request_handle_t& request) {
                          return flowguard::handle_dashboard(board, request, context.get_executor(), "/guards",
                                                             stop.get_token())
                              .value_or(restinio::request_rejected());
                      })) {
        server_.open_sync();
    }

    tcp::socket connect() {
        tcp::socket client(context);
        client.connect(address_);
        return client;
    }

    // Reads once. Returns nothing if the connection has ended.
    std::string read(tcp::socket& client) {
        std::array<char, 4096> piece{};
        std::optional<std::size_t> length;
        client.async_read_some(asio::buffer(piece), [&](const asio::error_code&, std::size_t n) { length = n; });
        while (!length)
            context.run_one();
        return {piece.data(), *length};
    }

    // Sends a request, and reads until `end` has come.
    std::string ask(tcp::socket& client, const std::string& request, const std::string& end) {
        asio::write(client, asio::buffer(request + " HTTP/1.1\r\nHost: here\r\n\r\n"));
        std::string received;
        while (received.find(end) == std::string::npos) {
            const std::string piece = read(client);
            if (piece.empty())
                break;
            received += piece;
        }
        return received;
    }
    std::string ask(const std::string& request, const std::string& end) {
        tcp::socket client = connect();
        return ask(client, request, end);
    }

    asio::io_context context;
    std::stop_source stop;

private:
    tcp::endpoint address_;
    restinio::http_server_t<> server_;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("A server with RESTinio answers the dashboard's paths, below a prefix") {
    const flowguard::dashboard board{{.title = "Guards"}};
    site s(board);
    const std::string page = s.ask("GET /guards/", "</html>");
    CHECK(has(page, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(page, "Content-Type: text/html; charset=utf-8\r\n"));
    CHECK(has(page, "Content-Security-Policy: default-src 'none'; "));
    CHECK(has(page, "<title>Guards</title>"));

    const std::string snapshot = s.ask("GET /guards/snapshot?x=1", "\"decisions\":[]}");
    CHECK(has(snapshot, "Content-Type: application/json\r\n"));
    CHECK(has(snapshot, board.snapshot()));

    const std::string bare = s.ask("GET /guards", "\r\n\r\n");
    CHECK(has(bare, "HTTP/1.1 308 Permanent Redirect\r\n"));
    CHECK(has(bare, "Location: /guards/\r\n"));

    CHECK(has(s.ask("GET /guards/other", "\r\n\r\n"), "HTTP/1.1 501 "));
    CHECK(has(s.ask("GET /", "\r\n\r\n"), "HTTP/1.1 501 "));
    CHECK(has(s.ask("POST /guards/", "\r\n\r\n"), "HTTP/1.1 501 "));
}

TEST_CASE("RESTinio sends the events to each client, until a stop is requested") {
    flowguard::flow_guard guard{flowguard::fixed_limit{7}};
    flowguard::dashboard board;
    board.add("work", guard);
    board.sample();
    site s(board);
    {
        tcp::socket client = s.connect();
        const std::string events = s.ask(client, "GET /guards/events", "\"limit\":7");
        CHECK(has(events, "HTTP/1.1 200 OK\r\n"));
        CHECK(has(events, "Content-Type: text/event-stream\r\n"));
        CHECK(has(events, "data: {"));
    }
    tcp::socket other = s.connect();
    CHECK(has(s.ask(other, "GET /guards/events", "\"limit\":7"), "data: {"));
    s.stop.request_stop();
    std::string rest;
    for (std::string piece = s.read(other); !piece.empty(); piece = s.read(other))
        rest += piece;
    CHECK(rest.ends_with("0\r\n\r\n")); // the last chunk
}
