// call_counts.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_CALL_COUNTS_HPP
#define FLOWGUARD_DETAIL_CONTROL_CALL_COUNTS_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flowguard/guard_stats.hpp"
#include "flowguard/outcome.hpp"

namespace flowguard::detail {

// Counts the admitted calls, by how they ended, the tasks that took too long, and the calls that ran without a permit.
// Any thread may use it. Relaxed: the counts are only reported.
class call_counts {
public:
    void count(outcome how) noexcept { ended_[static_cast<std::size_t>(how)].fetch_add(1, std::memory_order_relaxed); }
    void count_task_timeout() noexcept { task_timeouts_.fetch_add(1, std::memory_order_relaxed); }
    void count_bypass() noexcept { bypassed_.fetch_add(1, std::memory_order_relaxed); }

    // Fills in its part of the stats. It calls `calls_in_flight()` after it has read the counts, so that a call which
    // ends in between is not counted twice.
    template <class F>
    void report(guard_stats& s, F calls_in_flight) const noexcept {
        s.succeeded = of(outcome::success);
        s.ignored = of(outcome::ignored);
        s.dropped = of(outcome::dropped);
        s.admitted = never_less(s.succeeded + s.ignored + s.dropped + calls_in_flight());
        s.task_timeouts = task_timeouts_.load(std::memory_order_relaxed);
        s.bypassed = bypassed_.load(std::memory_order_relaxed);
    }

private:
    std::uint64_t of(outcome how) const noexcept {
        return ended_[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
    }

    // The highest value of `admitted` so far.
    std::uint64_t never_less(std::uint64_t admitted) const noexcept {
        std::uint64_t most = most_admitted_.load(std::memory_order_relaxed);
        while (most < admitted && !most_admitted_.compare_exchange_weak(most, admitted, std::memory_order_relaxed)) {
        }
        return (std::max)(most, admitted);
    }

    std::array<std::atomic<std::uint64_t>, outcome_count> ended_{};
    mutable std::atomic<std::uint64_t> most_admitted_{0};
    std::atomic<std::uint64_t> task_timeouts_{0};
    std::atomic<std::uint64_t> bypassed_{0};
};

} // namespace flowguard::detail

#endif
