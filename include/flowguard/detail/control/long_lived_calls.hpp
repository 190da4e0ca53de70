// long_lived_calls.hpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_LONG_LIVED_CALLS_HPP
#define FLOWGUARD_DETAIL_CONTROL_LONG_LIVED_CALLS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "flowguard/guard_stats.hpp"

namespace flowguard::detail {

// Counts the long-lived calls of a guard, and never lets more than `most` of them run. Lock-free. Any thread may use
// it.
//
// *Drains.* The queue's owner seals the places, which is a bit of the count. No call enters after that. The last call
// that leaves finds the bit, and tells the owner. All steps are read-modify-writes of one word: so either the owner
// sees that no call is left, or the last call sees the bit.
class long_lived_calls {
public:
    explicit long_lived_calls(std::size_t most) noexcept : most_(most) {}

    // Takes a place, unless `most` are taken. Acquire: as with a permit, the call sees what the place's last holder
    // did.
    [[nodiscard]] bool try_enter() noexcept {
        std::size_t n = running_.load(std::memory_order_relaxed);
        while (n < most_)
            if (running_.compare_exchange_weak(n, n + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
                admitted_.fetch_add(1, std::memory_order_relaxed); // only reported
                return true;
            }
        return false;
    }

    // Returns a place. Returns true if that was the last one, and the places are sealed: the caller must tell the
    // queue's owner. Release: its next holder, or the owner, sees what this one did.
    [[nodiscard]] bool leave() noexcept { return running_.fetch_sub(1, std::memory_order_release) == (sealed | 1); }

    // Called by the queue's owner: lets no call enter until unseal(). Returns true if no call runs. Acquire: the owner
    // then sees what the calls did.
    [[nodiscard]] bool seal() noexcept { return (running_.fetch_or(sealed, std::memory_order_acquire) & ~sealed) == 0; }

    // Called by the queue's owner. Release: the next call sees what the owner did, and what it saw.
    void unseal() noexcept { running_.fetch_and(~sealed, std::memory_order_release); }

    // Relaxed: the caller synchronizes with the calls that it wants to see.
    std::size_t running() const noexcept { return running_.load(std::memory_order_relaxed) & ~sealed; }

    // Fills in its part of the stats. Relaxed: the counts are only reported.
    void report(guard_stats& s) const noexcept {
        s.long_lived = running();
        s.long_lived_admitted = admitted_.load(std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t sealed = ~((std::numeric_limits<std::size_t>::max)() >> 1); // more than `most` can be

    const std::size_t most_;
    std::atomic<std::size_t> running_{0};
    std::atomic<std::uint64_t> admitted_{0};
};

} // namespace flowguard::detail

#endif
