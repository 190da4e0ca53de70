// http_status.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_HTTP_HTTP_STATUS_HPP
#define FLOWGUARD_HTTP_HTTP_STATUS_HPP

#include <concepts>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

#include "flowguard/outcome.hpp"

namespace flowguard {

/// Tells what the status of an HTTP response (RFC 9110, section 15; RFC 6585) says about the server's load.
///
/// - 429, 502, 503 and 504 are drops: servers and gateways answer them when they are overloaded.
/// - 1xx, 2xx, 3xx, 404 and 410 are successes: they cost the work of an answer.
/// - Any other status is ignored: the request was rejected before it was worked on, or the server has a fault.
constexpr outcome classify_http_status(unsigned status) noexcept {
    switch (status) {
    case 429:
    case 502:
    case 503:
    case 504:
        return outcome::dropped;
    case 404:
    case 410:
        return outcome::success;
    default:
        return status >= 100 && status < 400 ? outcome::success : outcome::ignored;
    }
}

/// A classifier by the HTTP status that `projection` finds in a result, as a number or an enumeration.
/// default_classifier classifies exceptions.
///
///     co_await guard.run(fetch(url), flowguard::by_http_status(&response::status));
template <class Projection = std::identity>
class by_http_status {
public:
    explicit by_http_status(Projection projection = {}) : projection_(std::move(projection)) {}

    template <class T>
        requires(!std::same_as<T, std::exception_ptr>) && std::invocable<const Projection&, const T&>
    outcome operator()(const T& result) const {
        return classify_http_status(static_cast<unsigned>(std::invoke(projection_, result)));
    }

private:
    Projection projection_;
};

} // namespace flowguard

#endif
