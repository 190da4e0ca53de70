// coroutine.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What tests need to start coroutines, hold them up, and see how they ended, step by step.

#ifndef FLOWGUARD_SUPPORT_COROUTINE_HPP
#define FLOWGUARD_SUPPORT_COROUTINE_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/asio.hpp"

namespace support {

// Runs the handlers that are ready, and returns how many ran.
inline std::size_t poll(asio::io_context& context) {
    context.restart();
    return context.poll();
}

// How a coroutine ended.
template <class T>
struct ending {
    bool done = false;
    std::exception_ptr exception;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value; // true for void

    bool succeeded() const { return done && exception == nullptr; }

    // The code of the system_error that it ended with; none otherwise.
    flowguard::error_code code() const {
        try {
            if (exception)
                std::rethrow_exception(exception);
        } catch (const asio::system_error& e) {
            return e.code();
        } catch (...) { // none
        }
        return {};
    }
};

template <class T, class Executor>
asio::awaitable<void, Executor> watch(asio::awaitable<T, Executor> task, std::shared_ptr<ending<T>> end) {
    try {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
            end->value = true;
        } else {
            end->value.emplace(co_await std::move(task));
        }
    } catch (...) {
        end->exception = std::current_exception();
    }
    end->done = true;
}

// Starts a coroutine. The returned object is filled in when the coroutine ends. `signal`, if given, cancels the
// coroutine.
template <class T, class Executor>
std::shared_ptr<const ending<T>> start(asio::io_context& context, asio::awaitable<T, Executor> task,
                                       asio::cancellation_signal* signal = nullptr) {
    auto end = std::make_shared<ending<T>>();
    const auto slot = signal != nullptr ? signal->slot() : asio::cancellation_slot();
    asio::co_spawn(context.get_executor(), watch(std::move(task), end),
                   asio::bind_cancellation_slot(slot, asio::detached));
    return end;
}

// Holds coroutines up until a test lets them through. A gate must be destroyed before its context.
class gate {
public:
    explicit gate(asio::io_context& context) : timer_(context, asio::steady_timer::time_point::max()) {}

    // Suspends until a test lets the coroutine through. It can be cancelled meanwhile.
    asio::awaitable<void> pass() {
        flowguard::error_code ignored;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            throw asio::system_error(asio::error::operation_aborted);
    }

    // Lets the coroutine through that has been waiting for longest; returns false if none waits.
    bool let_one() { return timer_.cancel_one() == 1; }

    // Lets all coroutines through that are waiting now, and returns how many.
    std::size_t let_all() { return timer_.cancel(); }

private:
    asio::steady_timer timer_; // never expires
};

} // namespace support

#endif
