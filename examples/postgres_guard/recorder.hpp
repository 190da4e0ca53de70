// recorder.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_RECORDER_HPP
#define POSTGRES_GUARD_RECORDER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace postgres_guard {

using seconds = std::chrono::duration<double>;

/// What was measured in a period of time.
struct summary {
    double throughput = 0; ///< answers a second
    seconds mean{}; ///< RTT, from admission on
    seconds p99{};
    std::size_t lost = 0;
};

/// How each query ended, and when.
class recorder {
public:
    struct answer {
        seconds time, rtt;
    };

    void answered(seconds time, seconds rtt) { answers_.push_back({time, rtt}); }
    void lost(seconds time) { lost_.push_back(time); }
    void rejected() { ++rejected_; }
    void closed() { ++closed_; }

    std::size_t answered() const { return answers_.size(); }
    std::size_t lost() const { return lost_.size(); }
    std::size_t rejected() const { return rejected_; } ///< queries that the server reported an error for
    std::size_t closed() const { return closed_; } ///< queries that were never sent, because the guard was closed

    summary between(seconds begin, seconds end) const {
        std::vector<seconds> rtts;
        for (const answer& a : answers_)
            if (a.time >= begin && a.time < end)
                rtts.push_back(a.rtt);
        summary s;
        s.lost = static_cast<std::size_t>(
            std::count_if(lost_.begin(), lost_.end(), [&](seconds time) { return time >= begin && time < end; }));
        if (rtts.empty())
            return s;
        const auto p99 = rtts.begin() + static_cast<std::ptrdiff_t>(rtts.size() * 99 / 100);
        std::nth_element(rtts.begin(), p99, rtts.end());
        s.p99 = *p99;
        for (const seconds rtt : rtts)
            s.mean += rtt / static_cast<double>(rtts.size());
        s.throughput = static_cast<double>(rtts.size()) / (end - begin).count();
        return s;
    }

    /// The time of the first answer after `time`; `time` itself if there was none.
    seconds first_answer_after(seconds time) const {
        for (const answer& a : answers_)
            if (a.time > time)
                return a.time;
        return time;
    }

    const std::vector<answer>& answers() const { return answers_; }
    const std::vector<seconds>& losses() const { return lost_; }

private:
    std::vector<answer> answers_; // in the order of their times
    std::vector<seconds> lost_;
    std::size_t rejected_ = 0;
    std::size_t closed_ = 0;
};

} // namespace postgres_guard

#endif
