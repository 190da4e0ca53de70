// window_size.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_WINDOW_SIZE_HPP
#define FLOWGUARD_DETAIL_CONTROL_WINDOW_SIZE_HPP

#include <algorithm>
#include <cstddef>

namespace flowguard::detail {

// The size of a window under this limit, in admissions: `wanted`, and at least 1.5 × the limit, so that a cohort
// outlives the one before it.
constexpr std::size_t window_size(std::size_t wanted, std::size_t limit) noexcept {
    return (std::max)(wanted, limit + limit / 2);
}

} // namespace flowguard::detail

#endif
