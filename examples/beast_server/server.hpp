// server.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_SERVER_HPP
#define BEAST_SERVER_SERVER_HPP

#include <chrono>
#include <csignal>
#include <memory>
#include <stop_token>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connection.hpp"
#include "http.hpp"
#include "options.hpp"
#include "site.hpp"

namespace beast_server {

/// Accepts connections until it gets SIGINT or SIGTERM. Then it answers the requests in progress, and ends: see
/// docs/shutdown.md.
class server {
public:
    /// Throws boost::system::system_error if it cannot listen.
    server(asio::io_context& context, const options& chosen)
        : context_(context),
          acceptor_(asio::make_strand(context), {asio::ip::make_address(chosen.address), chosen.port}),
          endpoint_(acceptor_.local_endpoint()),
          timeout_(chosen.timeout),
          site_(context, chosen) {
        asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
        asio::co_spawn(acceptor_.get_executor(), end_on_signal(), asio::detached);
        site_.start(closing_.get_token());
    }

    asio::ip::tcp::endpoint endpoint() const { return endpoint_; }
    const site& pages() const { return site_; }

private:
    asio::awaitable<void> accept() {
        asio::steady_timer timer(acceptor_.get_executor());
        while (!closing_.stop_requested()) {
            boost::system::error_code error;
            asio::ip::tcp::socket socket = co_await acceptor_.async_accept(
                asio::make_strand(context_), asio::redirect_error(asio::use_awaitable, error));
            if (!error) {
                start_connection(std::move(socket));
            } else if (!closing_.stop_requested()) { // for example, too many files are open
                timer.expires_after(std::chrono::milliseconds(50));
                co_await timer.async_wait(asio::use_awaitable);
            }
        }
    }

    void start_connection(asio::ip::tcp::socket socket) {
        boost::system::error_code ignored;
        socket.set_option(asio::ip::tcp::no_delay(true), ignored);
        std::make_shared<connection>(std::move(socket), site_, timeout_)
            ->start(closing_.get_token(), aborting_.get_token());
    }

    // Closing an acceptor resets the connections that wait to be accepted, and loses what their clients have sent. So
    // these are accepted before.
    void accept_the_last() {
        boost::system::error_code error;
        acceptor_.non_blocking(true, error);
        while (!error) {
            asio::ip::tcp::socket socket = acceptor_.accept(asio::make_strand(context_), error);
            if (!error)
                start_connection(std::move(socket));
        }
    }

    asio::awaitable<void> end_on_signal() {
        co_await signals_.async_wait(asio::use_awaitable);
        signals_.clear(); // a second signal kills the program
        accept_the_last();
        closing_.request_stop(); // each connection ends after its next answer
        acceptor_.close();
        co_await site_.drain();

        // The answers are made. Their clients have some time to take them.
        asio::steady_timer timer(acceptor_.get_executor());
        for (int i = 0; i < 150 && site_.counts().open() > 0; ++i) {
            timer.expires_after(std::chrono::milliseconds(20));
            co_await timer.async_wait(asio::use_awaitable);
        }
        aborting_.request_stop();
    }

    asio::io_context& context_;
    asio::ip::tcp::acceptor acceptor_;
    const asio::ip::tcp::endpoint endpoint_;
    asio::signal_set signals_{acceptor_.get_executor(), SIGINT, SIGTERM};
    const std::chrono::seconds timeout_;
    std::stop_source closing_;
    std::stop_source aborting_;
    site site_;
};

} // namespace beast_server

#endif
