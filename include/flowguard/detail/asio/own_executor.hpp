// own_executor.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP
#define FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP

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

} // namespace flowguard::detail

#endif
