// restinio.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A dashboard in a server that uses RESTinio. Not part of flowguard.hpp.

#ifndef FLOWGUARD_DASHBOARD_RESTINIO_HPP
#define FLOWGUARD_DASHBOARD_RESTINIO_HPP

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/steady_timer.hpp>
#include <restinio/all.hpp>

#include "flowguard/dashboard.hpp"
#include "flowguard/detail/dashboard/event_feed.hpp"
#include "flowguard/detail/dashboard/route.hpp"

namespace flowguard {

namespace detail {

// Sends a dashboard's events in chunks. Keeps itself alive by its handlers, one at a time, until a write fails or a
// stop is requested.
class restinio_events : public std::enable_shared_from_this<restinio_events> {
public:
    using response = restinio::response_builder_t<restinio::chunked_output_t>;

    restinio_events(const dashboard& board, response stream, const asio::any_io_executor& executor,
                    std::stop_token stop)
        : feed_(board), stream_(std::move(stream)), timer_(executor), stop_(std::move(stop)) {}

    void send() {
        std::string events = feed_.next();
        if (events.empty())
            return wait();
        stream_.append_chunk(std::move(events));
        stream_.flush([self = shared_from_this()](const auto& error) {
            if (!error)
                self->wait();
        });
    }

private:
    void wait() {
        timer_.expires_after(feed_.pause);
        timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
            if (error)
                return;
            if (self->stop_.stop_requested())
                self->stream_.done();
            else
                self->send();
        });
    }

    dashboard_event_feed<> feed_;
    response stream_;
    asio::steady_timer timer_;
    std::stop_token stop_;
};

} // namespace detail

/// Answers a GET for a dashboard's page, snapshot or event stream. Returns no value, and does nothing, for other
/// requests. `request` is RESTinio's request_handle_t. `prefix` is empty, or begins with a slash and does not end with
/// one. For the prefix alone, without a slash, it redirects to the page.
///
///     if (const auto done = flowguard::handle_dashboard(board, request, context.get_executor(), "/guards"))
///         return *done;
///
/// An event stream lasts until its client is gone, or a stop is requested. `executor`, such as the server's, runs its
/// timer; the dashboard must exist until then.
template <class Request>
std::optional<restinio::request_handling_status_t>
handle_dashboard(const dashboard& board, const Request& request, const asio::any_io_executor& executor,
                 std::string_view prefix = "", std::stop_token stop = {}) {
    using route = detail::dashboard_route;
    if (request->header().method() != restinio::http_method_get())
        return std::nullopt;
    const auto begin = [](auto response, const char* type) {
        response.append_header("Content-Type", type).append_header("Cache-Control", "no-store");
        return response;
    };
    switch (detail::dashboard_route_of(request->header().request_target(), prefix)) {
    case route::page:
        return begin(request->create_response(), "text/html; charset=utf-8")
            .append_header("Content-Security-Policy", std::string(dashboard::content_security_policy))
            .set_body(board.page())
            .done();
    case route::snapshot:
        return begin(request->create_response(), "application/json").set_body(board.snapshot()).done();
    case route::events:
        std::make_shared<detail::restinio_events>(
            board,
            begin(request->template create_response<restinio::chunked_output_t>(), "text/event-stream")
                .connection_close(), // the stream ends with the connection
            executor, std::move(stop))
            ->send();
        return restinio::request_accepted();
    case route::to_page:
        return begin(request->create_response(restinio::status_permanent_redirect()), "text/html; charset=utf-8")
            .append_header("Location", std::string(prefix) + '/')
            .done();
    case route::none:
        break;
    }
    return std::nullopt;
}

} // namespace flowguard

#endif
