// partition_turns.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_PARTITION_TURNS_HPP
#define FLOWGUARD_DETAIL_PARTITION_TURNS_HPP

#include <algorithm>
#include <cstddef>
#include <vector>

namespace flowguard::detail {

// How many turns each partition has had, for its share: stride scheduling (C. Waldspurger, W. Weihl: Stride Scheduling.
// MIT/LCS/TM-528, 1995). One that did not wait has not saved up any.
class partition_turns {
public:
    explicit partition_turns(std::size_t partitions) : turns_(partitions) {}

    double of(std::size_t partition) const noexcept { return turns_[partition]; }

    // From now on it waits.
    void join(std::size_t partition) noexcept { turns_[partition] = std::max(turns_[partition], latest_); }

    void take(std::size_t partition, double share) noexcept {
        latest_ = turns_[partition];
        turns_[partition] += share > 0 ? 1 / share : 1;
    }

private:
    std::vector<double> turns_;
    double latest_ = 0; // of who had the latest, before it
};

} // namespace flowguard::detail

#endif
