// check.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_CHECK_HPP
#define POSTGRES_GUARD_CHECK_HPP

#include <stdexcept>
#include <string>

#include <flowguard.hpp>

#include "recorder.hpp"

namespace postgres_guard {

inline void require(bool holds, const std::string& what) {
    if (!holds)
        throw std::runtime_error("a check failed: " + what);
}

/// Checks what must hold after the last query has ended, also if the guard was closed.
template <class Guard>
void require_rest(const Guard& guard) {
    const flowguard::guard_stats s = guard.stats();
    require(guard.in_flight() == 0, "nothing is in flight");
    require(guard.waiting() == 0, "no call waits");
    require(s.admitted == s.succeeded + s.ignored + s.dropped, "each query that was admitted has ended");
    require(s.shed + s.timed_out + s.cancelled + s.bypassed == 0, "each query was admitted, or the guard was closed");
}

/// Checks that the guard and the callers agree. This must be the guard's only load.
template <class Guard>
void require_agreement(const Guard& guard, const recorder& seen) {
    const flowguard::guard_stats s = guard.stats();
    require(s.succeeded == seen.answered(), "each answer is a success");
    require(s.dropped == seen.lost(), "each lost connection is a drop");
    require(s.closed == seen.closed(), "each call that a closed guard rejects is told so");
    require(seen.rejected() == 0, "the server understands all queries");
}

/// Checks what must hold after the last query has ended, however fast or slow the database was.
template <class Guard>
void require_order(const Guard& guard) {
    require_rest(guard);
    require(guard.available_permits() == guard.current_limit(), "all permits are back");
    require(guard.stats().closed == 0, "each query was admitted");
}

/// Checks the same, and that the guard and the callers agree.
template <class Guard>
void require_order(const Guard& guard, const recorder& seen) {
    require_order(guard);
    require_agreement(guard, seen);
}

/// Checks the same of a guard that was closed. Such a guard has no permit to give, so only in_flight() tells whether
/// all permits are back.
template <class Guard>
void require_order_when_closed(const Guard& guard, const recorder& seen) {
    require_rest(guard);
    require_agreement(guard, seen);
}

} // namespace postgres_guard

#endif
