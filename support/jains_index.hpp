// jains_index.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_JAINS_INDEX_HPP
#define FLOWGUARD_SUPPORT_JAINS_INDEX_HPP

#include <vector>

namespace support {

/// How fair shares are: 1 if they are equal, and 1 / n if one of n has all.
///
/// R. Jain, D. Chiu, W. Hawe: A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
/// Computer Systems. DEC Research Report TR-301, 1984.
inline double jains_index(const std::vector<double>& shares) {
    double sum = 0, squares = 0;
    for (const double share : shares) {
        sum += share;
        squares += share * share;
    }
    return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 1;
}

} // namespace support

#endif
