// status_in_any_case.hpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GRPC_STATUS_IN_ANY_CASE_HPP
#define FLOWGUARD_DETAIL_GRPC_STATUS_IN_ANY_CASE_HPP

#include <new>
#include <string>

#include <grpcpp/support/status.h>
#include <grpcpp/support/status_code_enum.h>

namespace flowguard::detail {

// A status with what `make_message()` returns; without a message if there is no memory for it. An exception must not
// pass through gRPC, and the handler of a wait may be destroyed just because there is no memory.
template <class MakeMessage>
::grpc::Status status_in_any_case(::grpc::StatusCode code, MakeMessage make_message) noexcept {
    try {
        return {code, make_message()};
    } catch (const std::bad_alloc&) {
        return {code, std::string()};
    }
}
inline ::grpc::Status status_in_any_case(::grpc::StatusCode code, const char* message) noexcept {
    return status_in_any_case(code, [message] { return std::string(message); });
}

} // namespace flowguard::detail

#endif
