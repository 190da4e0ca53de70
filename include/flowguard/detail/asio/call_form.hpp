// call_form.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The forms of a guarded call: run(), run_as_tuple(), try_run() and try_run_for(). A form says how long the call may
// wait for a permit, what it returns for a task with the result T, and how it tells its caller that it was rejected.

#ifndef FLOWGUARD_DETAIL_ASIO_CALL_FORM_HPP
#define FLOWGUARD_DETAIL_ASIO_CALL_FORM_HPP

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/task_traits.hpp"

namespace flowguard::detail {

// How long a call may wait, besides its deadline and the guard's max_wait.

struct waits_at_will {
    static constexpr bool waits = true;

    template <class Clock>
    static constexpr typename Clock::time_point end_of_wait() noexcept {
        return (Clock::time_point::max)();
    }
};

struct never_waits {
    static constexpr bool waits = false;
};

template <class Duration>
struct waits_for {
    static constexpr bool waits = true;

    template <class Clock>
    typename Clock::time_point end_of_wait() const noexcept {
        return after<Clock>(saturated_cast<typename Clock::duration>(longest)).time;
    }

    Duration longest;
};

// run(): returns the result itself. A rejection is thrown.
struct throwing_form : waits_at_will {
    static constexpr bool throws = true;

    template <class T>
    using returned = T;

    template <class T>
    [[noreturn]] static T rejected(const error_code& why) {
        throw system_error(why);
    }

    // For a call that was admitted, and then ended by the guard.
    template <class T>
    [[noreturn]] static T failed(const error_code& why) {
        throw system_error(why);
    }

    static void done() noexcept {}
    template <class T>
    static T&& done(T&& result) noexcept {
        return std::forward<T>(result);
    }
};

// run_as_tuple(): returns an error, and the result if the task has one.
struct tuple_form : waits_at_will {
    static constexpr bool throws = false;

    template <class T>
    using returned =
        std::conditional_t<std::is_void_v<T>, std::tuple<error_code>, std::tuple<error_code, std::optional<T>>>;

    template <class T>
    static returned<T> rejected(const error_code& why) {
        returned<T> r;
        std::get<0>(r) = why;
        return r;
    }

    template <class T>
    static returned<T> failed(const error_code& why) {
        return rejected<T>(why);
    }

    static std::tuple<error_code> done() noexcept { return {}; }
    template <class T>
    static returned<T> done(T&& result) {
        return {error_code(), std::optional<T>(std::in_place, std::forward<T>(result))};
    }
};

// try_run() and try_run_for(): return an optional result, or whether the task ran if it has no result. Only a call
// whose guard was destroyed, or that was cancelled, ends with an exception.
template <class Wait>
struct attempt_form : Wait {
    static constexpr bool throws = false;

    template <class T>
    using returned = std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>;

    template <class T>
    static returned<T> rejected(const error_code& why) {
        if (why == asio::error::operation_aborted)
            throw system_error(why);
        return {};
    }

    template <class T>
    [[noreturn]] static returned<T> failed(const error_code& why) {
        throw system_error(why);
    }

    static bool done() noexcept { return true; }
    template <class T>
    static returned<T> done(T&& result) {
        return std::optional<T>(std::in_place, std::forward<T>(result));
    }
};

// The coroutine that a call of a form is, if it runs a task of the type Task.
template <class Form, class Task>
using call_of_form =
    asio::awaitable<typename Form::template returned<typename awaited<Task>::result>, typename awaited<Task>::executor>;

} // namespace flowguard::detail

#endif
