// load.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_LOAD_HPP
#define BEAST_SERVER_LOAD_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <stop_token>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http.hpp"

namespace beast_server {

/// Requests that the server makes itself, so that there is something to see without a client. They arrive at random
/// times and do not wait for each other, like those of a crowd of users. The rate may be changed from any thread.
class made_up_load {
public:
    explicit made_up_load(unsigned rate) : rate_(rate) {}

    void set_rate(unsigned rate) { rate_ = rate; }
    unsigned rate() const { return rate_; }

    /// Calls `arrive()` rate() times a second, on average, until it is stopped.
    template <class Arrive>
    asio::awaitable<void> run(Arrive arrive, std::stop_token stop) {
        using clock = std::chrono::steady_clock;
        using seconds = std::chrono::duration<double>;
        constexpr clock::duration step = std::chrono::milliseconds(50); // a new rate takes effect within it
        std::mt19937_64 random{std::random_device{}()};
        std::exponential_distribution<double> gap;
        asio::steady_timer timer(co_await asio::this_coro::executor);
        auto now = clock::now();
        // The time to the next arrival is counted in mean gaps, so that the rate may change before it.
        for (double gaps = gap(random); !stop.stop_requested();) {
            const double rate = rate_;
            const auto wait = rate > 0 ? std::chrono::duration_cast<clock::duration>(seconds(gaps / rate)) : step;
            timer.expires_at(now + std::clamp(wait, clock::duration(1), step));
            co_await timer.async_wait(asio::use_awaitable);
            // If the process was held up, it does not make up for the arrivals that it has missed.
            const auto then = std::exchange(now, std::max(timer.expiry(), clock::now() - step));
            for (gaps -= rate * seconds(now - then).count(); gaps <= 0; gaps += gap(random))
                arrive();
        }
    }

private:
    std::atomic<unsigned> rate_;
};

} // namespace beast_server

#endif
