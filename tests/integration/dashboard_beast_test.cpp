// dashboard_beast_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/dashboard/beast.hpp"

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>

#include "flowguard/dashboard.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using tcp = asio::ip::tcp;
using request_type = http::request<http::string_body>;

// What the example of docs/dashboard.md does with a request.
asio::awaitable<void> answer(const flowguard::dashboard& board, const request_type& request,
                             beast::tcp_stream& stream) {
    if (flowguard::is_for_dashboard_events(request, "/guards"))
        co_await flowguard::send_dashboard_events(board, stream, 30s); // until the client is gone
    else if (auto response = flowguard::dashboard_response(board, request, "/guards"))
        co_await http::async_write(stream, *response, asio::use_awaitable);
}

request_type get(const char* path) {
    return {http::verb::get, path, 11};
}

// Two connected streams.
struct pair {
    explicit pair(asio::io_context& context) : server(context), client(context) {
        tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        client.socket().connect(acceptor.local_endpoint());
        acceptor.accept(server.socket());
    }

    beast::tcp_stream server;
    beast::tcp_stream client;
};

} // namespace

TEST_CASE("A server with Beast answers the dashboard's paths, below a prefix") {
    const flowguard::dashboard board{{.title = "Guards"}};
    const auto page = flowguard::dashboard_response(board, get("/guards/"), "/guards");
    REQUIRE(page);
    CHECK(page->result() == http::status::ok);
    CHECK(page->at(http::field::content_type) == "text/html; charset=utf-8");
    CHECK(page->at("Content-Security-Policy") == flowguard::dashboard::content_security_policy);
    CHECK(page->body() == board.page());
    CHECK(page->at(http::field::content_length) == std::to_string(page->body().size()));

    const auto snapshot = flowguard::dashboard_response(board, get("/guards/snapshot?x=1"), "/guards");
    REQUIRE(snapshot);
    CHECK(snapshot->at(http::field::content_type) == "application/json");
    CHECK(snapshot->body() == board.snapshot());

    const auto bare = flowguard::dashboard_response(board, get("/guards"), "/guards");
    REQUIRE(bare);
    CHECK(bare->result() == http::status::permanent_redirect);
    CHECK(bare->at(http::field::location) == "/guards/");

    auto head = get("/guards/");
    head.method(http::verb::head);
    const auto headers = flowguard::dashboard_response(board, head, "/guards");
    REQUIRE(headers);
    CHECK(headers->body().empty());
    CHECK(headers->at(http::field::content_length) == page->at(http::field::content_length));

    CHECK_FALSE(flowguard::dashboard_response(board, get("/guards/other"), "/guards"));
    CHECK_FALSE(flowguard::dashboard_response(board, get("/"), "/guards"));
    CHECK_FALSE(flowguard::dashboard_response(board, get("/guards/events"), "/guards"));
    auto post = get("/guards/");
    post.method(http::verb::post);
    CHECK_FALSE(flowguard::dashboard_response(board, post, "/guards"));

    CHECK(flowguard::is_for_dashboard_events(get("/guards/events"), "/guards"));
    CHECK(flowguard::is_for_dashboard_events(get("/events")));
    CHECK_FALSE(flowguard::is_for_dashboard_events(get("/events"), "/guards"));
    CHECK(flowguard::dashboard_response(board, get("/"))->body() == board.page());
}

TEST_CASE("A client gets the page and the events over a connection, and its end ends the stream of events") {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{7}};
    flowguard::dashboard board;
    board.add("work", guard);
    board.sample();

    pair for_page(context);
    const auto page_request = get("/guards/");
    const auto page_sent = support::start(context, answer(board, page_request, for_page.server));
    beast::flat_buffer buffer;
    http::response<http::string_body> page;
    bool page_read = false;
    http::async_read(for_page.client, buffer, page, [&](const auto& error, std::size_t) { page_read = !error; });
    while (!page_read || !page_sent->done)
        REQUIRE(context.run_one() == 1);
    CHECK(page.body() == board.page());

    context.restart(); // it had nothing left to do
    pair for_events(context);
    const auto events_request = get("/guards/events");
    const auto events_sent = support::start(context, answer(board, events_request, for_events.server));
    std::string received;
    std::array<char, 4096> piece{};
    while (received.find("\"limit\":7") == std::string::npos) {
        std::size_t length = 0;
        for_events.client.async_read_some(asio::buffer(piece), [&](const auto&, std::size_t n) { length = n; });
        while (length == 0)
            REQUIRE(context.run_one() == 1);
        received.append(piece.data(), length);
    }
    CHECK(received.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(received.find("Content-Type: text/event-stream\r\n") != std::string::npos);
    CHECK_FALSE(events_sent->done);
    for_events.client.close();
    while (!events_sent->done) {
        board.sample(); // an event to send
        REQUIRE(context.run_one() == 1);
    }
    CHECK(events_sent->succeeded());
}
