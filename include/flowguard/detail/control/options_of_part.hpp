// options_of_part.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_OPTIONS_OF_PART_HPP
#define FLOWGUARD_DETAIL_CONTROL_OPTIONS_OF_PART_HPP

#include <cstddef>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/share.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// The options of a strategy for one of `parts` parts of a split_guard: with equal shares of its three limits, each at
// least 1. Throws std::invalid_argument unless `parts` is in [1, max_limit] and `index` in [0, parts - 1]. `name` is
// that of max_limit.
template <class Options>
Options options_of_part(Options whole, std::size_t index, std::size_t parts, const char* name) {
    check_part(index, parts);
    check_range(name, whole.max_limit, parts, flowguard::max_limit);
    for (std::size_t* limit : {&whole.initial_limit, &whole.min_limit, &whole.max_limit})
        *limit = positive_share_of(*limit, index, parts);
    return whole;
}

} // namespace flowguard::detail

#endif
