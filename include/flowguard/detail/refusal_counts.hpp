// refusal_counts.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_REFUSAL_COUNTS_HPP
#define FLOWGUARD_DETAIL_REFUSAL_COUNTS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/waiter.hpp"

namespace flowguard::detail {

// How many callers ended without a permit, by reason. Relaxed: they are numbers to look at.
class refusal_counts {
public:
    void add(wait_result why) noexcept { count_[index(why)].fetch_add(1, std::memory_order_relaxed); }

    std::uint64_t of(wait_result why) const noexcept { return count_[index(why)].load(std::memory_order_relaxed); }

private:
    static constexpr std::size_t index(wait_result why) noexcept { return static_cast<std::size_t>(why); }

    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(wait_result::abandoned) + 1> count_{};
};

} // namespace flowguard::detail

#endif
