// refusals.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_REFUSALS_HPP
#define FLOWGUARD_DETAIL_REFUSALS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "flowguard/refusal.hpp"

namespace flowguard::detail {

// Counts those who were not admitted, and tells whoever wants to know. Relaxed: they are numbers to look at.
class refusals {
public:
    explicit refusals(std::function<void(refusal)> observer = {}) : observer_(std::move(observer)) {}

    void add(refusal why) noexcept {
        count_[index(why)].fetch_add(1, std::memory_order_relaxed);
        if (observer_)
            observer_(why);
    }

    std::uint64_t of(refusal why) const noexcept { return count_[index(why)].load(std::memory_order_relaxed); }

private:
    static constexpr std::size_t index(refusal why) noexcept { return static_cast<std::size_t>(why); }

    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(refusal::closed) + 1> count_{};
    const std::function<void(refusal)> observer_;
};

} // namespace flowguard::detail

#endif
