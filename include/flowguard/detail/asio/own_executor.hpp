// own_executor.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP
#define FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP

#include <stdexcept>
#include <type_traits>

#include "flowguard/detail/asio/asio.hpp"

namespace flowguard::detail {

// Stands for the executor of an operation: no handler names it.
struct executor_of_operation {};

// Whether a handler says itself through which executor it is called. Any other handler is called through the executor
// of the operation.
template <class Handler>
inline constexpr bool has_own_executor =
    !std::is_same_v<asio::associated_executor_t<Handler, executor_of_operation>, executor_of_operation>;

// Rejects a handler that no executor would call: neither the handler nor its guard has one.
template <class Handler>
void check_executor_of_handler(bool guard_has_one) {
    if constexpr (!has_own_executor<std::decay_t<Handler>>)
        if (!guard_has_one)
            throw std::invalid_argument("flowguard: a handler without an associated executor needs a guard that was "
                                        "made with an executor");
}

} // namespace flowguard::detail

#endif
