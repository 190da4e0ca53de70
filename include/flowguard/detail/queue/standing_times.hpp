// standing_times.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_STANDING_TIMES_HPP
#define FLOWGUARD_DETAIL_QUEUE_STANDING_TIMES_HPP

#include <chrono>

namespace flowguard::detail {

// What tells a standing queue from a burst: see wait_order. Both are at least 0.
struct standing_times {
    std::chrono::nanoseconds target{};
    std::chrono::nanoseconds interval{};

    friend bool operator==(const standing_times&, const standing_times&) = default;
};

} // namespace flowguard::detail

#endif
