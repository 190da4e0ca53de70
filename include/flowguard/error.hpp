// error.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_ERROR_HPP
#define FLOWGUARD_ERROR_HPP

#include <string>
#include <system_error>
#include <type_traits>

#include "flowguard/detail/asio.hpp"

namespace flowguard {

/// The errors that FlowGuard itself reports. A waiter that is cancelled, or whose semaphore is
/// destroyed, gets Asio's own `asio::error::operation_aborted`.
enum class error {
    closed = 1,       ///< the semaphore or guard was closed
    wait_timeout = 2, ///< no permit came in time
    shed = 3          ///< turned away: more wait than may, or it has waited for too long in an overload
};

/// The category of `flowguard::error`, named "flowguard". Thread-safe.
inline const detail::system::error_category& error_category() noexcept {
    class category final : public detail::system::error_category {
        const char* name() const noexcept override { return "flowguard"; }
        std::string message(int value) const override {
            switch (static_cast<error>(value)) {
            case error::closed:
                return "closed";
            case error::wait_timeout:
                return "no permit came in time";
            case error::shed:
                return "shed";
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

} // namespace flowguard

template <>
struct std::is_error_code_enum<flowguard::error> : std::true_type {};

#endif
