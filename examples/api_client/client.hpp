// client.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_CLIENT_HPP
#define API_CLIENT_CLIENT_HPP

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <flowguard.hpp>

#include "backoff.hpp"
#include "connection_pool.hpp"
#include "retry_budget.hpp"
#include "shared_random.hpp"

namespace api_client {

namespace http = boost::beast::http;
using clock = std::chrono::steady_clock;
using boost::system::error_code;
using boost::system::system_error;

/// An answer of the server.
struct response {
    unsigned status = 0;
    clock::duration retry_after{}; ///< 0 if the server did not say
    std::string body;
};

/// What became of a request: the last answer, or the error of the last attempt.
struct result {
    response answer; ///< has the status 0 if there is an error
    error_code error;
    unsigned attempts = 0;

    bool ok() const { return answer.status >= 200 && answer.status < 300; }
};

struct client_options {
    clock::duration attempt_timeout = std::chrono::milliseconds(250);
    unsigned most_attempts = 4;
    backoff wait{std::chrono::milliseconds(50), std::chrono::seconds(1)};
    bool heeds_retry_after = true;
    retry_budget* budget = nullptr; ///< shared by all clients of a service; null: no budget
};

/// Counts what happened. An attempt that is made ends in one of three ways: `answered`, `overloaded` or `broken`. The
/// guard rejected all other attempts.
struct client_counters {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> attempts{0};
    std::atomic<std::uint64_t> answered{0};    ///< attempts that were answered with any other status
    std::atomic<std::uint64_t> overloaded{0}; ///< attempts that were answered with 429, 502, 503 or 504
    std::atomic<std::uint64_t> broken{0};      ///< attempts without an answer, or without one in time
    std::atomic<std::uint64_t> rejected{0}; ///< requests that the guard rejected, at the first attempt or a later one
    std::atomic<std::uint64_t> retries{0}; ///< intended retries; the guard may have rejected some of them
};

/// An HTTP/1.1 client of one server, for idempotent requests. It keeps its connections open.
///
/// The guard encloses each *attempt*, not the whole request. So a retry queues like any other attempt, and a request
/// that waits before its next attempt holds no permit.
///
/// *Thread safety.* get() is safe, if each call runs in one thread or strand at a time.
template <class Guard>
class client {
public:
    client(asio::io_context& context, asio::ip::tcp::endpoint server, Guard& guard, client_options options,
           std::uint64_t seed)
        : server_(std::move(server)),
          host_(server_.address().to_string()),
          guard_(guard),
          options_(options),
          random_(seed),
          pool_(context) {}

    /// Retries until an answer is not worth another retry, and returns that answer. When the attempts, the budget or
    /// the time are used up, returns the result of the last attempt. Ends at the deadline at the latest.
    asio::awaitable<result> get(std::string target, clock::time_point deadline) {
        add(counters_.requests);
        if (options_.budget != nullptr)
            options_.budget->deposit();
        asio::steady_timer timer(co_await asio::this_coro::executor);
        result last;
        for (unsigned retry = 0;; ++retry) {
            last = co_await guarded_attempt(target, deadline, last.attempts);
            if (!is_worth_a_retry(last) || retry + 1 >= options_.most_attempts)
                break;
            const auto asked = options_.heeds_retry_after ? last.answer.retry_after : clock::duration::zero();
            timer.expires_after(options_.wait.wait(retry, asked, random_));
            if (timer.expiry() >= deadline || (options_.budget != nullptr && !options_.budget->withdraw()))
                break;
            add(counters_.retries);
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return last;
    }

    const client_counters& counters() const { return counters_; }

private:
    asio::awaitable<result> guarded_attempt(const std::string& target, clock::time_point deadline, unsigned before) {
        result r{.answer = {}, .error = {}, .attempts = before};
        const auto make_attempt = [&] {
            ++r.attempts;
            return attempt(target, deadline);
        };
        try {
            r.answer = co_await guard_.run(
                make_attempt,
                flowguard::run_options{.deadline = deadline, .classify = flowguard::by_http_status(&response::status)});
        } catch (const system_error& e) {
            r.error = e.code();
        }
        if (r.error.category() == flowguard::error_category())
            add(counters_.rejected);
        co_return r;
    }

    // A guard's rejection is final: the guard knows of all other attempts, and a retry would join the very queue that
    // is too long. The caller's own cancellation is final, too.
    static bool is_worth_a_retry(const result& r) {
        if (r.error)
            return r.error.category() != flowguard::error_category() && r.error != asio::error::operation_aborted;
        return flowguard::classify_http_status(r.answer.status) == flowguard::outcome::dropped;
    }

    // Runs in the strand of the connection, not in that of the caller.
    asio::awaitable<response> attempt(const std::string& target, clock::time_point deadline) {
        add(counters_.attempts);
        const auto end = std::min(clock::now() + options_.attempt_timeout, deadline);
        auto connection = pool_.take();
        const auto strand = connection->stream.get_executor();
        try {
            response r =
                co_await asio::co_spawn(strand, exchange(std::move(connection), target, end), asio::use_awaitable);
            add(flowguard::classify_http_status(r.status) == flowguard::outcome::dropped ? counters_.overloaded
                                                                                         : counters_.answered);
            co_return r;
        } catch (...) {
            add(counters_.broken);
            throw;
        }
    }

    asio::awaitable<response> exchange(connection_pool::pointer connection, const std::string& target,
                                       clock::time_point end) {
        auto& stream = connection->stream;
        stream.expires_at(end);
        if (!stream.socket().is_open()) {
            co_await stream.async_connect(server_, asio::use_awaitable);
            stream.socket().set_option(asio::ip::tcp::no_delay(true));
        }
        http::request<http::empty_body> request(http::verb::get, target, 11);
        request.set(http::field::host, host_);
        co_await http::async_write(stream, request, asio::use_awaitable);
        http::response<http::string_body> answer;
        co_await http::async_read(stream, connection->buffer, answer, asio::use_awaitable);
        response r{answer.result_int(), retry_after(answer[http::field::retry_after]), std::move(answer.body())};
        if (answer.keep_alive())
            pool_.release(std::move(connection));
        co_return r; // any other connection is closed here, as after an exception
    }

    // Understands a number of seconds. The other form, a date, counts as 0 (RFC 9110, section 10.2.3).
    static clock::duration retry_after(std::string_view field) {
        std::uint16_t seconds = 0;
        const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), seconds);
        return std::chrono::seconds(error == std::errc() && end == field.data() + field.size() ? seconds : 0);
    }

    static void add(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

    const asio::ip::tcp::endpoint server_;
    const std::string host_;
    Guard& guard_;
    const client_options options_;
    client_counters counters_;
    shared_random random_;
    connection_pool pool_;
};

} // namespace api_client

#endif
