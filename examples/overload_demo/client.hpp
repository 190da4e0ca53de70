// client.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_CLIENT_HPP
#define OVERLOAD_DEMO_CLIENT_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "line_connection.hpp"
#include "recorder.hpp"
#include "schedule.hpp"

namespace overload_demo {

using clock = std::chrono::steady_clock;

inline std::shared_ptr<line_connection> connect(asio::io_context& context, const asio::ip::tcp::endpoint& to) {
    asio::ip::tcp::socket socket(context);
    socket.connect(to);
    return std::make_shared<line_connection>(std::move(socket));
}

/// Sends each request when it is due, whether or not earlier ones have been answered. A crowd of users who do not know
/// of each other does the same. A client that waited for answers would send less to a slow service, and so hide how
/// slow the service is.
class open_loop_client {
public:
    open_loop_client(asio::io_context& context, const asio::ip::tcp::endpoint& to, recorder& record, std::uint64_t seed)
        : timer_(context), record_(record), random_(seed) {
        for (int i = 0; i < 8; ++i)
            connections_.push_back(connect(context, to));
    }

    /// Runs the schedule. Then waits for the last answers, at most until the last request has reached its deadline.
    asio::awaitable<void> run(clock::time_point start) {
        start_ = start;
        for (const auto& connection : connections_)
            asio::co_spawn(timer_.get_executor(), read_answers(connection), asio::detached);
        co_await send_requests();
        const seconds latest = record_.plan().length() + record_.deadline();
        while (record_.pending() > 0 && now() < latest)
            co_await until(now() + seconds(0.01));
        record_.stop(now());
        for (const auto& connection : connections_)
            connection->close();
    }

private:
    asio::awaitable<void> send_requests() {
        std::exponential_distribution<double> gap; // of a Poisson process with one arrival a second
        const schedule& plan = record_.plan();
        for (seconds due{};;) {
            due += seconds(gap(random_) / plan.rate_at(due));
            if (due >= plan.length())
                co_return;
            if (due > now())
                co_await until(due);
            const std::size_t number = record_.request(due);
            connections_[number % connections_.size()]->send(std::to_string(number));
        }
    }

    asio::awaitable<void> read_answers(std::shared_ptr<line_connection> connection) {
        while (const auto answer = co_await connection->receive()) // "200 17 …" or "503 17"
            record_.answer(std::stoul(answer->substr(4)), answer->starts_with("200"), now());
    }

    seconds now() const { return clock::now() - start_; }

    asio::awaitable<void> until(seconds time) {
        timer_.expires_at(start_ + std::chrono::duration_cast<clock::duration>(time));
        co_await timer_.async_wait(asio::use_awaitable);
    }

    asio::steady_timer timer_;
    recorder& record_;
    std::mt19937_64 random_;
    std::vector<std::shared_ptr<line_connection>> connections_;
    clock::time_point start_{};
};

/// Measures the capacity of the service, in requests/s. Each of the `users` sends its next request as soon as it has an
/// answer. There must be more users than workers, so that no worker is ever idle. The result is the best of four
/// measurements, because other programs on the machine can only lower a measurement.
inline double measure_capacity(const asio::ip::tcp::endpoint& service, std::size_t users, seconds length) {
    asio::io_context context(1);
    const auto start = clock::now();
    std::array<double, 5> answers{}; // in each fifth of the time; the first fifth is the warm-up
    std::uint64_t next = 0;

    const auto user = [&](std::shared_ptr<line_connection> connection) -> asio::awaitable<void> {
        for (seconds elapsed{}; elapsed < length; elapsed = clock::now() - start) {
            connection->send(std::to_string(next++));
            if (!co_await connection->receive())
                co_return;
            const auto part = static_cast<std::size_t>((clock::now() - start) / (length / answers.size()));
            if (part < answers.size())
                ++answers[part];
        }
        connection->close();
    };
    for (std::size_t i = 0; i < users; ++i)
        asio::co_spawn(context, user(connect(context, service)), asio::detached);
    context.run();
    return *std::max_element(answers.begin() + 1, answers.end()) / (length.count() / answers.size());
}

} // namespace overload_demo

#endif
