// summary.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SUMMARY_HPP
#define LAB_SUMMARY_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "load.hpp"
#include "score.hpp"

namespace lab {

/// A geometric mean; 1 if there are no values.
class geometric_mean {
public:
    /// A value below a thousandth counts as a thousandth, so that a single failure costs much, but not everything.
    static constexpr double least = 1e-3;

    void add(double value) {
        logarithms_ += std::log(std::max(least, value));
        ++count_;
    }
    double value() const { return count_ > 0 ? std::exp(logarithms_ / static_cast<double>(count_)) : 1; }

private:
    double logarithms_ = 0;
    std::size_t count_ = 0;
};

/// How a strategy did in all scenarios and seeds together. See score for G, P and Q.
struct summary {
    std::string strategy;
    geometric_mean in_time;              // of S
    geometric_mean in_time_strict;       // of S, strictly
    std::optional<double> worst_in_time; // the lowest S
    std::map<std::string, geometric_mean> in_time_by_family;
    std::map<std::string, geometric_mean> in_time_strict_by_family;
    geometric_mean quality;              // of Q
    geometric_mean goodput;              // of min(1, G)
    geometric_mean p99;                  // of max(1, P)
    std::size_t rows = 0;                // scenarios × seeds
    std::size_t good_rows = 0;
    std::optional<double> worst_goodput; // the lowest G
    std::optional<double> worst_p99;     // the highest P
    std::optional<double> worst_false_rejections; // the highest share that is rejected where the load is light
    std::optional<double> mean_fairness;        // where there are several guards
    std::map<std::string, geometric_mean> quality_by_family;

    double good_share() const { return rows > 0 ? static_cast<double>(good_rows) / static_cast<double>(rows) : 0; }
};

namespace detail {

class summarizer {
public:
    explicit summarizer(std::string strategy) { sum_.strategy = std::move(strategy); }

    void add(const scenario& of, const score& s) {
        sum_.in_time.add(s.in_time);
        sum_.in_time_strict.add(s.in_time_strict);
        sum_.worst_in_time = std::min(s.in_time, sum_.worst_in_time.value_or(s.in_time));
        sum_.in_time_by_family[of.family].add(s.in_time);
        sum_.in_time_strict_by_family[of.family].add(s.in_time_strict);
        sum_.quality.add(s.quality());
        sum_.goodput.add(std::min(1.0, s.goodput));
        sum_.p99.add(std::max(1.0, s.p99));
        ++sum_.rows;
        sum_.good_rows += s.is_good() ? 1 : 0;
        sum_.worst_goodput = std::min(s.goodput, sum_.worst_goodput.value_or(s.goodput));
        sum_.worst_p99 = std::max(s.p99, sum_.worst_p99.value_or(s.p99));
        if (is_light(of))
            sum_.worst_false_rejections = std::max(s.rejected, sum_.worst_false_rejections.value_or(0));
        if (s.fairness) {
            fairness_ += *s.fairness;
            ++fairness_rows_;
        }
        sum_.quality_by_family[of.family].add(s.quality());
    }

    summary take() {
        if (fairness_rows_ > 0)
            sum_.mean_fairness = fairness_ / static_cast<double>(fairness_rows_);
        return std::move(sum_);
    }

private:
    summary sum_;
    double fairness_ = 0;
    std::size_t fairness_rows_ = 0;
};

} // namespace detail

/// Returns a summary for each strategy, in the order of `strategies`.
inline std::vector<summary> summarize(const std::vector<result>& results, const std::vector<std::string>& strategies) {
    std::vector<summary> all;
    for (std::size_t i = 0; i < strategies.size(); ++i) {
        detail::summarizer s(strategies[i]);
        for (const result& r : results)
            for (const score& of_seed : r.scores[i])
                s.add(r.of, of_seed);
        all.push_back(s.take());
    }
    return all;
}

} // namespace lab

#endif
