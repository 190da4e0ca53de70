// page.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_PAGE_HPP
#define LAB_PAGE_HPP

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "chart.hpp"
#include "experiment.hpp"
#include "slug.hpp"
#include "summary.hpp"
#include "support/svg.hpp"
#include "table.hpp"

namespace lab {

/// An HTML page beside the charts: the summary, and each scenario in its family.
class page {
public:
    page(const std::vector<result>& results, const std::vector<std::string>& strategies)
        : results_(results), strategies_(strategies) {
        for (const result& r : results) {
            const auto is_its = [&r](const auto& family) { return family.first == r.of.family; };
            auto family = std::find_if(families_.begin(), families_.end(), is_its);
            if (family == families_.end())
                family = families_.insert(families_.end(), {r.of.family, {}});
            family->second.push_back(&r);
        }
    }

    static std::string chart_name(const scenario& s) { return slug(s.name) + ".svg"; }

    void write(std::ostream& out) const {
        out << head;
        write_summary(out);
        write_contents(out);
        for (const auto& [family, members] : families_) {
            out << "<h2 id=\"" << slug("family " + family) << "\">" << support::escaped(family) << "</h2>\n";
            for (const result* r : members)
                write_scenario(out, *r);
        }
        out << "</main>\n</body>\n</html>\n";
    }

private:
    static constexpr const char* head = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>FlowGuard: control lab</title>
<style>
body { margin: 0; background: #f6f8fa; color: #1f2328; font: 14px/1.5 system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 16px; }
a { color: #0969da; text-decoration: none; }
a:hover { text-decoration: underline; }
h2 { margin: 40px 0 8px; border-bottom: 1px solid #d0d7de; }
h3 { margin: 28px 0 8px; }
img { display: block; max-width: 100%; height: auto; border: 1px solid #d0d7de; border-radius: 8px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: #ffffff; font-variant-numeric: tabular-nums; margin: 8px 0; }
th, td { padding: 3px 10px; border: 1px solid #d0d7de; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr:nth-child(2) { font-weight: 600; }
pre { white-space: pre-wrap; color: #57606a; font: inherit; }
summary { cursor: pointer; color: #57606a; margin: 6px 0; }
</style>
</head>
<body>
<main>
<h1>FlowGuard: control lab</h1>
<p>Strategies that set limits for simulated servers are compared with an oracle. The oracle knows each scenario
beforehand, and sets the best static limit for each of its phases.</p>
)";

    void write_summary(std::ostream& out) const {
        const std::vector<summary> summaries = summarize(results_, strategies_);
        out << "<h2 id=\"summary\">Summary of " << results_.size()
            << " scenarios</h2>\n<p>Geometric means of S, Q, min(1, G) and max(1, P).</p>\n";
        write_table(out, table_of(summaries));
        for (const family_measure& m : family_measures) {
            out << "<p>" << m.name << " by family.</p>\n";
            write_table(out, families_of(summaries, m.of));
        }
        out << "<pre>" << support::escaped(legend) << "</pre>\n";
    }

    void write_contents(std::ostream& out) const {
        out << "<h2 id=\"scenarios\">Scenarios</h2>\n<ul>\n";
        for (const auto& [family, members] : families_) {
            out << "<li><a href=\"#" << slug("family " + family) << "\"><b>" << support::escaped(family)
                << "</b></a>: ";
            const char* separator = "";
            for (const result* r : members) {
                const std::string name = r->of.name.substr(r->of.name.find(family) == 0 ? family.size() + 1 : 0);
                out << std::exchange(separator, " &#183; ") << "<a href=\"#" << slug(r->of.name) << "\">"
                    << support::escaped(name) << "</a>";
            }
            out << "</li>\n";
        }
        out << "</ul>\n";
    }

    void write_scenario(std::ostream& out, const result& r) const {
        const std::string file = support::escaped(chart_name(r.of));
        out << "<h3 id=\"" << slug(r.of.name) << "\">" << support::escaped(r.of.name)
            << " <a href=\"#scenarios\" title=\"to all scenarios\">&#8593;</a></h3>\n"
            << "<a href=\"" << file << "\"><img loading=\"lazy\" src=\"" << file << "\" width=\"" << chart::width
            << "\" height=\"" << chart::height(strategies_.size()) << "\" alt=\"Load, limits and p99 over time\"></a>\n"
            << "<details><summary>Scores</summary>\n";
        write_table(out, scores_of(r, strategies_));
        out << "</details>\n";
    }

    static void write_table(std::ostream& out, const table& t) {
        out << "<div class=\"scroll\"><table>\n";
        for (std::size_t i = 0; i < t.size(); ++i) {
            const char* cell = i == 0 ? "th" : "td";
            out << "<tr>";
            for (const std::string& text : t[i])
                out << '<' << cell << '>' << support::escaped(text) << "</" << cell << '>';
            out << "</tr>\n";
        }
        out << "</table></div>\n";
    }

    const std::vector<result>& results_;
    const std::vector<std::string>& strategies_;
    std::vector<std::pair<std::string, std::vector<const result*>>> families_; // in the order of their first scenarios
};

} // namespace lab

#endif
