// line_chart.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_BENCHMARKS_LINE_CHART_HPP
#define FLOWGUARD_BENCHMARKS_LINE_CHART_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "round_step.hpp"

/// A few lines over a logarithmic axis, as SVG.
class line_chart {
public:
    using points = std::vector<std::pair<double, double>>;

    line_chart(std::string title, std::string x_title) : title_(std::move(title)), x_title_(std::move(x_title)) {}

    /// Without points, nothing is added.
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
        out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"360\" viewBox=\"0 0 800 360\" "
               "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\">\n"
            << "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n"
            << "<text x=\"" << left << "\" y=\"24\" font-size=\"14\" font-weight=\"600\">" << title_ << "</text>\n";
        const double step = round_step(y_most_ / 5);
        for (double y = 0; y <= y_most_ * 1.05; y += step) {
            out << "<line x1=\"" << left << "\" x2=\"" << right << "\" y1=\"" << y_of(y) << "\" y2=\"" << y_of(y)
                << "\" stroke=\"#e3e6ea\"/>\n";
            text(out, left - 8, y_of(y) + 4, "end", number(y));
        }
        for (const auto& [x, y] : lines_.front().second)
            text(out, x_of(x), bottom + 18, "middle", number(x));
        text(out, (left + right) / 2, bottom + 36, "middle", x_title_);

        std::vector<std::pair<double, std::size_t>> ends; // of the lines, from the top
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            out << "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" << colour(i) << "\" points=\"";
            for (const auto& [x, y] : lines_[i].second)
                out << x_of(x) << ',' << y_of(y) << ' ';
            out << "\"/>\n";
            for (const auto& [x, y] : lines_[i].second)
                out << "<circle r=\"3\" cx=\"" << x_of(x) << "\" cy=\"" << y_of(y) << "\" fill=\"" << colour(i)
                    << "\"/>\n";
            ends.emplace_back(y_of(lines_[i].second.back().second), i);
        }
        std::sort(ends.begin(), ends.end());
        double free = 0; // below the label before
        for (const auto& [y, i] : ends) {
            free = std::max(free, y + 4);
            out << "<text x=\"" << right + 10 << "\" y=\"" << free << "\" fill=\"" << colour(i) << "\">"
                << lines_[i].first << "</text>\n";
            free += 15;
        }
        out << "</svg>\n";
    }

private:
    static constexpr double left = 60, right = 560, top = 44, bottom = 300;

    static const char* colour(std::size_t i) {
        constexpr std::array colours{"#0b62c4", "#c2410c", "#15803d", "#7e22ce", "#475569", "#b91c1c"};
        return colours[i % colours.size()];
    }

    double x_of(double x) const {
        const double span = std::log(x_most_ / x_least_);
        return left + 10 + (right - left - 20) * (span > 0 ? std::log(x / x_least_) / span : 0.5);
    }
    double y_of(double y) const { return bottom - (bottom - top) * y / (y_most_ * 1.05); }

    static std::string number(double value) {
        char text[32];
        if (value >= 1e6)
            std::snprintf(text, sizeof text, "%.3g million", value / 1e6);
        else
            std::snprintf(text, sizeof text, "%.6g", value);
        return text;
    }

    static void text(std::ostream& out, double x, double y, const char* anchor, const std::string& what) {
        out << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\" fill=\"#475569\">" << what
            << "</text>\n";
    }

    std::string title_;
    std::string x_title_;
    std::vector<std::pair<std::string, points>> lines_;
    double x_least_ = 1, x_most_ = 0, y_most_ = 0;
};

#endif
