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

/// Checks what must hold after the last query has ended, however fast or slow the database was.
template <class Guard>
void require_order(const Guard& guard) {
    const flowguard::guard_stats s = guard.stats();
    require(guard.in_flight() == 0, "nothing is in flight");
    require(guard.waiting() == 0, "no call waits");
    require(guard.available_permits() == guard.current_limit(), "all permits are back");
    require(s.admitted == s.succeeded + s.ignored + s.dropped, "each query that was admitted has ended");
    require(s.shed + s.timed_out + s.cancelled + s.closed + s.bypassed == 0, "each query was admitted");
}

/// Checks the same, and that the guard and the callers agree. This must be the guard's only load.
template <class Guard>
void require_order(const Guard& guard, const recorder& seen) {
    require_order(guard);
    const flowguard::guard_stats s = guard.stats();
    require(s.succeeded == seen.answered(), "each answer is a success");
    require(s.dropped == seen.lost(), "each lost connection is a drop");
    require(seen.rejected() == 0, "the server understands all queries");
}

} // namespace postgres_guard

#endif
