// surplus_permits.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_SURPLUS_PERMITS_HPP
#define FLOWGUARD_DETAIL_CONTROL_SURPLUS_PERMITS_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flowguard::detail {

// The *surplus* of a call is its permits beyond the first. This counts the surplus of all calls, so that the calls in
// flight can be told from the permits in flight. A call with one permit does not use it.
//
// Whoever is about to take several permits counts them first, and discounts them when they are released, or were not
// taken. The two sums only grow. They are read one before, and the other after the permits in flight: so the surplus is
// never taken for too small, and no permit for a call.
class surplus_permits {
public:
    // Relaxed: taking the permits is a release, and reading them an acquire. So whoever sees the permits sees the
    // count.
    void count(std::size_t permits) noexcept { counted_.fetch_add(permits - 1, std::memory_order_relaxed); }
    // Release: whoever sees this sees that the permits were released.
    void discount(std::size_t permits) noexcept { discounted_.fetch_add(permits - 1, std::memory_order_release); }

    // How many calls are in flight; `in_flight()` returns how many permits are.
    template <class F>
    std::uint64_t calls(F in_flight) const noexcept {
        const std::uint64_t discounted = discounted_.load(std::memory_order_acquire); // see discount()
        const std::uint64_t permits = in_flight(); // acquire, see count()
        const std::uint64_t surplus = counted_.load(std::memory_order_relaxed) - discounted;
        return permits - (std::min)(surplus, permits);
    }

private:
    std::atomic<std::uint64_t> counted_{0};
    std::atomic<std::uint64_t> discounted_{0};
};

} // namespace flowguard::detail

#endif
