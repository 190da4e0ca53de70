// call_times.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_CALL_TIMES_HPP
#define FLOWGUARD_DETAIL_CONTROL_CALL_TIMES_HPP

#include <array>
#include <cstddef>

#include "flowguard/detail/control/time_counts.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/priority.hpp"

namespace flowguard::detail {

// The histograms of a guard that is in use.
struct call_times {
    std::array<time_counts, priority_count> waits; // of all calls that have waited and got a permit
    time_counts rtts;                              // of all successes

    // Fills in its part of the stats.
    void report(guard_stats& s) const noexcept {
        for (std::size_t i = 0; i < waits.size(); ++i)
            waits[i].report(s.waits_by_priority[i]);
        rtts.report(s.rtts);
    }
};

} // namespace flowguard::detail

#endif
