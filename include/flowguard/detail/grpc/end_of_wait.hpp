// end_of_wait.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GRPC_END_OF_WAIT_HPP
#define FLOWGUARD_DETAIL_GRPC_END_OF_WAIT_HPP

#include <memory>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

// The handler of the wait of a call of gRPC, which owns itself. When the wait has ended, it calls
// `has_waited(error, ticket)`. If it is destroyed uncalled, with its context or for lack of memory, it calls
// `was_given_up()`. The call has also `guard()`, and `leaves()`, the signal that ends the wait.
template <class Guard, class Call>
class end_of_wait {
public:
    using executor_type = typename Guard::executor_type;
    using cancellation_slot_type = asio::cancellation_slot;

    explicit end_of_wait(Call& call) noexcept : call_(&call) {}

    executor_type get_executor() const noexcept { return call_->guard().get_executor(); }
    cancellation_slot_type get_cancellation_slot() const noexcept { return call_->leaves().slot(); }

    void operator()(error_code error, typename Guard::ticket admitted) {
        call_.release()->has_waited(error, std::move(admitted));
    }

private:
    struct give_up {
        void operator()(Call* call) const { call->was_given_up(); }
    };

    std::unique_ptr<Call, give_up> call_;
};

} // namespace flowguard::detail

#endif
