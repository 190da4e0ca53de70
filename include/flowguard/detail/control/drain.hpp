// drain.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_DRAIN_HPP
#define FLOWGUARD_DETAIL_CONTROL_DRAIN_HPP

#include <chrono>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/own_executor.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/detail/semaphore/wait_operation.hpp"
#include "flowguard/drain_options.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

// What makes a wait_operation a drain. It never has a permit.
struct drain_delivery {
    semaphore_state* of;
    bool ends_waiters;

    semaphore_state& state() const noexcept { return *of; }
    static lane_number lane() noexcept { return lane_number(); }
    static void release(std::size_t) noexcept {}

    // The drain, and this delivery in it, may be gone when this returns.
    wait_start wait(waiter& w) const noexcept {
        of->drain(w, ends_waiters);
        return wait_start::queued;
    }

    template <class Handler>
    static void deliver(Handler& handler, error_code error, std::size_t, std::chrono::nanoseconds) {
        std::move(handler)(error == make_error_code(error::wait_timeout) ? make_error_code(error::drain_timeout)
                                                                         : error);
    }
};

// Starts a drain. The time-out counts from here.
template <class Clock>
struct initiate_drain {
    using executor_type = asio::any_io_executor;
    executor_type executor;
    bool serves_any_handler; // whether the executor is for handlers that have none
    semaphore_state* state;

    executor_type get_executor() const noexcept { return executor; }

    template <class Handler>
    void operator()(Handler&& handler, const drain_options& options) const {
        check_executor_of_handler<Handler>(serves_any_handler);
        with_timing<Clock>(end_after<Clock>(options.timeout), [&](const auto& timing) {
            using timing_type = std::remove_cvref_t<decltype(timing)>;
            wait_operation<std::decay_t<Handler>, executor_type, drain_delivery, timing_type>::wait(
                std::forward<Handler>(handler), executor, drain_delivery{state, !options.serves_waiting}, 0, timing);
        });
    }
};

} // namespace flowguard::detail

#endif
