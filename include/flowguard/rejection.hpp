// rejection.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_REJECTION_HPP
#define FLOWGUARD_REJECTION_HPP

#include <cstddef>
#include <cstdint>

namespace flowguard {

/// Why a call was not admitted.
enum class rejection : std::uint8_t {
    no_permit,  ///< shed: no permit was free, and try_run(), try_acquire() and long-lived calls never wait
    queue_full, ///< shed: guard_options::max_waiters callers waited
    overdue,    ///< shed: it had waited too long in a lane that stands; see wait_order
    timed_out,  ///< it waited for guard_options::max_wait, or until its deadline
    cancelled,  ///< it was cancelled while it waited, or the guard was destroyed
    closed      ///< the guard was closed
};

/// How many reasons there are.
inline constexpr std::size_t rejection_count = 6;

/// The name of a rejection, as above. Complexity: O(1).
constexpr const char* to_string(rejection why) noexcept {
    switch (why) {
    case rejection::no_permit:
        return "no_permit";
    case rejection::queue_full:
        return "queue_full";
    case rejection::overdue:
        return "overdue";
    case rejection::timed_out:
        return "timed_out";
    case rejection::cancelled:
        return "cancelled";
    case rejection::closed:
        break;
    }
    return "closed";
}

} // namespace flowguard

#endif
