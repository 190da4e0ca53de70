// kind_rtts.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_KIND_RTTS_HPP
#define FLOWGUARD_DETAIL_CONTROL_KIND_RTTS_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail {

// What the calls of each kind took of late. A window must wait for the calls of its slowest kind: without them it would
// show a service that is faster than it is.
//
// All operations are relaxed. If a straggler is noted while the closer of a window notes its successes, the straggler
// may be lost: later ones tell the same.
class kind_rtts {
public:
    // Whether a call of another kind than 0 has succeeded.
    bool are_used() const noexcept { return are_used_.load(std::memory_order_relaxed); }

    // Notes the successes of a window. Called by its closer. An RTT that was longer before is forgotten gradually.
    void see(const rtt_summary& all) noexcept {
        if (all.kinds[0].samples != all.samples)
            are_used_.store(true, std::memory_order_relaxed);
        if (!are_used())
            return;
        for (std::size_t k = 0; k < max_kinds; ++k) {
            const std::int64_t before = rtts_[k].load(std::memory_order_relaxed);
            rtts_[k].store(std::max<std::int64_t>(all.kinds[k].mean.count(), before - before / 10),
                           std::memory_order_relaxed);
        }
    }

    // Notes a success for which its window did not wait. Called for kind 0 only if are_used().
    void see_straggler(std::size_t kind, std::chrono::nanoseconds rtt) noexcept {
        if (kind != 0)
            are_used_.store(true, std::memory_order_relaxed);
        if (rtt.count() > rtts_[kind].load(std::memory_order_relaxed))
            rtts_[kind].store(rtt.count(), std::memory_order_relaxed);
    }

    // Called by the closer.
    void forget() noexcept {
        are_used_.store(false, std::memory_order_relaxed);
        for (auto& rtt : rtts_)
            rtt.store(0, std::memory_order_relaxed);
    }

    // The RTT of the slowest kind; 0 if no more than one kind was ever seen.
    std::chrono::nanoseconds slowest() const noexcept {
        if (!are_used())
            return {};
        std::int64_t most = 0;
        std::size_t seen = 0;
        for (const auto& rtt : rtts_) {
            const std::int64_t r = rtt.load(std::memory_order_relaxed);
            most = (std::max)(most, r);
            seen += r > 0 ? 1 : 0;
        }
        return std::chrono::nanoseconds{seen > 1 ? most : 0};
    }

private:
    std::atomic<bool> are_used_{false};
    std::array<std::atomic<std::int64_t>, max_kinds> rtts_{}; // ns; 0: the kind was never seen
};

} // namespace flowguard::detail

#endif
