// refusal.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_REFUSAL_HPP
#define FLOWGUARD_REFUSAL_HPP

#include <cstdint>

namespace flowguard {

/// Why a call was not admitted.
enum class refusal : std::uint8_t {
    no_permit,  ///< shed: it would not wait, as try_run() and try_acquire() do not
    queue_full, ///< shed: more waited than guard_options::max_waiters
    overdue,    ///< shed: it had waited for too long in a queue that stands; see wait_order
    timed_out,  ///< it waited for guard_options::max_wait, or until its deadline
    cancelled,  ///< it was cancelled while it waited, or the guard went
    closed      ///< the guard was closed
};

/// Its name, as above. Constant.
constexpr const char* to_string(refusal why) noexcept {
    switch (why) {
    case refusal::no_permit:
        return "no_permit";
    case refusal::queue_full:
        return "queue_full";
    case refusal::overdue:
        return "overdue";
    case refusal::timed_out:
        return "timed_out";
    case refusal::cancelled:
        return "cancelled";
    case refusal::closed:
        break;
    }
    return "closed";
}

} // namespace flowguard

#endif
