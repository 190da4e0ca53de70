// fleet_series.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_SERIES_HPP
#define POSTGRES_GUARD_FLEET_SERIES_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "benchmark.hpp"
#include "fleet.hpp"
#include "proc.hpp"
#include "recorder.hpp"
#include "server.hpp"
#include "support/jains_index.hpp"

namespace postgres_guard {

/// The mean limit of a process in a period; outside of its life, the nearest limit that is known.
inline double mean_limit(const member_record& of, seconds begin, seconds end) {
    double sum = 0;
    std::size_t count = 0;
    for (const limit_sample& s : of.limits)
        if (s.time >= begin && s.time < end) {
            sum += s.limit;
            ++count;
        }
    if (count > 0)
        return sum / static_cast<double>(count);
    const auto later =
        std::find_if(of.limits.begin(), of.limits.end(), [&](const limit_sample& s) { return s.time >= end; });
    return later != of.limits.end() ? later->limit : of.limits.back().limit;
}

/// A period in which a fleet is measured.
struct period {
    seconds begin, end;
    double others; ///< the share of the processors that other programs used
};

/// Lets a fleet work for several periods, one after the other.
inline std::vector<period> periods_of(fleet& working, const server& postgres, seconds length, int count) {
    const auto usage_now = [&] {
        const processor_time machine = time_of_processors();
        return usage{machine.all, machine.used, time_used_by(::getpid()) + postgres.time_used()};
    };
    std::vector<period> periods;
    for (int i = 0; i < count; ++i) {
        const usage before = usage_now();
        const seconds begin = working.now();
        working.run_for(length);
        periods.push_back({begin, working.now(), share_of_others(before, usage_now())});
    }
    return periods;
}

/// Several measurements of fleets of one sort; as a series, of all processes together.
class fleet_series : public series {
public:
    /// `size` processes share the server. Those without a permit do not run; they count as processes without answers.
    fleet_series(std::string its_name, std::size_t size) : series(std::move(its_name)), answers_(size) {}

    /// Adds what these processes did in a period. They must have ended, so that all of their reports are there.
    void add(const fleet& ended, const std::vector<std::size_t>& running, const period& p) {
        series::add(ended.between(p.begin, p.end));
        double total = 0;
        for (std::size_t i = 0; i < running.size(); ++i) {
            const member_record& m = ended.members()[running[i]];
            answers_[i] += m.seen.between(p.begin, p.end).throughput;
            total += mean_limit(m, p.begin, p.end);
        }
        totals_.push_back(total);
        others_.push_back(p.others);
    }

    double fairness() const { return support::jains_index(answers_); }
    double total_of_limits() const { return average(totals_); }
    /// The share of the processors that other programs used. Never negative, although the times of a short period may
    /// not fit together: a process may have ended while they were read.
    double others() const { return std::max(average(others_), 0.0); }

private:
    static double average(const std::vector<double>& values) {
        double sum = 0;
        for (const double value : values)
            sum += value;
        return sum / static_cast<double>(values.size());
    }

    std::vector<double> answers_; // of each process, in all periods
    std::vector<double> totals_, others_;
};

} // namespace postgres_guard

#endif
