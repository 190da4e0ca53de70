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
    clock::duration retry_after{}; ///< 0 if it did not say
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
    retry_budget* budget = nullptr; ///< to be shared by all clients of a service; without one, there is no budget
};

/// How it went. Each attempt ends in one of three ways, and each that was not made was refused by the guard.
struct client_counters {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> attempts{0};
    std::atomic<std::uint64_t> answered{0};    ///< attempts: with anything but the next
    std::atomic<std::uint64_t> turned_away{0}; ///< … with 429, 502, 503, 504
    std::atomic<std::uint64_t> broken{0};      ///< … with no answer, or none in time
    std::atomic<std::uint64_t> refused{0}; ///< requests that the guard refused, at the first attempt or a later one
    std::atomic<std::uint64_t> retries{0}; ///< intended: the guard may have refused some
};

/// In place of a guard: lets everybody through at once.
struct no_guard {
    template <class MakeTask, class Options>
    auto run(MakeTask make_task, const Options&) {
        return make_task();
    }
};

/// An HTTP/1.1 client of one server, for idempotent requests, with connections that are kept.
///
/// The guard goes around each *attempt*, not around the request. So a retry waits in line like everybody else, and
/// whoever waits until it is time for one holds no permit.
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

    /// Gets an answer that is not worth a retry, if it can be had before the deadline, within the budget, and in so
    /// many attempts; else the last one, at the latest when the deadline has come.
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
            add(counters_.refused);
        co_return r;
    }

    // A guard's refusal is final: it knows of all the others, and who asks again joins the very queue that is too long.
    // So is the caller's own cancellation.
    static bool is_worth_a_retry(const result& r) {
        if (r.error)
            return r.error.category() != flowguard::error_category() && r.error != asio::error::operation_aborted;
        return flowguard::classify_http_status(r.answer.status) == flowguard::outcome::dropped;
    }

    // Runs in the strand of its connection, whatever that of the caller is.
    asio::awaitable<response> attempt(const std::string& target, clock::time_point deadline) {
        add(counters_.attempts);
        const auto end = std::min(clock::now() + options_.attempt_timeout, deadline);
        auto connection = pool_.take();
        const auto strand = connection->stream.get_executor();
        try {
            response r =
                co_await asio::co_spawn(strand, exchange(std::move(connection), target, end), asio::use_awaitable);
            add(flowguard::classify_http_status(r.status) == flowguard::outcome::dropped ? counters_.turned_away
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
            pool_.give_back(std::move(connection));
        co_return r; // any other connection ends here, as it does when something is thrown
    }

    // In seconds; the other form, a date, is as good as nothing (RFC 9110, section 10.2.3).
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
