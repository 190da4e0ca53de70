// recorder.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_RECORDER_HPP
#define OVERLOAD_DEMO_RECORDER_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "schedule.hpp"

namespace overload_demo {

/// A quantile of latencies. Requests that were never answered count with the time that they waited. If the quantile
/// falls on such a request, it is a lower bound.
struct latency {
    seconds value{};
    bool at_least = false;
};

inline latency quantile(std::vector<latency> values, double q) {
    if (values.empty())
        return {};
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::nth_element(values.begin(), nth, values.end(), [](auto a, auto b) { return a.value < b.value; });
    return *nth;
}

/// The state of the guard at one time.
struct reading {
    seconds time{};
    std::size_t limit = 0; ///< 0: there is none
    std::size_t in_flight = 0;
    std::size_t waiting = 0;
};

/// What happened in a part of a run.
struct summary {
    std::size_t offered = 0;
    std::size_t in_time = 0;
    std::size_t shed = 0;
    std::size_t timed_out = 0;
    latency p50, p99; ///< of admitted requests, timed out or not
    double mean_limit = 0;
    double mean_in_flight = 0;
    seconds length{};

    double offered_rate() const { return static_cast<double>(offered) / length.count(); }
    double goodput() const { return static_cast<double>(in_time) / length.count(); }
};

/// The record of one run. For one thread.
class recorder {
public:
    recorder(std::string name, schedule plan, seconds deadline)
        : name_(std::move(name)), plan_(std::move(plan)), deadline_(deadline) {}

    const std::string& name() const { return name_; }
    const schedule& plan() const { return plan_; }
    seconds deadline() const { return deadline_; }
    const std::vector<reading>& readings() const { return readings_; }

    /// Records a request that is meant to be sent at `intended`. Returns the number of the request.
    std::size_t request(seconds intended) {
        requests_.push_back({intended, {}, fate::pending});
        ++pending_;
        return requests_.size() - 1;
    }

    void answer(std::size_t number, bool admitted, seconds time) {
        if (number >= requests_.size() || requests_[number].end != fate::pending)
            return;
        requests_[number].answered = time;
        requests_[number].end = admitted ? fate::answered : fate::shed;
        --pending_;
    }

    void read(reading r) { readings_.push_back(r); }
    void stop(seconds time) { stopped_ = time; }

    std::size_t pending() const { return pending_; }

    /// What became of the requests that were meant to be sent in [from, to).
    summary sent_between(seconds from, seconds to) const {
        summary s;
        std::vector<latency> latencies;
        for (const record& r : requests_) {
            if (r.intended < from || r.intended >= to)
                continue;
            ++s.offered;
            if (r.end == fate::shed) {
                ++s.shed;
                continue;
            }
            const bool answered = r.end == fate::answered;
            latencies.push_back({(answered ? r.answered : stopped_) - r.intended, !answered});
            ++(in_time(r) ? s.in_time : s.timed_out);
        }
        finish(s, std::move(latencies), from, to);
        return s;
    }

    summary of_phase(std::size_t i) const { return sent_between(plan_.phases[i].begin, plan_.phases[i].end); }

    /// What was offered in [from, to), and what was answered in [from, to).
    summary seen_between(seconds from, seconds to) const {
        summary s;
        std::vector<latency> latencies;
        for (const record& r : requests_) {
            s.offered += r.intended >= from && r.intended < to;
            if (r.end == fate::pending || r.answered < from || r.answered >= to)
                continue;
            if (r.end == fate::shed) {
                ++s.shed;
                continue;
            }
            latencies.push_back({r.answered - r.intended, false});
            ++(in_time(r) ? s.in_time : s.timed_out);
        }
        finish(s, std::move(latencies), from, to);
        return s;
    }

private:
    enum class fate { pending, answered, shed };

    struct record {
        seconds intended{};
        seconds answered{};
        fate end{};
    };

    bool in_time(const record& r) const { return r.end == fate::answered && r.answered - r.intended <= deadline_; }

    void finish(summary& s, std::vector<latency> latencies, seconds from, seconds to) const {
        s.length = to - from;
        s.p50 = quantile(latencies, 0.5);
        s.p99 = quantile(std::move(latencies), 0.99);
        double count = 0;
        for (const reading& r : readings_) {
            if (r.time < from || r.time >= to)
                continue;
            ++count;
            s.mean_limit += static_cast<double>(r.limit);
            s.mean_in_flight += static_cast<double>(r.in_flight);
        }
        s.mean_limit /= std::max(count, 1.0);
        s.mean_in_flight /= std::max(count, 1.0);
    }

    std::string name_;
    schedule plan_;
    seconds deadline_;
    std::vector<record> requests_; // by number
    std::vector<reading> readings_;
    std::size_t pending_ = 0;
    seconds stopped_{};
};

} // namespace overload_demo

#endif
