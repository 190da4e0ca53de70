// classify.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_CLASSIFY_HPP
#define FLOWGUARD_CLASSIFY_HPP

#include <concepts>
#include <exception>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/error.hpp"
#include "flowguard/outcome.hpp"

namespace flowguard {

/// Tells what an error says about the load. No error is a success. `operation_aborted`, a cancellation by the caller,
/// is ignored. FlowGuard's own errors, from a guard or semaphore inside the task, are ignored as well: the inner one
/// has a limit of its own, and one overload should not lower two limits. Any other error is a drop.
inline outcome classify(const error_code& error) noexcept {
    if (!error)
        return outcome::success;
    // An error_code from elsewhere equals the condition; one of standalone Asio's own category does not.
    const bool cancelled = error == asio::error::operation_aborted || error == detail::system::errc::operation_canceled;
    const bool says_nothing = cancelled || is_flowguard_error(error);
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

} // namespace detail

/// Tells flow_guard what the end of a task says about the load, unless you pass another classifier.
///
/// - An exception: a system_error is classified by its code; any other exception is a drop.
/// - A result that is an error_code, or a tuple that begins with one, as with Asio's `as_tuple`: classified by that
///   code.
/// - A result like std::expected: a value is a success; an error that is an error_code is classified by that code; any
///   other error is a drop.
/// - Any other result, and no result: a success.
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
        try {
            std::rethrow_exception(std::move(exception));
        } catch (const std::exception& e) {
            if (const auto* with_code = dynamic_cast<const system_error*>(&e))
                return classify(with_code->code());
            if (const auto* with_code = dynamic_cast<const std::system_error*>(&e)) // the same, unless on Boost.Asio
                return classify(with_code->code());
            return outcome::dropped;
        } catch (...) {
            return outcome::dropped;
        }
    }

    template <class T>
    outcome operator()(const T& result) const noexcept {
        if constexpr (std::convertible_to<const T&, const error_code&>) {
            return classify(result);
        } else if constexpr (detail::error_first_tuple<T>) {
            return classify(std::get<0>(result));
        } else if constexpr (detail::expected_like<T>) {
            if (result.has_value())
                return outcome::success;
            if constexpr (std::convertible_to<decltype(result.error()), const error_code&>)
                return classify(result.error());
            else
                return outcome::dropped;
        } else {
            return outcome::success;
        }
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

} // namespace detail
} // namespace flowguard

#endif
