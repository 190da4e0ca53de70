// beast_test.cpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/http/beast.hpp" // first: self-contained

#include <boost/beast/http/dynamic_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "flowguard/flow_guard.hpp"
#include "flowguard/http/http_layer.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/scripted_strategy.hpp"

namespace {

namespace http = boost::beast::http;
using flowguard::beast_http;
using support::poll;
using support::start;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

static_assert(flowguard::http_adapter<beast_http, request, response>);
static_assert(flowguard::http_adapter<beast_http, request, http::response<http::dynamic_body>>);
static_assert(flowguard::http_adapter<beast_http, request, http::message_generator>);

asio::awaitable<response> answer(request r) {
    response a{http::status::ok, r.version(), std::string(r.target())};
    a.prepare_payload();
    co_return a;
}

struct server {
    flowguard::flow_guard<> guard{flowguard::vegas_strategy{}, {.max_waiters = 100}};
    flowguard::http_layer<flowguard::flow_guard<>, decltype(&answer), beast_http> guarded{guard, &answer, beast_http{}};
};

} // namespace

TEST_CASE("A layer may be a member of a class, with its template arguments") {
    asio::io_context context;
    server s;
    const auto served = start(context, s.guarded(request{http::verb::get, "/rows", 11}));
    poll(context);
    REQUIRE(served->succeeded());
    CHECK(served->value->result() == http::status::ok);
    CHECK(s.guard.stats().succeeded == 1);
}

TEST_CASE("A layer guards a handler of Boost.Beast") {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    const flowguard::http_layer guarded{guard, answer, beast_http{}};
    const auto served = start(context, guarded(request{http::verb::get, "/rows", 11}));
    poll(context);
    REQUIRE(served->succeeded());
    CHECK(served->value->result() == http::status::ok);
    CHECK(served->value->body() == "/rows");
    CHECK(guard.stats().succeeded == 1);

    const auto busy = guard.try_acquire();
    const auto shed = start(context, guarded(request{http::verb::get, "/rows", 11}));
    poll(context);
    REQUIRE(shed->succeeded());
    CHECK(shed->value->result() == http::status::service_unavailable);
    const int seconds = std::stoi(std::string(shed->value->at(http::field::retry_after)));
    CHECK(seconds >= 1);
    CHECK(seconds <= 3);
}

TEST_CASE("A request's header is found by its name, in any case") {
    request r{http::verb::get, "/", 11};
    r.set("X-Priority", "sheddable");
    CHECK(beast_http{}.header(r, "x-priority") == "sheddable");
    CHECK(beast_http{}.header(r, "x-other").empty());
}

TEST_CASE("A response's status is a number, even if it has no name") {
    response r{http::status::ok, 11};
    CHECK(beast_http{}.status(r) == 200);
    r.result(599);
    CHECK(beast_http{}.status(r) == 599);
}

TEST_CASE("The 503 has the request's version, and keeps the connection open if the request does") {
    for (const unsigned version : {10U, 11U})
        for (const bool keep_alive : {false, true}) {
            request r{http::verb::get, "/", version};
            r.keep_alive(keep_alive);
            const response a = beast_http{}.unavailable(r)(std::chrono::seconds(7));
            CHECK(a.result() == http::status::service_unavailable);
            CHECK(a.version() == version);
            CHECK(a.keep_alive() == keep_alive);
            CHECK(a.at(http::field::retry_after) == "7");
            CHECK(a.at(http::field::content_length) == "0");
        }
}

TEST_CASE("The 504 is such an answer, without Retry-After") {
    for (const unsigned version : {10U, 11U})
        for (const bool keep_alive : {false, true}) {
            request r{http::verb::get, "/", version};
            r.keep_alive(keep_alive);
            const response a = beast_http{}.gateway_timeout(r)();
            CHECK(a.result() == http::status::gateway_timeout);
            CHECK(a.version() == version);
            CHECK(a.keep_alive() == keep_alive);
            CHECK(a.count(http::field::retry_after) == 0);
            CHECK(a.at(http::field::content_length) == "0");
        }
}

TEST_CASE("The 503 can be made as a message_generator") {
    request r{http::verb::get, "/", 11};
    r.keep_alive(false);
    const http::message_generator a = beast_http{}.unavailable(r)(std::chrono::seconds(7));
    CHECK_FALSE(a.keep_alive());
}
