// refusal.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_REFUSAL_HPP
#define FLOWGUARD_REFUSAL_HPP

#include <cstdint>

namespace flowguard {

/// Why a call was not admitted.
enum class refusal : std::uint8_t {
    no_permit,  ///< shed: no permit was free, and try_run() and try_acquire() never wait
    queue_full, ///< shed: guard_options::max_waiters callers waited
    overdue,    ///< shed: it had waited too long in a queue that stands; see wait_order
    timed_out,  ///< it waited for guard_options::max_wait, or until its deadline
    cancelled,  ///< it was cancelled while it waited, or the guard was destroyed
    closed      ///< the guard was closed
};

/// Its name, as above. Complexity: O(1).
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
