// service.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_SERVICE_HPP
#define BEAST_SERVER_SERVICE_HPP

#include <atomic>
#include <chrono>
#include <random>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <flowguard/dynamic_semaphore.hpp>
#include <flowguard/permit.hpp>

#include "http.hpp"

namespace beast_server {

/// Stands for a database or the like: it has a number of workers, and a queue for the requests that find all workers
/// busy. A guard is for such a service. Its tasks only wait, and take no processor time.
///
/// Thread-safe.
class simulated_service {
public:
    simulated_service(asio::io_context& context, unsigned workers, unsigned latency_ms)
        : workers_(context, workers), latency_ms_(latency_ms) {}

    asio::awaitable<void> perform() {
        const flowguard::permit worker = co_await workers_.acquire();
        asio::steady_timer timer(co_await asio::this_coro::executor);
        timer.expires_after(time_of_a_task());
        co_await timer.async_wait(asio::use_awaitable);
    }

    /// Workers finish their current tasks.
    void set_workers(unsigned workers) { workers_.set_limit(workers); }
    void set_latency_ms(unsigned latency) { latency_ms_ = latency; }

    unsigned workers() const { return static_cast<unsigned>(workers_.current_limit()); }
    unsigned latency_ms() const { return latency_ms_; }

    /// Requests/s.
    double capacity() const { return 1000.0 * workers() / latency_ms(); }

    /// Requests in the queue end with flowguard::error::closed.
    void close() { workers_.close(); }

private:
    // At least 70 % of the mean, and sometimes several times the mean.
    std::chrono::nanoseconds time_of_a_task() const {
        thread_local std::mt19937_64 random{std::random_device{}()};
        const double spread = 0.7 + 0.3 * std::exponential_distribution<double>()(random);
        return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(latency_ms_ * spread * 1e6));
    }

    flowguard::dynamic_semaphore workers_;
    std::atomic<unsigned> latency_ms_;
};

} // namespace beast_server

#endif
