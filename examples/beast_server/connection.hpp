// connection.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_CONNECTION_HPP
#define BEAST_SERVER_CONNECTION_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <flowguard/dashboard/beast.hpp>

#include "http.hpp"
#include "site.hpp"

namespace beast_server {

/// One client, on a strand of its own. Each wait for the client has a time-out: for a request to come, and for an
/// answer to be taken.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(asio::ip::tcp::socket socket, site& pages, std::chrono::seconds timeout)
        : stream_(std::move(socket)), site_(pages), timeout_(timeout) {
        ++site_.counts().opened;
    }

    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    ~connection() { ++site_.counts().closed; }

    /// To be called once. After `closing` is requested, the connection ends with its next answer, which says so, or
    /// when no request has come for a second. After `aborting` is requested, it ends at once.
    void start(std::stop_token closing, std::stop_token aborting) {
        stop_ = closing;
        asio::co_spawn(stream_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
        on_closing_.emplace(std::move(closing), [this] { later(&connection::end_if_idle_for_long); });
        on_aborting_.emplace(std::move(aborting), [this] { later(&connection::end); });
    }

private:
    using error_code = boost::system::error_code;
    using stop_callback = std::stop_callback<std::function<void()>>;

    static constexpr std::uint32_t most_header = 8 * 1024;
    static constexpr std::uint64_t most_body = 4096;

    // A client may send a request just when the server closes. The server has promised to keep the connection alive, so
    // it waits for that request, and answers it.
    static constexpr std::chrono::seconds last_request_time{1};

    asio::awaitable<void> run() {
        for (bool more = true; more;) {
            http::request_parser<http::string_body> parser;
            parser.header_limit(most_header);
            parser.body_limit(most_body);
            if (const error_code error = co_await read(parser); error) {
                co_await reject(error);
                co_return;
            }
            request r = parser.release();
            if (flowguard::is_for_dashboard_events(r)) {
                site_.counts().answers.count(200);
                idle_ = true;
                co_await flowguard::send_dashboard_events(site_.board(), stream_, timeout_, stop_);
                co_return;
            }
            more = r.keep_alive();
            const bool only_head = r.method() == http::verb::head;
            response answer = co_await site_.answer(std::move(r));
            more = more && !stop_.stop_requested();
            answer.keep_alive(more);
            more = co_await send(std::move(answer), only_head) && more;
        }
        co_await leave();
    }

    asio::awaitable<error_code> read(http::request_parser<http::string_body>& parser) {
        error_code error;
        stream_.expires_after(stop_.stop_requested() ? std::min(timeout_, last_request_time) : timeout_);
        idle_ = true;
        co_await http::async_read(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
        idle_ = false;
        co_return error;
    }

    // Tells the client what was wrong with a request that could not be read, unless the client is gone.
    asio::awaitable<void> reject(error_code error) {
        if (error.category() != http::make_error_code(http::error::end_of_stream).category() ||
            error == http::error::end_of_stream || error == http::error::partial_message)
            co_return;
        auto status = http::status::bad_request;
        if (error == http::error::header_limit)
            status = http::status::request_header_fields_too_large;
        else if (error == http::error::body_limit)
            status = http::status::payload_too_large;
        response answer = answer_of(status, error.message() + '\n');
        answer.keep_alive(false);
        if (co_await send(std::move(answer)))
            co_await leave();
    }

    asio::awaitable<bool> send(response answer, bool only_head = false) {
        site_.counts().answers.count(answer.result_int());
        answer.set(http::field::server, "beast_server");
        if (!answer.has_content_length())
            answer.prepare_payload();
        if (only_head)
            answer.body().clear(); // the header tells its length all the same
        error_code error;
        stream_.expires_after(timeout_);
        co_await http::async_write(stream_, answer, asio::redirect_error(asio::use_awaitable, error));
        co_return !error;
    }

    // Closing a socket while the client still sends would reset the connection, and the client might never see its last
    // answer. So the server reads what the client sends for a while, and discards it.
    asio::awaitable<void> leave() {
        error_code error;
        stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
        stream_.expires_after(std::chrono::seconds(1));
        std::array<char, 4096> ignored;
        while (!error)
            co_await stream_.async_read_some(asio::buffer(ignored), asio::redirect_error(asio::use_awaitable, error));
    }

    // Calls `what` on the strand. May be called from any thread.
    void later(void (connection::*what)()) {
        asio::post(stream_.get_executor(), [weak = weak_from_this(), what] {
            if (const auto self = weak.lock())
                (self.get()->*what)();
        });
    }

    void end_if_idle_for_long() {
        last_request_.expires_after(last_request_time);
        last_request_.async_wait([weak = weak_from_this()](const error_code&) {
            if (const auto self = weak.lock(); self && self->idle_)
                self->end();
        });
    }

    void end() { stream_.close(); }

    beast::tcp_stream stream_;
    asio::steady_timer last_request_{stream_.get_executor()};
    beast::flat_buffer buffer_;
    site& site_;
    const std::chrono::seconds timeout_;
    bool idle_ = false; // no request is open
    std::stop_token stop_;
    std::optional<stop_callback> on_closing_;
    std::optional<stop_callback> on_aborting_;
};

} // namespace beast_server

#endif
