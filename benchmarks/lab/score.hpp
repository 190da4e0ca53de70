// score.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SCORE_HPP
#define LAB_SCORE_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "record.hpp"
#include "scenario.hpp"
#include "support/jains_index.hpp"

namespace lab {

/// How a limiter did in one run of a scenario. The first part of the run, a share of `warm_up`, does not count.
struct score {
    static constexpr double warm_up = 0.15;

    // S: answers in time over those of the static limits that have the most of them, at most 1
    double in_time = 0; // within twice the p99 of one request at a time
    double in_time_strict = 0; // within that p99 and one mean service time
    double goodput = 0;  // G: goodput over the best that static limits reach
    double p99 = 0;      // P: p99 over that of the smallest static limits that reach 95 % of that goodput
    double rejected = 0;  // share of the offered requests
    std::optional<double> recovery; // seconds from the worst change until goodput stays at 90 % of its final level
    double oscillation = 0;         // standard deviation of the limit over its mean, late in a phase
    std::optional<double> fairness; // Jain's index of the guards' goodputs, in the last quarter

    // Only of scenarios that compare guards. A share is the goodput of a guard in the last quarter, over that of all
    // divided by their number.
    std::optional<double> least_share; // of the guard that got least
    std::optional<double> far_share; // mean of the guards that are far away
    std::optional<double> static_share; // of the guard with a static limit
    std::optional<double> inner_oscillation; // as oscillation, of the limit of the server's own guard

    double quality() const { return std::min(1.0, goodput) / std::max(1.0, p99); } // Q
    bool is_good() const { return goodput >= 0.93 && p99 <= 1.25; }
};

using support::jains_index;

namespace detail {

inline double mean_goodput(const record& r, std::size_t first, std::size_t end) {
    return end > first ? r.succeeded(first, end) / static_cast<double>(end - first) : 0;
}

// For the phase in these bins. Looks at four bins at a time, because one bin alone has few requests.
inline double recovery(const record& r, std::size_t first, std::size_t end) {
    constexpr std::size_t run = 4;
    const double settled = mean_goodput(r, first + (end - first) / 2, end);
    std::size_t recovered = end;
    while (recovered > first &&
           mean_goodput(r, recovered - std::min(run, recovered - first), recovered) >= 0.9 * settled)
        --recovered;
    return static_cast<double>(recovered - first) * r.bin_length();
}

inline double oscillation(const record& r, std::size_t first, std::size_t end, double bin::* limit = &bin::limit) {
    const auto n = static_cast<double>(end - first);
    const double mean = r.sum(first, end, [limit](const bin& b) { return b.*limit; }) / n;
    const double variance = r.sum(first, end, [=](const bin& b) { return (b.*limit - mean) * (b.*limit - mean); }) / n;
    return mean > 0 ? std::sqrt(variance) / mean : 0;
}

// What each guard got in the last quarter, over a fair share.
inline std::vector<double> shares_of(const std::vector<std::size_t>& succeeded) {
    const double fair =
        std::accumulate(succeeded.begin(), succeeded.end(), 0.0) / static_cast<double>(succeeded.size());
    std::vector<double> shares;
    for (const std::size_t s : succeeded)
        shares.push_back(static_cast<double>(s) / std::max(1.0, fair));
    return shares;
}

// Only for scenarios whose guards are the same ones in all phases.
inline void compare_guards(const scenario& s, const record& run, score& result) {
    const std::vector<double> shares = shares_of(run.succeeded_by_guard);
    result.least_share = *std::min_element(shares.begin(), shares.end());
    double far = 0, count = 0;
    for (std::size_t g = 0; g < shares.size(); ++g)
        if (s.distance_of(g) > 0) {
            far += shares[g];
            ++count;
        }
    if (count > 0)
        result.far_share = far / count;
    if (s.static_limit > 0)
        result.static_share = shares.front();
    if (s.inner_guard)
        result.inner_oscillation = oscillation(run, run.bins.size() / 2, run.bins.size(), &bin::inner_limit);
}

} // namespace detail

/// How long an answer may take to be in time. p99: with one request at a time. mean: a service time.
enum class punctuality : std::uint8_t { twice_p99, p99_and_mean };

/// What answers in time are compared with.
struct in_time_yardstick {
    record most; // the oracle's run with the most answers in time,
    std::vector<double> longest; // which take at most so long, in each phase
};

/// What a run is compared with: the oracle's runs with the same arrivals.
struct yardstick {
    record best; // with the most goodput
    record smallest; // with the smallest limits that reach most of that
    in_time_yardstick twice_p99, p99_and_mean;
};

namespace detail {

// Calls `visit(phase, first, end)` for each phase, with its bins.
template <class F>
void for_each_phase(const scenario& s, const record& run, F visit) {
    double start = 0;
    for (std::size_t p = 0; p < s.phases.size(); ++p) {
        const std::size_t first = run.bin_at(start);
        start += s.phases[p].length;
        visit(p, first, p + 1 == s.phases.size() ? run.bins.size() : run.bin_at(start));
    }
}

inline double count_in_time(const scenario& s, const record& run, const std::vector<double>& longest) {
    const std::size_t warm = run.bin_at(score::warm_up * run.length);
    double sum = 0;
    for_each_phase(s, run, [&](std::size_t p, std::size_t first, std::size_t end) {
        sum += run.in_time(std::max(first, warm), end, longest[p]);
    });
    return sum;
}

inline double in_time(const scenario& s, const record& run, const in_time_yardstick& by) {
    return std::min(1.0, count_in_time(s, run, by.longest) / std::max(1.0, count_in_time(s, by.most, by.longest)));
}

} // namespace detail

/// Scores a run.
inline score score_of(const scenario& s, const record& run, const yardstick& by) {
    const std::size_t first = run.bin_at(score::warm_up * run.length);
    const std::size_t end = run.bins.size();
    score result;
    result.in_time = detail::in_time(s, run, by.twice_p99);
    result.in_time_strict = detail::in_time(s, run, by.p99_and_mean);
    result.goodput = run.succeeded(first, end) / std::max(1.0, by.best.succeeded(first, end));
    result.p99 = run.p99(first, end) / std::max(1e-9, by.smallest.p99(first, end));
    result.rejected = run.sum(first, end, [](const bin& b) { return b.rejected; }) /
                      std::max(1.0, run.sum(first, end, [](const bin& b) { return b.offered; }));
    detail::for_each_phase(s, run, [&](std::size_t p, std::size_t begins, std::size_t ends) {
        if (ends < begins + 4)
            return;
        result.oscillation = std::max(result.oscillation, detail::oscillation(run, (begins + ends) / 2, ends));
        if (p > 0)
            result.recovery = std::max(result.recovery.value_or(0), detail::recovery(run, begins, ends));
    });
    if (s.guards() > 1)
        result.fairness =
            jains_index({run.succeeded_by_guard.begin(),
                         run.succeeded_by_guard.begin() + static_cast<std::ptrdiff_t>(s.phases.back().guards)});
    if (s.compares_guards)
        detail::compare_guards(s, run, result);
    return result;
}

} // namespace lab

#endif
