// try_to_admit.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GRPC_TRY_TO_ADMIT_HPP
#define FLOWGUARD_DETAIL_GRPC_TRY_TO_ADMIT_HPP

#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

// Admits a call of gRPC if it need not wait. Returns why the call is rejected; if it is not, and has no ticket, it may
// wait. Throws std::invalid_argument if its options are out of range.
template <class Guard, class Options>
error_code try_to_admit(Guard& guard, const Options& how, typename Guard::ticket& admitted) {
    if (has_passed<typename Guard::clock_type>(how.deadline)) {
        static_cast<void>(guard.try_acquire(how)); // counts it
        return error::wait_timeout;
    }
    if (!how.long_lived) {
        admitted = guard.acquire_if_free(how);
        return {};
    }
    admitted = guard.try_acquire(how);
    if (admitted)
        return {};
    return guard.is_closed() ? error::closed : error::shed;
}

} // namespace flowguard::detail

#endif
