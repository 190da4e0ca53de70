// peers.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// The semaphores that the benchmark compares.

#ifndef FLOWGUARD_BENCHMARKS_PEERS_HPP
#define FLOWGUARD_BENCHMARKS_PEERS_HPP

#include <asio/any_io_executor.hpp>
#include <asio/error_code.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <cstddef>
#include <utility>

#include "contender.hpp"
#include "flowguard/dynamic_semaphore.hpp"
#include "mutex_semaphore.hpp"

struct flowguard_semaphore : flowguard::dynamic_semaphore {
    static constexpr const char* name = "dynamic_semaphore";
    static constexpr bool is_thread_safe = true;
    static constexpr std::int64_t most_cancelled = 1'000'000;

    using flowguard::dynamic_semaphore::basic_dynamic_semaphore;
};

// A common substitute for a semaphore. A permit is a message, and a caller acquires it by receiving the message.
template <class Channel>
class channel_semaphore {
public:
    static constexpr std::int64_t most_cancelled = 10'000; // each cancellation looks through all waiters

    channel_semaphore(asio::any_io_executor executor, std::size_t permits) : channel_(std::move(executor), permits) {
        for (std::size_t i = 0; i < permits; ++i)
            release();
    }

    template <class Token>
    auto async_acquire(Token&& token) {
        return channel_.async_receive(std::forward<Token>(token));
    }
    void release() { channel_.try_send(asio::error_code{}, 0); }

private:
    Channel channel_;
};

struct plain_channel_semaphore : channel_semaphore<asio::experimental::channel<void(asio::error_code, int)>> {
    static constexpr const char* name = "channel";
    static constexpr bool is_thread_safe = false;

    using channel_semaphore::channel_semaphore;
};

struct concurrent_channel_semaphore
    : channel_semaphore<asio::experimental::concurrent_channel<void(asio::error_code, int)>> {
    static constexpr const char* name = "concurrent_channel";
    static constexpr bool is_thread_safe = true;

    using channel_semaphore::channel_semaphore;
};

static_assert(contender<flowguard_semaphore> && contender<plain_channel_semaphore> &&
              contender<concurrent_channel_semaphore> && contender<mutex_semaphore>);

#endif
