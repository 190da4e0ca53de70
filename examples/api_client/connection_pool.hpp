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

/// Keeps connections that are open and idle. It limits only the idle ones; the guard limits how many are in use.
///
/// *Thread safety.* Safe. A connection has a strand of its own, in which its time-outs run. It is used and destroyed
/// only in that strand.
class connection_pool {
public:
    struct connection {
        explicit connection(asio::io_context& context) : stream(asio::make_strand(context)) {}

        boost::beast::tcp_stream stream;
        boost::beast::flat_buffer buffer;
    };
    using pointer = std::unique_ptr<connection>;

    explicit connection_pool(asio::io_context& context) : context_(context) { idle_.reserve(most_idle); }

    /// Returns the connection that was used last, so that the others can age. If none is idle, returns a new one, which
    /// is not connected yet.
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

    /// To be called in the strand of the connection.
    void release(pointer c) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < most_idle)
            idle_.push_back(std::move(c));
    }

private:
    static constexpr std::size_t most_idle = 64;

    asio::io_context& context_;
    std::mutex mutex_; // for idle_ only
    std::vector<pointer> idle_;
};

} // namespace api_client

#endif
