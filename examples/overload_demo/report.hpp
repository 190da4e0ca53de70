// report.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_REPORT_HPP
#define OVERLOAD_DEMO_REPORT_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

#include "recorder.hpp"
#include "schedule.hpp"
#include "support/svg.hpp"

namespace overload_demo {

inline double milliseconds(seconds time) {
    return time.count() * 1000;
}

inline double percent(double part, double whole) {
    return whole > 0 ? 100 * part / whole : 0;
}

inline std::string text_of(double value, int digits = 0) {
    return support::decimal(value, digits);
}

inline std::string text_of(latency l) {
    return std::string(l.at_least ? ">" : "") + text_of(milliseconds(l.value));
}

inline std::string text_of_load(double load) {
    return text_of(load, load == std::floor(load) ? 0 : 1) + 'x';
}

inline std::string text_of_limit(double limit) {
    return limit > 0 ? text_of(limit) : "none";
}

/// Shows the progress of a run. On a terminal, one line changes; elsewhere, one line is printed each second.
class live_report {
public:
    void begin() { next_ = interval_; }

    void show(const recorder& record) {
        const reading& last = record.readings().back();
        if (last.time < next_)
            return;
        while (next_ <= last.time)
            next_ += interval_;
        const schedule& plan = record.plan();
        const summary s = record.seen_between(std::max(last.time - seconds(1), seconds(0)), last.time);
        std::printf("%s%-16s %4.1f s  %4s load, %4.0f/s  limit %4s  in flight %4zu  waiting %2zu  goodput %4.0f/s  "
                    "p99 %4s ms%s",
                    terminal_ ? "\r\x1b[?7l" : "", // a line that is too long must not wrap
                    record.name().c_str(), last.time.count(),
                    text_of_load(plan.phases[plan.phase_at(last.time)].load).c_str(), s.offered_rate(),
                    text_of_limit(static_cast<double>(last.limit)).c_str(), last.in_flight, last.waiting, s.goodput(),
                    text_of(s.p99).c_str(), terminal_ ? "\x1b[K\x1b[?7h" : "\n");
        std::fflush(stdout);
    }

    void end() const {
        if (terminal_)
            std::printf("\r\x1b[K");
    }

private:
    bool terminal_ = isatty(STDOUT_FILENO) != 0;
    seconds interval_{terminal_ ? 0.2 : 1.0};
    seconds next_{};
};

inline void print_table(const std::vector<recorder>& runs) {
    std::printf("\nrun               load  offered/s  goodput/s  %% of capacity"
                "  shed  timed out  p50 ms  p99 ms  limit\n");
    for (const recorder& run : runs) {
        const schedule& plan = run.plan();
        for (std::size_t i = 0; i < plan.phases.size(); ++i) {
            const summary s = run.of_phase(i);
            std::printf("%-16s  %4s  %9.0f  %9.0f  %13.0f  %4zu  %9zu  %6s  %6s  %5s\n",
                        i == 0 ? run.name().c_str() : "", text_of_load(plan.phases[i].load).c_str(), s.offered_rate(),
                        s.goodput(), percent(s.goodput(), plan.capacity), s.shed, s.timed_out, text_of(s.p50).c_str(),
                        text_of(s.p99).c_str(), text_of_limit(s.mean_limit).c_str());
        }
    }
    std::printf("\nA request counts in the phase in which it was meant to be sent. Goodput: answered within %.0f ms.\n"
                "Latencies: of admitted requests, late answers included; \">\": not answered before the run ended.\n\n",
                milliseconds(runs.front().deadline()));
}

inline const char* verdict(bool met) {
    return met ? "met" : "missed";
}

/// Compares two runs with the same arrivals, in three phases: calm, overload, calm.
inline void print_verdict(const recorder& unguarded, const recorder& guarded, std::size_t workers) {
    const schedule& plan = guarded.plan();
    const phase& overload = plan.phases[1];
    const summary before = unguarded.of_phase(0);
    const summary during = guarded.of_phase(1);
    const summary after = guarded.of_phase(2);

    const double share = percent(during.goodput(), plan.capacity);
    std::printf("FlowGuard  at %s: goodput %.0f %% of capacity (goal: at least 90 %%): %s\n",
                text_of_load(overload.load).c_str(), share, verdict(share >= 90));

    const double calm_p99 = milliseconds(before.p99.value);
    const double queued = std::max(during.mean_limit - static_cast<double>(workers), 0.0);
    const double bound = 3 * calm_p99 + queued * 1000 / plan.capacity;
    std::printf("           at %s: p99 %s ms, %.1f times the unloaded %.0f ms (goal: at most three times that, plus\n"
                "           %.1f ms for each of %.1f queued requests, so %.0f ms): %s\n",
                text_of_load(overload.load).c_str(), text_of(during.p99).c_str(),
                milliseconds(during.p99.value) / calm_p99, calm_p99, 1000 / plan.capacity, queued, bound,
                verdict(milliseconds(during.p99.value) <= bound));
    // Requests admitted at the very end of the overload are still in flight when the overload is over.
    const summary settled = guarded.sent_between(plan.phases[2].begin + guarded.deadline(), plan.phases[2].end);
    std::printf("           back at %s: %zu of %zu shed, %zu timed out, p99 %s ms; after the first %.0f ms, %zu shed\n"
                "           (goal: none): %s\n",
                text_of_load(plan.phases[2].load).c_str(), after.shed, after.offered, after.timed_out,
                text_of(after.p99).c_str(), milliseconds(guarded.deadline()), settled.shed, verdict(settled.shed == 0));

    const summary collapse = unguarded.of_phase(1);
    const summary late = unguarded.sent_between((overload.begin + overload.end) / 2, overload.end);
    const summary aftermath = unguarded.of_phase(2);
    std::printf("unguarded  at %s: goodput %.0f %% of capacity, %.0f %% in the second half; p99 %s ms\n",
                text_of_load(overload.load).c_str(), percent(collapse.goodput(), plan.capacity),
                percent(late.goodput(), plan.capacity), text_of(collapse.p99).c_str());
    std::printf("           back at %s: %.0f %% of the requests answered in time, against %.0f %% with FlowGuard\n",
                text_of_load(plan.phases[2].load).c_str(),
                percent(static_cast<double>(aftermath.in_time), static_cast<double>(aftermath.offered)),
                percent(static_cast<double>(after.in_time), static_cast<double>(after.offered)));
}

} // namespace overload_demo

#endif
