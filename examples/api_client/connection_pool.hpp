// connection_pool.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_CONNECTION_POOL_HPP
#define API_CLIENT_CONNECTION_POOL_HPP

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace api_client {

namespace asio = boost::asio;

/// Connections that are open and idle. It limits the idle ones alone: how many there are at once is the guard's affair.
///
/// *Thread safety.* Safe. A connection has a strand of its own, and is only used and destroyed in it: its time-outs
/// run there.
class connection_pool {
public:
    struct connection {
        explicit connection(asio::io_context& context) : stream(asio::make_strand(context)) {}

        boost::beast::tcp_stream stream;
        boost::beast::flat_buffer buffer;
    };
    using pointer = std::unique_ptr<connection>;

    explicit connection_pool(asio::io_context& context) : context_(context) { idle_.reserve(most_idle); }

    /// The one that was used last, as the others are then left to age, or a new one, which is not connected.
    pointer take() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                pointer last = std::move(idle_.back());
                idle_.pop_back();
                return last;
            }
        }
        return std::make_unique<connection>(context_);
    }

    /// To be called in its strand.
    void give_back(pointer c) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < most_idle)
            idle_.push_back(std::move(c));
    }

private:
    static constexpr std::size_t most_idle = 64;

    asio::io_context& context_;
    std::mutex mutex_; // never held for more than this
    std::vector<pointer> idle_;
};

} // namespace api_client

#endif
