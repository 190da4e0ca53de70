// share.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_SHARE_HPP
#define FLOWGUARD_DETAIL_BASE_SHARE_HPP

#include <cstddef>
#include <limits>

#include "flowguard/detail/base/check.hpp"

namespace flowguard::detail {

// Throws std::invalid_argument unless there are parts, and this is one of them.
constexpr void check_part(std::size_t part, std::size_t parts) {
    check_range("the number of parts", parts, 1, (std::numeric_limits<std::size_t>::max)());
    check_range("the part", part, 0, parts - 1);
}

// One of `parts` equal shares of a total, in whole numbers. The first ones are larger by one if there is a rest. So the
// shares of all parts make up the total.
constexpr std::size_t share_of(std::size_t total, std::size_t part, std::size_t parts) noexcept {
    return total / parts + (part < total % parts ? 1 : 0);
}

// The same, but at least one, unless the total is 0. If the total is less than the number of parts, the shares make up
// more than it.
constexpr std::size_t positive_share_of(std::size_t total, std::size_t part, std::size_t parts) noexcept {
    return total != 0 && total < parts ? 1 : share_of(total, part, parts);
}

} // namespace flowguard::detail

#endif
