// own_executor.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP
#define FLOWGUARD_DETAIL_ASIO_OWN_EXECUTOR_HPP

#include <stdexcept>
#include <type_traits>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/completion_executor.hpp"

namespace flowguard::detail {

// Stands for the executor of an operation: no handler names it.
struct executor_of_operation {};

// Whether a handler completes through an executor of its own. Any other handler completes through the executor of the
// operation, also one whose own executor takes no posts.
template <class Handler, class Executor = asio::associated_executor_t<Handler, executor_of_operation>>
inline constexpr bool has_own_executor = takes_posts<Executor>;
template <class Handler>
inline constexpr bool has_own_executor<Handler, executor_of_operation> = false;

// Rejects a handler that no executor would call: neither the handler nor its guard has one.
template <class Handler>
void check_executor_of_handler(bool guard_has_one) {
    if constexpr (!has_own_executor<std::decay_t<Handler>>)
        if (!guard_has_one)
            throw std::invalid_argument(
                "flowguard: a handler without an associated executor, or with one that takes no "
                "posts, needs a guard that was made with an executor");
}

} // namespace flowguard::detail

#endif
