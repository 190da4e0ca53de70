// call_times.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_CALL_TIMES_HPP
#define FLOWGUARD_DETAIL_CONTROL_CALL_TIMES_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/control/kind_rtts.hpp"
#include "flowguard/detail/control/time_counts.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail {

// The times that a guard knows once it is in use: histograms, and what the latest windows showed. Relaxed: each of them
// is a fact of its own.
struct call_times {
    std::array<time_counts, priority_count> waits; // of all calls that have waited and got a permit
    time_counts rtts; // of all successes
    kind_rtts kinds;
    std::atomic<std::int64_t> baseline{0}; // ns; the strategy's

    // Notes the successes of a window. Called by its closer.
    void note_latest(const rtt_summary& all) noexcept {
        rtt_mean_.store(all.mean.count(), std::memory_order_relaxed);
        rtt_p50_.store(all.quantile(0.5).count(), std::memory_order_relaxed);
        rtt_p99_.store(all.quantile(0.99).count(), std::memory_order_relaxed);
    }

    // Fills in its part of the stats.
    void report(guard_stats& s) const noexcept {
        for (std::size_t i = 0; i < waits.size(); ++i)
            waits[i].report(s.waits_by_priority[i]);
        rtts.report(s.rtts);
        s.rtt_mean = duration{rtt_mean_.load(std::memory_order_relaxed)};
        s.rtt_p50 = duration{rtt_p50_.load(std::memory_order_relaxed)};
        s.rtt_p99 = duration{rtt_p99_.load(std::memory_order_relaxed)};
        s.baseline_rtt = duration{baseline.load(std::memory_order_relaxed)};
    }

private:
    std::atomic<std::int64_t> rtt_mean_{0}; // ns; of the latest window, as are the next two
    std::atomic<std::int64_t> rtt_p50_{0};
    std::atomic<std::int64_t> rtt_p99_{0};
};

} // namespace flowguard::detail

#endif
