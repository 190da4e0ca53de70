// table.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_TABLE_HPP
#define LAB_TABLE_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <iomanip>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "load.hpp"
#include "score.hpp"
#include "summary.hpp"
#include "support/svg.hpp"

namespace lab {

/// Rows of texts. The first row is the heading.
using table = std::vector<std::vector<std::string>>;

using support::decimal;

namespace detail {

inline std::string decimal_or_dash(const std::optional<double>& value, int digits) {
    return value ? decimal(*value, digits) : "-";
}

inline std::string percent_or_dash(const std::optional<double>& share, int digits) {
    return share ? decimal(100 * *share, digits) + " %" : "-";
}

/// The mean over the seeds; nothing if a seed has no value.
template <class F>
std::optional<double> mean(const std::vector<score>& scores, F of) {
    double sum = 0;
    for (const score& s : scores) {
        const std::optional<double> value = of(s);
        if (!value)
            return std::nullopt;
        sum += *value;
    }
    return sum / static_cast<double>(scores.size());
}

} // namespace detail

/// The scores of the strategies in one scenario, as means of all seeds.
inline table scores_of(const result& r, const std::vector<std::string>& strategies) {
    using namespace detail;
    table t{{"strategy", "S", "strict", "G", "P", "Q", "false", "recovery", "oscillation", "fairness"}};
    if (r.of.compares_guards)
        t.front().insert(t.front().end(), {"least", "far", "static", "inner osc."});
    for (std::size_t i = 0; i < strategies.size(); ++i) {
        const auto of = [&scores = r.scores[i]](auto what) { return detail::mean(scores, what); };
        const auto recovery = of([](const score& s) { return s.recovery; });
        t.push_back({strategies[i], decimal_or_dash(of([](const score& s) { return s.in_time; }), 3),
                     decimal_or_dash(of([](const score& s) { return s.in_time_strict; }), 3),
                     decimal_or_dash(of([](const score& s) { return s.goodput; }), 3),
                     decimal_or_dash(of([](const score& s) { return s.p99; }), 2),
                     decimal_or_dash(of([](const score& s) { return s.quality(); }), 3),
                     is_light(r.of) ? percent_or_dash(of([](const score& s) { return s.rejected; }), 2) : "-",
                     recovery ? decimal(*recovery, 2) + " s" : "-",
                     decimal_or_dash(of([](const score& s) { return s.oscillation; }), 2),
                     decimal_or_dash(of([](const score& s) { return s.fairness; }), 3)});
        if (r.of.compares_guards)
            for (const auto share :
                 {&score::least_share, &score::far_share, &score::static_share, &score::inner_oscillation})
                t.back().push_back(decimal_or_dash(of([share](const score& s) { return s.*share; }), 2));
    }
    return t;
}

inline table table_of(const std::vector<summary>& summaries) {
    using namespace detail;
    table t{
        {"strategy", "S", "strict", "Q", "G", "P", "good", "worst S", "worst G", "worst P", "worst false", "fairness"}};
    for (const summary& s : summaries)
        t.push_back({s.strategy, decimal(s.in_time.value(), 3), decimal(s.in_time_strict.value(), 3),
                     decimal(s.quality.value(), 3), decimal(s.goodput.value(), 3), decimal(s.p99.value(), 2),
                     percent_or_dash(s.good_share(), 0), decimal_or_dash(s.worst_in_time, 3),
                     decimal_or_dash(s.worst_goodput, 3), decimal_or_dash(s.worst_p99, 2),
                     percent_or_dash(s.worst_false_rejections, 2), decimal_or_dash(s.mean_fairness, 3)});
    return t;
}

/// A measure of each family.
inline table families_of(const std::vector<summary>& summaries,
                         std::map<std::string, geometric_mean> summary::* measure) {
    std::set<std::string> families;
    for (const summary& s : summaries)
        for (const auto& [family, value] : s.*measure)
            families.insert(family);
    table t{{"strategy"}};
    t.front().insert(t.front().end(), families.begin(), families.end());
    for (const summary& s : summaries) {
        t.push_back({s.strategy});
        for (const std::string& family : families)
            t.back().push_back(decimal((s.*measure).at(family).value(), 3));
    }
    return t;
}

/// A measure that is shown for each family, and its name.
struct family_measure {
    const char* name;
    std::map<std::string, geometric_mean> summary::* of;
};
inline constexpr std::array family_measures{family_measure{"S", &summary::in_time_by_family},
                                            family_measure{"Strict S", &summary::in_time_strict_by_family},
                                            family_measure{"Q", &summary::quality_by_family}};

/// What the columns mean.
inline constexpr const char* legend =
    "S: answers in time, within twice the p99 of one request at a time, over those of the oracle with the most.\n"
    "strict: S with that p99 and one mean service time instead.\n"
    "G: goodput over that of the oracle, which knows the scenario and sets the best static limit for each phase.\n"
    "P: p99 over that of the smallest static limits that reach 95 % of the oracle's goodput.\n"
    "Q: min(1, G) / max(1, P). good: G >= 0.93 and P <= 1.25.\n"
    "false: the share that is rejected although the load never exceeds 0.8 x the capacity.\n"
    "recovery: the time from the worst change until goodput stays at 90 % of its final level.\n"
    "oscillation: of the limit, standard deviation over mean. fairness: Jain's index of the guards' goodputs.\n";

/// Prints a table, with names aligned to the left and numbers to the right.
inline void print(std::ostream& out, const table& t) {
    std::vector<std::size_t> widths(t.front().size());
    for (const auto& row : t)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    for (const auto& row : t) {
        out << "  " << std::left << std::setw(static_cast<int>(widths[0])) << row[0] << std::right;
        for (std::size_t i = 1; i < row.size(); ++i)
            out << "  " << std::setw(static_cast<int>(widths[i])) << row[i];
        out << '\n';
    }
}

/// Prints a table for each scenario.
inline void print_scores(std::ostream& out, const std::vector<result>& results,
                         const std::vector<std::string>& strategies) {
    for (const result& r : results) {
        out << r.of.name << '\n';
        print(out, scores_of(r, strategies));
        out << '\n';
    }
}

inline void print_summary(std::ostream& out, const std::vector<summary>& summaries, std::size_t scenarios) {
    out << "All " << scenarios << " scenarios: geometric means of S, Q, min(1, G) and max(1, P)\n";
    print(out, table_of(summaries));
    for (const family_measure& m : family_measures) {
        out << '\n' << m.name << " by family\n";
        print(out, families_of(summaries, m.of));
    }
    out << '\n' << legend;
}

} // namespace lab

#endif
