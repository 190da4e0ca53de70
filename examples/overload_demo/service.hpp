// service.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_SERVICE_HPP
#define OVERLOAD_DEMO_SERVICE_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/address_v4.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

#include "line_connection.hpp"
#include "workload.hpp"

namespace overload_demo {

/// A service on the loopback interface, in a thread of its own, that needs a worker for each request.
///
/// A request is a line with a number; its answer is "200 <number> <result>" or "503 <number>". An answer is sent as
/// soon as it is ready, so one connection carries many requests at a time.
template <class Guard>
class service {
public:
    service(Guard& guard, const workload& work, std::size_t workers)
        : guard_(guard), work_(work), max_waiting_(workers), workers_(workers) {
        asio::co_spawn(context_, accept(), asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }

    service(const service&) = delete;
    service& operator=(const service&) = delete;

    /// Drops the requests that still queue for a worker.
    ~service() {
        context_.stop();
        thread_.join();
    }

    asio::ip::tcp::endpoint endpoint() const { return endpoint_; }

private:
    using connection = std::shared_ptr<line_connection>;

    asio::awaitable<void> accept() {
        for (;;) {
            asio::error_code error;
            auto socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (error)
                co_return;
            auto client = std::make_shared<line_connection>(std::move(socket));
            asio::co_spawn(context_, read_requests(std::move(client)), asio::detached);
        }
    }

    asio::awaitable<void> read_requests(connection client) {
        while (const auto request = co_await client->receive())
            asio::co_spawn(context_, answer(client, std::stoull(*request)), asio::detached);
    }

    // The guard encloses what is scarce, the workers. Its RTT is the time in the queue of the pool plus the time of the
    // work.
    asio::awaitable<void> answer(connection client, std::uint64_t request) {
        if (guard_.waiting() >= max_waiting_) { // the queue has room for a burst only
            client->send("503 " + std::to_string(request)); // shed: a quick no instead of a late yes
            co_return;
        }
        const std::uint64_t result = co_await guard_.run([this, request] { return do_work(request); });
        client->send("200 " + std::to_string(request) + ' ' + std::to_string(result));
    }

    asio::awaitable<std::uint64_t> do_work(std::uint64_t request) {
        return asio::co_spawn(workers_, perform(request), asio::use_awaitable);
    }

    asio::awaitable<std::uint64_t> perform(std::uint64_t request) { co_return work_.perform(request); }

    Guard& guard_;
    const workload& work_;
    const std::size_t max_waiting_;
    asio::io_context context_{1};
    asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
    const asio::ip::tcp::endpoint endpoint_ = acceptor_.local_endpoint();
    asio::thread_pool workers_; // destroyed before the context, where the tasks that it drops unwind
    std::thread thread_;
};

} // namespace overload_demo

#endif
