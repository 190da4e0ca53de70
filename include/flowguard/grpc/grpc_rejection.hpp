// grpc_rejection.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that use gRPC. Not part of flowguard.hpp.

#ifndef FLOWGUARD_GRPC_GRPC_REJECTION_HPP
#define FLOWGUARD_GRPC_GRPC_REJECTION_HPP

#include <algorithm>
#include <chrono>
#include <new>
#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/status_code_enum.h>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/math.hpp"
#include "flowguard/detail/grpc/status_in_any_case.hpp"
#include "flowguard/error.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/http/retry_after.hpp"

namespace flowguard {

/// When a rejected client should try again, for the trailer `grpc-retry-pushback-ms` (gRPC proposal A6, Pushback).
///
/// As retry_after(), but in milliseconds: the least value is the time to serve all present calls, clamped to
/// [100 ms, 60 s]. `jitter`, a random number in [0, 1), spreads the values evenly between one and three times that.
inline std::chrono::milliseconds grpc_retry_pushback(const guard_stats& now, double jitter) noexcept {
    const double least = std::clamp(detail::math::ceil(detail::seconds_to_serve_all(now) * 1000), 100.0, 60'000.0);
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(least + jitter * 2 * least));
}

/// The same, with a random number from a generator of the calling thread.
inline std::chrono::milliseconds grpc_retry_pushback(const guard_stats& now) {
    return grpc_retry_pushback(now, detail::jitter());
}

namespace detail {

// Does not allocate.
inline ::grpc::StatusCode grpc_code_of(const error_code& why) noexcept {
    if (why == asio::error::operation_aborted)
        return ::grpc::StatusCode::CANCELLED;
    const bool no_permit = is_flowguard_error(why) && (why.value() == static_cast<int>(error::shed) ||
                                                       why.value() == static_cast<int>(error::wait_timeout));
    return no_permit ? ::grpc::StatusCode::RESOURCE_EXHAUSTED : ::grpc::StatusCode::UNAVAILABLE;
}

} // namespace detail

/// The status of a call that a guard did not admit, for that reason.
///
/// - RESOURCE_EXHAUSTED for `error::shed` and `error::wait_timeout`: there was no permit. The client may try again,
///   here too, but later.
/// - UNAVAILABLE for `error::closed` and for any other error: this server serves no more calls.
/// - CANCELLED for `operation_aborted`: the call was cancelled while it waited.
///
/// If there is no memory for the status' message, the status has none.
inline ::grpc::Status grpc_rejection(const error_code& why) noexcept {
    const ::grpc::StatusCode code = detail::grpc_code_of(why);
    if (code == ::grpc::StatusCode::CANCELLED)
        return detail::status_in_any_case(code, "cancelled while it waited for a permit");
    return detail::status_in_any_case(code, [&why] { return why.message(); });
}

/// The same in a server. Unless the call was cancelled, puts `grpc-retry-pushback-ms` into its trailers, so call it
/// before the status is sent. `context` is that of any of gRPC's server APIs. If there is no memory for the trailer,
/// the call ends without it.
inline ::grpc::Status grpc_rejection(::grpc::ServerContextBase& context, const guard_stats& now,
                                     const error_code& why) {
    try {
        if (why != asio::error::operation_aborted)
            context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(grpc_retry_pushback(now).count()));
    } catch (const std::bad_alloc&) { // the rejection matters more
    }
    return grpc_rejection(why);
}

} // namespace flowguard

#endif
