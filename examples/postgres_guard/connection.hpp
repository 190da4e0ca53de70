// connection.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_CONNECTION_HPP
#define POSTGRES_GUARD_CONNECTION_HPP

#include <memory>
#include <string>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/system_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <libpq-fe.h>
#include <poll.h>

namespace postgres_guard {

struct free_result {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using result = std::unique_ptr<PGresult, free_result>;

/// The SQLSTATE of an error; a null pointer when there was none.
inline const char* sqlstate(const result& of) {
    return PQresultErrorField(of.get(), PG_DIAG_SQLSTATE);
}

struct free_connection {
    void operator()(PGconn* pg) const noexcept { PQfinish(pg); }
};
using connection_handle = std::unique_ptr<PGconn, free_connection>;

/// The socket of a connection. Asio waits for it, but libpq closes it.
class borrowed_socket {
public:
    borrowed_socket(const asio::any_io_executor& executor, const connection_handle& of)
        : socket_(executor, PQsocket(of.get())) {}
    borrowed_socket(borrowed_socket&&) = default;
    ~borrowed_socket() {
        if (socket_.is_open())
            socket_.release();
    }

    auto until_readable() { return socket_.async_wait(socket_.wait_read, asio::use_awaitable); }
    auto until_writable() { return socket_.async_wait(socket_.wait_write, asio::use_awaitable); }

private:
    asio::posix::stream_descriptor socket_;
};

/// A connection to PostgreSQL: libpq speaks the protocol, Asio waits for the socket. For one query at a time. After an
/// exception or a cancellation has interrupted a query, the connection cannot be used any more.
class connection {
public:
    /// Throws asio::system_error when the connection cannot be opened.
    static asio::awaitable<connection> open(std::string where) {
        connection_handle pg(PQconnectStart(where.c_str()));
        const auto executor = co_await asio::this_coro::executor;
        if (!pg || PQstatus(pg.get()) == CONNECTION_BAD)
            throw failure(asio::error::connection_refused, pg);
        for (auto need = PGRES_POLLING_WRITING; need != PGRES_POLLING_OK; need = PQconnectPoll(pg.get())) {
            if (need == PGRES_POLLING_FAILED)
                throw failure(asio::error::connection_refused, pg);
            // A new object for each wait: libpq may continue with another socket that has the same number.
            borrowed_socket socket(executor, pg);
            if (need == PGRES_POLLING_READING)
                co_await socket.until_readable();
            else
                co_await socket.until_writable();
        }
        PQsetnonblocking(pg.get(), 1);
        PQsetNoticeProcessor(pg.get(), [](void*, const char*) {}, nullptr); // by default, it writes to stderr
        co_return connection(executor, std::move(pg));
    }

    /// Returns what the server answers, errors included. For several statements, returns the first error, or else the
    /// last result. Throws asio::system_error when the connection is lost. Not for COPY.
    asio::awaitable<result> query(std::string sql) {
        if (PQsendQuery(pg_.get(), sql.c_str()) == 0)
            throw failure(asio::error::connection_reset, pg_);
        // The server reads the whole query before it answers, so there is no need to read while sending.
        for (int left = 0; (left = PQflush(pg_.get())) != 0;) {
            if (left < 0)
                throw failure(asio::error::connection_reset, pg_);
            co_await socket_.until_writable();
        }
        result answer;
        for (;;) {
            while (PQisBusy(pg_.get()) != 0) {
                co_await socket_.until_readable();
                if (PQconsumeInput(pg_.get()) == 0)
                    throw failure(asio::error::connection_reset, pg_);
            }
            result next(PQgetResult(pg_.get()));
            if (!next)
                break;
            if (!is_error(answer))
                answer = std::move(next);
        }
        // An error without an SQLSTATE is libpq's own, and has not come from the server.
        if (!answer || PQstatus(pg_.get()) != CONNECTION_OK || (is_error(answer) && sqlstate(answer) == nullptr))
            throw failure(asio::error::connection_reset, pg_);
        co_return answer;
    }

    /// Whether the server has closed the connection, or is about to. Between queries, the server sends nothing else.
    bool is_stale() const noexcept {
        pollfd socket{.fd = PQsocket(pg_.get()), .events = POLLIN, .revents = 0};
        return ::poll(&socket, 1, 0) != 0;
    }

private:
    connection(const asio::any_io_executor& executor, connection_handle pg)
        : pg_(std::move(pg)), socket_(executor, pg_) {}

    static bool is_error(const result& r) {
        return r && (PQresultStatus(r.get()) == PGRES_FATAL_ERROR || PQresultStatus(r.get()) == PGRES_BAD_RESPONSE);
    }

    static asio::system_error failure(asio::error::basic_errors code, const connection_handle& pg) {
        return {asio::error::make_error_code(code), pg ? PQerrorMessage(pg.get()) : "out of memory"};
    }

    connection_handle pg_;
    borrowed_socket socket_; // released before pg_ closes the socket
};

} // namespace postgres_guard

#endif
