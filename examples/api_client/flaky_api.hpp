// flaky_api.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_FLAKY_API_HPP
#define API_CLIENT_FLAKY_API_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <flowguard.hpp>

#include "shared_random.hpp"

namespace api_client {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// The state of the API at one time.
struct conditions {
    std::size_t workers = 16;
    std::chrono::duration<double> service_time{0.02}; ///< mean
    double failing = 0; ///< share of the requests that are answered 503 for no reason

    double capacity() const { return static_cast<double>(workers) / service_time.count(); } ///< requests/s
};

/// Admits `rate` requests a second, and `burst` more at once; the API answers the others 429. For one thread.
class rate_limit {
public:
    rate_limit(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}

    bool take() {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double> passed = now - std::exchange(last_, now);
        tokens_ = std::min(burst_, tokens_ + rate_ * passed.count());
        if (tokens_ < 1)
            return false;
        --tokens_;
        return true;
    }

private:
    const double rate_, burst_;
    double tokens_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// An API on the loopback interface, in a thread of its own, that fails as real ones do. A few workers serve a first
/// in, first out queue. The queue is so long that the API serves its last requests after their callers have given up.
/// The API does not know that, and does the work nevertheless. It answers 503 when the queue is full, and 429 above a
/// rate limit that is too high to protect it.
class flaky_api {
public:
    static constexpr std::size_t longest_queue = 256;
    static constexpr double most_per_second = 1200;

    /// Starts in phase 0 of `phases`.
    flaky_api(const conditions& at_first, std::size_t phases, std::uint64_t seed)
        : now_(at_first), workers_(context_, at_first.workers), random_(seed), received_(phases), served_(phases) {
        asio::co_spawn(context_, accept(), asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }

    flaky_api(const flaky_api&) = delete;
    flaky_api& operator=(const flaky_api&) = delete;

    /// Drops the requests that are still in the queue.
    ~flaky_api() {
        context_.stop();
        thread_.join();
    }

    asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

    /// Enters a phase, with these conditions. Thread-safe.
    void enter(std::size_t phase, const conditions& c) {
        asio::post(context_, [this, phase, c] {
            phase_ = phase;
            now_ = c;
            workers_.set_limit(c.workers);
        });
    }

    /// How many requests arrived in a phase, and how many of them were answered 200, in time or late. Thread-safe.
    std::uint64_t received(std::size_t phase) const { return received_[phase]; }
    std::uint64_t served(std::size_t phase) const { return served_[phase]; }

private:
    static constexpr int most_on_a_connection = 1000; // then the API closes it, as many servers do

    asio::awaitable<void> accept() {
        asio::steady_timer timer(context_);
        for (;;) {
            boost::system::error_code error;
            auto socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (!error) {
                asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
            } else { // for example too many open files, which is temporary
                timer.expires_after(std::chrono::milliseconds(10));
                co_await timer.async_wait(asio::use_awaitable);
            }
        }
    }

    asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
        boost::beast::flat_buffer buffer;
        boost::system::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        socket.set_option(asio::ip::tcp::no_delay(true), error);
        for (int i = 1; !error && i <= most_on_a_connection; ++i) {
            http::request<http::empty_body> request;
            co_await http::async_read(socket, buffer, request, token);
            if (error)
                co_return;
            http::response<http::string_body> answer(co_await status_of_answer(), request.version());
            answer.keep_alive(request.keep_alive() && i < most_on_a_connection);
            if (answer.result() == http::status::too_many_requests)
                answer.set(http::field::retry_after, "1");
            answer.body() = answer.result() == http::status::ok ? "here you are\n" : "not now\n";
            answer.prepare_payload();
            co_await http::async_write(socket, answer, token);
        }
    }

    asio::awaitable<http::status> status_of_answer() {
        const std::size_t phase = phase_;
        ++received_[phase];
        if (!rate_.take())
            co_return http::status::too_many_requests;
        if (random_.uniform() < now_.failing || workers_.waiting() >= longest_queue)
            co_return http::status::service_unavailable;
        const flowguard::permit worker = co_await workers_.acquire();
        const auto work = now_.service_time * (0.5 + random_.uniform());
        asio::steady_timer timer(context_, std::chrono::duration_cast<asio::steady_timer::duration>(work));
        co_await timer.async_wait(asio::use_awaitable);
        ++served_[phase];
        co_return http::status::ok;
    }

    asio::io_context context_{1};
    asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
    const asio::ip::tcp::endpoint endpoint_ = acceptor_.local_endpoint();
    conditions now_;
    std::size_t phase_ = 0;
    flowguard::dynamic_semaphore workers_; // its waiters are the queue
    rate_limit rate_{most_per_second, most_per_second / 10};
    shared_random random_;
    std::vector<std::atomic<std::uint64_t>> received_, served_; // by phase
    std::thread thread_;
};

} // namespace api_client

#endif
