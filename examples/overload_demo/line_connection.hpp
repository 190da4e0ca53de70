// line_connection.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_LINE_CONNECTION_HPP
#define OVERLOAD_DEMO_LINE_CONNECTION_HPP

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

namespace overload_demo {

/// A TCP connection that carries lines in both directions at once. For one thread.
class line_connection : public std::enable_shared_from_this<line_connection> {
public:
    explicit line_connection(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
        asio::error_code ignored;
        static_cast<void>(socket_.set_option(asio::ip::tcp::no_delay(true), ignored));
    }

    /// The next line, without its line end; nothing after the connection has ended.
    asio::awaitable<std::optional<std::string>> receive() {
        std::size_t end = inbox_.find('\n');
        if (end == std::string::npos) {
            asio::error_code error;
            const std::size_t length =
                co_await asio::async_read_until(socket_, asio::dynamic_buffer(inbox_, longest_line), '\n',
                                                asio::redirect_error(asio::use_awaitable, error));
            if (error)
                co_return std::nullopt;
            end = length - 1;
        }
        std::string line = inbox_.substr(0, end);
        inbox_.erase(0, end + 1);
        co_return line;
    }

    /// Sends a line as soon as those before it are sent. Does not wait; errors end the connection.
    void send(std::string_view line) {
        outbox_.append(line) += '\n';
        if (!std::exchange(sending_, true))
            asio::co_spawn(socket_.get_executor(), send_outbox(shared_from_this()), asio::detached);
    }

    void close() {
        asio::error_code ignored;
        static_cast<void>(socket_.close(ignored));
    }

private:
    static constexpr std::size_t longest_line = 65'536; // also the most that inbox_ may hold

    asio::awaitable<void> send_outbox(std::shared_ptr<line_connection> /*kept alive*/) {
        while (!outbox_.empty() && socket_.is_open()) {
            const std::string batch = std::exchange(outbox_, {});
            asio::error_code error;
            co_await asio::async_write(socket_, asio::buffer(batch), asio::redirect_error(asio::use_awaitable, error));
            if (error)
                close();
        }
        sending_ = false;
    }

    asio::ip::tcp::socket socket_;
    std::string inbox_;
    std::string outbox_;
    bool sending_ = false;
};

} // namespace overload_demo

#endif
