// partition_turns.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_PARTITION_TURNS_HPP
#define FLOWGUARD_DETAIL_QUEUE_PARTITION_TURNS_HPP

#include <algorithm>
#include <cstddef>
#include <vector>

#include "flowguard/detail/queue/partitions.hpp"

namespace flowguard::detail {

// How many turns each partition has had in relation to its share: stride scheduling (C. Waldspurger, W. Weihl: Stride
// Scheduling. MIT/LCS/TM-528, 1995). A caller that takes several permits has had as many turns. A partition that begins
// to wait starts level with the partition that had the latest turn, before that turn. While it waits, it falls behind
// the latest turn by one turn at most. So a partition cannot save up turns, and claim a burst later.
class partition_turns {
public:
    explicit partition_turns(const partitions& shares) : turns_(shares.count()), strides_(shares.count()) {
        for (std::size_t p = 0; p < strides_.size(); ++p)
            strides_[p] = shares.share(p) > 0 ? 1 / shares.share(p) : 1;
    }

    double of(std::size_t partition) const noexcept { return turns_[partition]; }

    // Called when a caller of that partition begins to wait, and no other caller of it waits.
    void join(std::size_t partition) noexcept { turns_[partition] = (std::max)(turns_[partition], latest_); }

    void take(std::size_t partition, std::size_t permits = 1) noexcept {
        latest_ = turns_[partition];
        turns_[partition] += strides_[partition] * static_cast<double>(permits);
        for (std::size_t p = 0; p < turns_.size(); ++p)
            turns_[p] = (std::max)(turns_[p], latest_ - strides_[p]);
    }

private:
    std::vector<double> turns_;
    std::vector<double> strides_;
    double latest_ = 0; // the `turns_` of the partition that had the latest turn, before that turn
};

} // namespace flowguard::detail

#endif
