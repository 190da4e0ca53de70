// grpc_status.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that use gRPC. Not part of flowguard.hpp.

#ifndef FLOWGUARD_GRPC_GRPC_STATUS_HPP
#define FLOWGUARD_GRPC_GRPC_STATUS_HPP

#include <grpcpp/support/status.h>
#include <grpcpp/support/status_code_enum.h>

#include "flowguard/outcome.hpp"

namespace flowguard {

/// Tells what the status of a call of gRPC says about the server's load.
///
/// | code | outcome | reason |
/// |---|---|---|
/// | OK | success | it cost the work of an answer |
/// | NOT_FOUND, ALREADY_EXISTS | success | the server had to look |
/// | RESOURCE_EXHAUSTED | dropped | a quota, memory, or a limit further inside is used up |
/// | UNAVAILABLE | dropped | what the server needs did not answer |
/// | DEADLINE_EXCEEDED | dropped | it took longer than the client waits |
/// | CANCELLED | ignored | the client does not want the answer any more |
/// | INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE | ignored | a check rejected it before it was worked on |
/// | UNAUTHENTICATED, PERMISSION_DENIED | ignored | the same |
/// | ABORTED | ignored | it was in conflict with another call, under any load |
/// | UNIMPLEMENTED, INTERNAL, DATA_LOSS, UNKNOWN | ignored | a fault of the program or its data |
///
/// Any other number is ignored. Complexity: O(1).
constexpr outcome classify_grpc_status(::grpc::StatusCode code) noexcept {
    switch (code) {
    case ::grpc::StatusCode::OK:
    case ::grpc::StatusCode::NOT_FOUND:
    case ::grpc::StatusCode::ALREADY_EXISTS:
        return outcome::success;
    case ::grpc::StatusCode::RESOURCE_EXHAUSTED:
    case ::grpc::StatusCode::UNAVAILABLE:
    case ::grpc::StatusCode::DEADLINE_EXCEEDED:
        return outcome::dropped;
    default:
        return outcome::ignored;
    }
}
inline outcome classify_grpc_status(const ::grpc::Status& status) {
    return classify_grpc_status(status.error_code());
}

} // namespace flowguard

#endif
