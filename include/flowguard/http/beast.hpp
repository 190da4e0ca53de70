// beast.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that use Boost.Beast, which is built on Boost.Asio: see flowguard::flowguard_boost. Not part of
// flowguard.hpp.

#ifndef FLOWGUARD_HTTP_BEAST_HPP
#define FLOWGUARD_HTTP_BEAST_HPP

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/status.hpp>

namespace flowguard {

/// The adapter for Boost.Beast: `http::request` with any body and fields, and `http::response` with any fields and a
/// body that may be empty when it is made, so not file_body or buffer_body. A handler with such a body returns an
/// `http::message_generator`; its status cannot be seen, so it counts as a success.
struct beast_http {
    template <class Body, class Fields>
    std::string_view header(const boost::beast::http::request<Body, Fields>& request, std::string_view name) const {
        const auto value = request[name];
        return {value.data(), value.size()};
    }

    template <class Body, class Fields>
    unsigned status(const boost::beast::http::response<Body, Fields>& response) const {
        return response.result_int();
    }

    /// A 503 without a body, that keeps the connection alive if the request does; gateway_timeout() makes such a 504.
    template <class Body, class Fields>
    auto unavailable(const boost::beast::http::request<Body, Fields>& request) const {
        return [version = request.version(), keep_alive = request.keep_alive()](std::chrono::seconds retry_after) {
            return answer_without_body{boost::beast::http::status::service_unavailable, version, keep_alive,
                                       retry_after};
        };
    }
    template <class Body, class Fields>
    auto gateway_timeout(const boost::beast::http::request<Body, Fields>& request) const {
        return [version = request.version(), keep_alive = request.keep_alive()] {
            return answer_without_body{boost::beast::http::status::gateway_timeout, version, keep_alive, {}};
        };
    }

private:
    // Converts to a response of the type that the handler returns.
    struct answer_without_body {
        boost::beast::http::status status;
        unsigned version;
        bool keep_alive;
        std::optional<std::chrono::seconds> retry_after;

        template <class Body, class Fields>
        operator boost::beast::http::response<Body, Fields>() const { // NOLINT(google-explicit-constructor)
            boost::beast::http::response<Body, Fields> response{status, version};
            if (retry_after)
                response.set(boost::beast::http::field::retry_after, std::to_string(retry_after->count()));
            response.keep_alive(keep_alive);
            response.prepare_payload();
            return response;
        }

        operator boost::beast::http::message_generator() const { // NOLINT(google-explicit-constructor)
            return boost::beast::http::response<boost::beast::http::empty_body>(*this);
        }
    };
};

} // namespace flowguard

#endif
