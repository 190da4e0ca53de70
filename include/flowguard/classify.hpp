// classify.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_CLASSIFY_HPP
#define FLOWGUARD_CLASSIFY_HPP

#include <concepts>
#include <exception>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/error.hpp"
#include "flowguard/outcome.hpp"

namespace flowguard {

namespace detail {

// Whether an error says that its operation was cancelled. An error_code from elsewhere equals the condition; one of
// standalone Asio's own category does not.
inline bool is_cancellation(const error_code& error) noexcept {
    return error == asio::error::operation_aborted || error == system::errc::operation_canceled;
}

} // namespace detail

/// Tells what an error says about the load. No error is a success. `operation_aborted`, a cancellation by the caller,
/// is ignored. FlowGuard's own errors, from a guard or semaphore inside the task, are ignored as well: the inner one
/// has a limit of its own, and one overload should not lower two limits. Any other error is a drop.
inline outcome classify(const error_code& error) noexcept {
    if (!error)
        return outcome::success;
    const bool says_nothing = detail::is_cancellation(error) || is_flowguard_error(error);
    return says_nothing ? outcome::ignored : outcome::dropped;
}

namespace detail {

template <class T>
concept error_first_tuple = requires { requires std::tuple_size<T>::value > 0; } && requires(const T& result) {
    { std::get<0>(result) } -> std::convertible_to<const error_code&>;
};

template <class T>
concept expected_like = requires(const T& result) {
    { result.has_value() } -> std::convertible_to<bool>;
    result.error();
};

template <class T>
concept expected_or_code = expected_like<T> && requires(const T& result) {
    requires std::convertible_to<decltype(result.error()), error_code>;
};

// A result that says by an error_code how the task ended.
template <class T>
concept with_code = std::convertible_to<const T&, const error_code&> || error_first_tuple<T> || expected_or_code<T>;

template <with_code T>
error_code code_of(const T& result) {
    if constexpr (std::convertible_to<const T&, const error_code&>)
        return result;
    else if constexpr (error_first_tuple<T>)
        return std::get<0>(result);
    else
        return result.has_value() ? error_code() : error_code(result.error());
}

// The code of the exception that is handled now, if it is a SystemError; none otherwise.
template <class SystemError>
std::optional<error_code> code_of_current() noexcept {
    try {
        throw;
    } catch (const SystemError& e) {
        return e.code();
    } catch (...) {
        return std::nullopt;
    }
}

// The code of a system_error; none for any other exception. There is no dynamic_cast: it would need RTTI.
inline std::optional<error_code> code_of(std::exception_ptr exception) noexcept {
    try {
        std::rethrow_exception(std::move(exception));
    } catch (const system_error& e) {
        return e.code();
    } catch (...) {
        if constexpr (std::is_same_v<system_error, std::system_error>)
            return std::nullopt;
        else
            return code_of_current<std::system_error>(); // with Boost.Asio, system_error is another type
    }
}

} // namespace detail

/// Tells flow_guard what the end of a task says about the load, unless you pass another classifier.
///
/// - An exception: a system_error is classified by its code; any other exception is a drop.
/// - A result that is an error_code, or a tuple that begins with one, as with Asio's `as_tuple`: classified by that
///   code.
/// - A result like std::expected: a value is a success; an error that is an error_code is classified by that code; any
///   other error is a drop.
/// - A result that is a std::exception_ptr: null is a success; otherwise it is classified as that exception.
/// - Any other result, and no result: a success.
///
/// Cancellation is ignored only if the caller of flow_guard::run() was cancelled. If a task ends with
/// `operation_aborted`, and its caller was not cancelled, then a time-out inside the task has cancelled it, such as
/// Asio's `cancel_after`. That is a drop.
///
/// A classifier of your own is any callable that returns an outcome, and takes `const T&`, the result (or nothing, for
/// a task without a result), or `std::exception_ptr`, or both. If it takes only one of them, default_classifier is used
/// for the other. A callable that takes neither does not compile. A generic lambda would take an exception_ptr, too:
/// constrain it, or name the type. A classifier is called once for a task. If it throws, its exception reaches the
/// caller in place of the result or of the task's exception, and the task counts as ignored.
///
///     co_await guard.run(fetch(url), [](const response& r) {
///         return r.status == 503 ? flowguard::outcome::dropped : flowguard::outcome::success;
///     });
struct default_classifier {
    outcome operator()() const noexcept { return outcome::success; }

    outcome operator()(std::exception_ptr exception) const noexcept {
        if (exception == nullptr) // the result of a task, which tells so that nothing was thrown
            return outcome::success;
        const std::optional<error_code> code = detail::code_of(std::move(exception));
        return code ? classify(*code) : outcome::dropped;
    }

    template <class T>
    outcome operator()(const T& result) const noexcept {
        if constexpr (detail::with_code<T>)
            return classify(detail::code_of(result));
        else if constexpr (detail::expected_like<T>)
            return result.has_value() ? outcome::success : outcome::dropped;
        else
            return outcome::success;
    }
};

namespace detail {

template <class Exception>
bool holds(const std::exception_ptr& exception) noexcept {
    try {
        std::rethrow_exception(exception);
    } catch (const Exception&) {
        return true;
    } catch (...) {
        return false;
    }
}

} // namespace detail

/// A classifier for tasks that throw for other reasons than overload, such as `not_found`: only exceptions of these
/// types, or derived from them, can be drops. They are classified as by default_classifier. Any other exception is
/// ignored, since the task may have thrown it before it asked the service for anything. Results are classified as by
/// default_classifier. One more end is a drop, whatever the listed types: `operation_aborted` although the caller was
/// not cancelled.
///
///     co_await guard.run(query_database(), flowguard::drops_only<flowguard::system_error>());
template <class... Exceptions>
struct drops_only {
    static_assert(sizeof...(Exceptions) != 0, "drops_only needs the types of the exceptions that can be drops");

    outcome operator()(const std::exception_ptr& exception) const noexcept {
        if (exception == nullptr)
            return outcome::success;
        return (detail::holds<Exceptions>(exception) || ...) ? default_classifier{}(exception) : outcome::ignored;
    }
};

namespace detail {

template <class Classifier, class... Args>
concept classifies = std::is_invocable_r_v<outcome, Classifier&, const Args&...>;

// Whether a classifier takes at least one way in which a task with this result may end.
template <class Classifier, class Result>
concept classifies_task = classifies<Classifier, std::exception_ptr> || classifies<Classifier, Result> ||
                          (std::is_void_v<Result> && classifies<Classifier>);

template <class Classifier, class... Args>
outcome classify_by(Classifier& classifier, const Args&... args) {
    if constexpr (classifies<Classifier, Args...>)
        return classifier(args...);
    else
        return default_classifier{}(args...);
}

// Whether default_classifier judges the cancellations among such ends of a task.
template <class Classifier, class... Args>
inline constexpr bool is_judged_by_default = !classifies<Classifier, Args...>;
template <class... Args>
inline constexpr bool is_judged_by_default<default_classifier, Args...> = true;
template <class... Exceptions, class... Args>
inline constexpr bool is_judged_by_default<drops_only<Exceptions...>, Args...> = true;

} // namespace detail
} // namespace flowguard

#endif
