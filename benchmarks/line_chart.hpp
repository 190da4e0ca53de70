// line_chart.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_BENCHMARKS_LINE_CHART_HPP
#define FLOWGUARD_BENCHMARKS_LINE_CHART_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/svg.hpp"

/// A chart of a few lines, with a logarithmic x axis, as SVG.
class line_chart {
public:
    using points = std::vector<std::pair<double, double>>;

    line_chart(std::string title, std::string x_title) : title_(std::move(title)), x_title_(std::move(x_title)) {}

    /// Adds a line, unless it has no points.
    void add(std::string name, points line) {
        if (line.empty())
            return;
        for (const auto& [x, y] : line) {
            x_least_ = lines_.empty() && x_most_ == 0 ? x : std::min(x_least_, x);
            x_most_ = std::max(x_most_, x);
            y_most_ = std::max(y_most_, y);
        }
        lines_.emplace_back(std::move(name), std::move(line));
    }

    bool empty() const { return lines_.empty(); }

    void write(std::ostream& out) const {
        support::svg_writer svg(out, 800, 360, title_);
        svg.text(left, 24, title_, "font-size=\"14\" font-weight=\"600\"");
        const double step = support::round_step(y_most_ / 5);
        for (double y = 0; y <= y_most_ * 1.05; y += step) {
            svg.line(left, y_of(y), right, y_of(y), "stroke=\"#e3e6ea\"");
            svg.text(left - 8, y_of(y) + 4, number(y), "text-anchor=\"end\" fill=\"#475569\"");
        }
        for (const auto& [x, y] : lines_.front().second)
            svg.text(x_of(x), bottom + 18, number(x), "text-anchor=\"middle\" fill=\"#475569\"");
        svg.text((left + right) / 2, bottom + 36, x_title_, "text-anchor=\"middle\" fill=\"#475569\"");

        std::vector<std::pair<double, std::size_t>> ends; // the ends of the lines, from the top
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            support::svg_writer::points line;
            for (const auto& [x, y] : lines_[i].second)
                line.push_back({x_of(x), y_of(y)});
            const support::line_style style = style_of(i);
            svg.polyline(line, style.stroke());
            for (const auto& [x, y] : line)
                svg.circle(x, y, 3, style.fill());
            ends.emplace_back(line.back().y, i);
        }
        std::sort(ends.begin(), ends.end());
        double free = 0; // the label below the earlier ones can begin here
        for (const auto& [y, i] : ends) {
            free = std::max(free, y + 4);
            svg.text(right + 10, free, lines_[i].first, style_of(i).fill());
            free += 15;
        }
    }

private:
    static constexpr double left = 60, right = 560, top = 44, bottom = 300;

    static support::line_style style_of(std::size_t i) {
        constexpr std::array colours{"#0b62c4", "#c2410c", "#15803d", "#7e22ce", "#475569", "#b91c1c"};
        return {colours[i % colours.size()], "2"};
    }

    double x_of(double x) const {
        const double span = std::log(x_most_ / x_least_);
        return left + 10 + (right - left - 20) * (span > 0 ? std::log(x / x_least_) / span : 0.5);
    }
    double y_of(double y) const { return bottom - (bottom - top) * y / (y_most_ * 1.05); }

    static std::string number(double value) {
        return value >= 1e6 ? support::significant(value / 1e6, 3) + " million" : support::significant(value, 6);
    }

    std::string title_;
    std::string x_title_;
    std::vector<std::pair<std::string, points>> lines_;
    double x_least_ = 1, x_most_ = 0, y_most_ = 0;
};

#endif
