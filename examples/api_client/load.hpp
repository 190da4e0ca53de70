// load.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_LOAD_HPP
#define API_CLIENT_LOAD_HPP

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "client.hpp"
#include "flaky_api.hpp"
#include "schedule.hpp"

namespace api_client {

/// What became of one request.
struct record {
    std::size_t ends = 0; ///< how often the request ended; must be 1
    result outcome;
    seconds latency{}; ///< from when it was meant to be sent
};

/// What was seen during the load.
struct observations {
    std::vector<record> records; ///< in the order of arrival
    std::vector<std::vector<std::size_t>> limits; ///< by phase, at regular intervals
    seconds length{}; ///< until the last request had ended
};

/// Sends each request when it is due, whether or not earlier ones have been answered, and takes the API through its
/// phases. A load that waited for answers would send less to a slow API, and so hide how slow the API is.
template <class Guard>
class load {
public:
    load(asio::io_context& context, client<Guard>& sender, flaky_api& api, std::function<std::size_t()> limit,
         const std::vector<arrival>& plan, seconds phase_length, clock::duration timeout)
        : context_(context),
          sender_(sender),
          api_(api),
          limit_(std::move(limit)),
          plan_(plan),
          phase_length_(phase_length),
          timeout_(timeout) {
        seen_.records.resize(plan.size()); // each is written by its own request alone
        seen_.limits.resize(phases.size());
    }

    /// Runs in two threads until each request has an answer or has given up.
    observations run() {
        start_ = clock::now();
        spawn(send_requests());
        spawn(conduct_api());
        auto other = std::async(std::launch::async, [this] { context_.run(); });
        context_.run();
        other.get();
        seen_.length = clock::now() - start_;
        return std::move(seen_);
    }

private:
    static constexpr int readings = 20; // of the limit, in each phase

    // Runs each task in a strand of its own. The tasks share only what is thread-safe.
    void spawn(asio::awaitable<void> task) {
        asio::co_spawn(asio::make_strand(context_), std::move(task), [](const std::exception_ptr& failure) {
            if (failure)
                std::rethrow_exception(failure);
        });
    }

    clock::time_point time(seconds since_start) const {
        return start_ + std::chrono::duration_cast<clock::duration>(since_start);
    }

    asio::awaitable<void> send_requests() {
        asio::steady_timer timer(context_);
        for (std::size_t i = 0; i < plan_.size(); ++i) {
            timer.expires_at(time(plan_[i].due));
            if (timer.expiry() > clock::now())
                co_await timer.async_wait(asio::use_awaitable);
            spawn(send(i));
        }
    }

    asio::awaitable<void> send(std::size_t i) {
        const auto due = time(plan_[i].due);
        record& r = seen_.records[i];
        r.outcome = co_await sender_.get("/things/" + std::to_string(i), due + timeout_);
        r.latency = clock::now() - due;
        ++r.ends;
    }

    asio::awaitable<void> conduct_api() {
        asio::steady_timer timer(context_);
        for (std::size_t p = 0; p < phases.size(); ++p) {
            api_.enter(p, phases[p].api);
            for (int i = 1; i <= readings; ++i) {
                timer.expires_at(time(phase_length_ * (static_cast<double>(p) + i / double{readings})));
                co_await timer.async_wait(asio::use_awaitable);
                seen_.limits[p].push_back(limit_());
            }
        }
    }

    asio::io_context& context_;
    client<Guard>& sender_;
    flaky_api& api_;
    const std::function<std::size_t()> limit_;
    const std::vector<arrival>& plan_;
    const seconds phase_length_;
    const clock::duration timeout_;
    clock::time_point start_{};
    observations seen_;
};

} // namespace api_client

#endif
