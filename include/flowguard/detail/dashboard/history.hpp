// history.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_HISTORY_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_HISTORY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace flowguard::detail {

// The samples of the last hour, if there are four in a second: all of the last minute, one a second for four minutes
// before that, and one in fifteen seconds for the rest. So an hour needs no more than 700 samples. Samples count from
// when something began, so that rates over any two of them are right.
class dashboard_history {
public:
    void add(std::string sample) {
        entry moving{added_++, std::move(sample)};
        for (stage& s : stages_) {
            if (moving.number % s.one_in != 0)
                return;
            s.entries.push_back(std::move(moving));
            if (s.entries.size() <= s.most)
                return;
            moving = std::move(s.entries.front());
            s.entries.pop_front();
        }
    }

    // Calls visit(sample) for each sample, the oldest first.
    template <class Visit>
    void for_each(Visit visit) const {
        for (auto s = stages_.rbegin(); s != stages_.rend(); ++s)
            for (const entry& e : s->entries)
                visit(e.sample);
    }

private:
    struct entry {
        std::uint64_t number = 0;
        std::string sample{};
    };
    struct stage {
        std::uint64_t one_in; // of all samples, so many become one here
        std::size_t most;
        std::deque<entry> entries{};
    };

    std::uint64_t added_ = 0;
    std::array<stage, 3> stages_{{{1, 240}, {4, 240}, {60, 220}}};
};

} // namespace flowguard::detail

#endif
