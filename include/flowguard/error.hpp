// error.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_ERROR_HPP
#define FLOWGUARD_ERROR_HPP

#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/visibility.hpp"

namespace flowguard {

/// The errors that FlowGuard itself reports. A waiter that is cancelled, or whose semaphore is
/// destroyed, gets Asio's own `asio::error::operation_aborted`.
enum class error {
    closed = 1,       ///< the semaphore or guard was closed
    wait_timeout = 2, ///< no permit came in time
    shed = 3,         ///< rejected in an overload: too many wait, or the call has waited too long
    task_timeout = 4, ///< the task was cancelled, because it took too long
    drain_timeout = 5 ///< a drain has taken too long: tasks are still in flight, or callers wait
};

/// The category of `flowguard::error`, named "flowguard". Thread-safe.
///
/// A program and the shared libraries that it is linked with share one such object, even if they hide their symbols
/// (-fvisibility=hidden). A library that is loaded with dlopen() and RTLD_LOCAL may have a category of its own, unless
/// g++ compiled it. is_flowguard_error() recognises its errors, but they do not compare equal to those of others.
FLOWGUARD_DETAIL_VISIBLE inline const detail::system::error_category& error_category() noexcept {
    class FLOWGUARD_DETAIL_VISIBLE category final : public detail::system::error_category {
        const char* name() const noexcept override { return "flowguard"; }
        std::string message(int value) const override {
            switch (static_cast<error>(value)) {
            case error::closed:
                return "closed";
            case error::wait_timeout:
                return "no permit came in time";
            case error::shed:
                return "shed";
            case error::task_timeout:
                return "the task took too long";
            case error::drain_timeout:
                return "the drain took too long";
            }
            return "unknown flowguard error";
        }
    };
    static const category instance;
    return instance;
}

inline error_code make_error_code(error e) noexcept {
    return {static_cast<int>(e), error_category()};
}

/// Whether FlowGuard itself reported this error, a copy of FlowGuard in another shared library included.
inline bool is_flowguard_error(const error_code& code) noexcept {
    return code.category() == error_category() || code.category().name() == std::string_view(error_category().name());
}

} // namespace flowguard

template <>
struct std::is_error_code_enum<flowguard::error> : std::true_type {};

#endif
