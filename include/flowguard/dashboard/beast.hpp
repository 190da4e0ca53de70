// beast.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// A dashboard in a server that uses Boost.Beast. Not part of flowguard.hpp.

#ifndef FLOWGUARD_DASHBOARD_BEAST_HPP
#define FLOWGUARD_DASHBOARD_BEAST_HPP

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/http/write.hpp>

#include "flowguard/dashboard.hpp"
#include "flowguard/detail/dashboard/event_feed.hpp"
#include "flowguard/detail/dashboard/route.hpp"

namespace flowguard {

namespace detail {

template <class Request>
dashboard_route dashboard_route_of(const Request& request, std::string_view prefix) noexcept {
    const auto target = request.target();
    return dashboard_route_of(std::string_view(target.data(), target.size()), prefix);
}

template <class Request>
boost::beast::http::response<boost::beast::http::string_body>
dashboard_response_of(const Request& request, std::string body, std::string_view type) {
    namespace http = boost::beast::http;
    http::response<http::string_body> response{http::status::ok, request.version(), std::move(body)};
    response.set(http::field::content_type, type);
    response.set(http::field::cache_control, "no-store");
    response.keep_alive(request.keep_alive());
    response.prepare_payload();
    if (request.method() == http::verb::head)
        response.body().clear(); // the header tells its length all the same
    return response;
}

} // namespace detail

/// Whether a request is a GET for the event stream: see send_dashboard_events().
template <class Body, class Fields>
bool is_for_dashboard_events(const boost::beast::http::request<Body, Fields>& request, std::string_view prefix = "") {
    return request.method() == boost::beast::http::verb::get &&
           detail::dashboard_route_of(request, prefix) == detail::dashboard_route::events;
}

/// The response to a GET or HEAD for a dashboard's page or snapshot, or to a HEAD for its event stream; no value for
/// other requests. `prefix` is empty, or begins with a slash and does not end with one. For the prefix alone, without a
/// slash, it redirects to the page.
template <class Body, class Fields>
std::optional<boost::beast::http::response<boost::beast::http::string_body>>
dashboard_response(const dashboard& board, const boost::beast::http::request<Body, Fields>& request,
                   std::string_view prefix = "") {
    namespace http = boost::beast::http;
    using route = detail::dashboard_route;
    if (request.method() != http::verb::get && request.method() != http::verb::head)
        return std::nullopt;
    switch (detail::dashboard_route_of(request, prefix)) {
    case route::page: {
        auto response = detail::dashboard_response_of(request, board.page(), "text/html; charset=utf-8");
        response.set("Content-Security-Policy", dashboard::content_security_policy);
        return response;
    }
    case route::snapshot:
        return detail::dashboard_response_of(request, board.snapshot(), "application/json");
    case route::events:
        if (request.method() == http::verb::head)
            return detail::dashboard_response_of(request, "", "text/event-stream");
        return std::nullopt;
    case route::to_page: {
        auto response = detail::dashboard_response_of(request, "", "text/html; charset=utf-8");
        response.result(http::status::permanent_redirect);
        response.set(http::field::location, std::string(prefix) + '/');
        return response;
    }
    case route::none:
        break;
    }
    return std::nullopt;
}

/// Answers a request for the event stream: sends a dashboard's events until a write fails or takes longer than
/// `write_timeout`, or a stop is requested. Returns the error; none after a stop. The stream is a
/// boost::beast::tcp_stream, or another one above it, and its executor runs the coroutine. The dashboard must exist
/// until this ends. A cancellation ends it with operation_aborted.
template <class Stream>
boost::asio::awaitable<boost::system::error_code>
send_dashboard_events(const dashboard& board, Stream& stream, std::chrono::steady_clock::duration write_timeout,
                      std::stop_token stop = {}) {
    namespace http = boost::beast::http;
    auto& lowest = boost::beast::get_lowest_layer(stream);
    boost::system::error_code error;
    const auto token = [&error] { return boost::asio::redirect_error(boost::asio::use_awaitable, error); };

    http::response<http::empty_body> head(http::status::ok, 11);
    head.set(http::field::content_type, "text/event-stream");
    head.set(http::field::cache_control, "no-store");
    head.keep_alive(false); // the stream ends with the connection
    http::response_serializer<http::empty_body> serializer(head);
    lowest.expires_after(write_timeout);
    co_await http::async_write_header(stream, serializer, token());

    boost::asio::steady_timer timer(stream.get_executor());
    detail::dashboard_event_feed feed(board);
    while (!error && !stop.stop_requested()) {
        const std::string events = feed.next();
        lowest.expires_after(write_timeout);
        co_await boost::asio::async_write(stream, boost::asio::buffer(events), token());
        lowest.expires_never();
        if (error)
            break;
        timer.expires_after(feed.pause);
        co_await timer.async_wait(token());
    }
    co_return error;
}

} // namespace flowguard

#endif
