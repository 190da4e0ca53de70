// call_deadline.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GRPC_CALL_DEADLINE_HPP
#define FLOWGUARD_DETAIL_GRPC_CALL_DEADLINE_HPP

#include <chrono>

#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// The deadline of a call, which gRPC tells in the time of the system, as the time that is left at its arrival. gRPC
// computes it from what the client says. If the client asks for centuries, the sum overflows, and may be any time.
class call_deadline {
public:
    using clock = std::chrono::system_clock;

    // `deadline` is time_point::max() if the call has none, as ServerContextBase::deadline() returns it.
    call_deadline(clock::time_point deadline, clock::time_point arrival) noexcept
        : deadline_(deadline), arrival_(arrival) {}

    bool exists() const noexcept { return deadline_ != (clock::time_point::max)(); }

    // In the time of a guard. Only the time that is left counts: the system's clock may be set meanwhile.
    template <class Clock>
    typename Clock::time_point in_time_of() const noexcept {
        if (!exists())
            return (Clock::time_point::max)();
        return after<Clock>(saturated_cast<typename Clock::duration>(left_at_arrival())).time;
    }

    // Whether a client that is gone now has left because its time was over. It counts from when it has sent the call,
    // and the server from when it has received the call. So the client leaves before the server's deadline, by the time
    // that the call was under way. The last tenth of the call's time allows for that.
    bool explains_cancellation(clock::time_point now) const noexcept {
        return exists() &&
               now.time_since_epoch() >= saturated_difference(deadline_.time_since_epoch(), left_at_arrival() / 10);
    }

private:
    clock::duration left_at_arrival() const noexcept {
        return saturated_difference(deadline_.time_since_epoch(), arrival_.time_since_epoch());
    }

    clock::time_point deadline_;
    clock::time_point arrival_;
};

} // namespace flowguard::detail

#endif
