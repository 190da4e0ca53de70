// pool.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_POOL_HPP
#define POSTGRES_GUARD_POOL_HPP

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include <asio/awaitable.hpp>
#include <flowguard.hpp>

#include "connection.hpp"

namespace postgres_guard {

using clock = std::chrono::steady_clock;

/// The result of a query.
struct reply {
    result answer;
    clock::duration rtt{}; ///< from admission to the answer

    bool ok() const { return sqlstate(answer) == nullptr; }
};

/// Classifies a reply by what it says of the database's load. A lost connection is an exception, which the guard counts
/// as a drop by itself.
struct classify_reply {
    flowguard::outcome operator()(const reply& r) const noexcept {
        return flowguard::classify_sqlstate(sqlstate(r.answer));
    }
};

/// Connections to a database. The guard finds how many of them should be in use at once. The pool itself has no size:
/// it keeps the connections that the guard lets it open. For one thread.
template <class Guard>
class pool {
public:
    pool(std::string where, Guard& guard) : where_(std::move(where)), guard_(guard) {}

    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    /// Waits for a permit, then for the answer. Throws asio::system_error when the connection is lost or cannot be
    /// opened, or when that and the answer take longer than `longest`: a server that was killed may leave a connection
    /// that nobody ends. Errors that the server reports are in the reply.
    asio::awaitable<reply> query(std::string sql) {
        return guard_.run(flowguard::run_options{.timeout = longest, .classify = classify_reply{}}, &pool::perform,
                          this, std::move(sql));
    }

    std::size_t idle() const noexcept { return idle_.size(); }

private:
    static constexpr auto longest = std::chrono::seconds(30);
    static constexpr auto timeout = std::chrono::seconds(10); // of an idle connection

    struct idle_connection {
        connection link;
        clock::time_point since;
    };

    asio::awaitable<reply> perform(std::string sql) {
        const auto admitted = clock::now();
        while (!idle_.empty() && idle_.back().link.is_stale())
            idle_.pop_back();
        const bool connects = idle_.empty();
        std::optional<connection> link; // a connection that fails is closed with this frame
        if (connects)
            link.emplace(co_await connection::open(where_));
        else
            link.emplace(take());
        result answer = co_await link->query(std::move(sql));
        keep(std::move(*link));
        co_return reply{.answer = std::move(answer), .rtt = clock::now() - admitted};
    }

    connection take() {
        connection link = std::move(idle_.back().link);
        idle_.pop_back();
        return link;
    }

    // The connection that was used last is used again first. So connections that a higher limit has left over grow old,
    // and are closed.
    void keep(connection link) {
        const auto now = clock::now();
        idle_.push_back({std::move(link), now});
        while (now - idle_.front().since > timeout)
            idle_.pop_front();
    }

    std::string where_;
    Guard& guard_;
    std::deque<idle_connection> idle_;
};

} // namespace postgres_guard

#endif
