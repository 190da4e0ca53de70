// chart.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_CHART_HPP
#define LAB_CHART_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contenders.hpp"
#include "experiment.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "score.hpp"
#include "support/svg.hpp"
#include "table.hpp"

namespace lab {

/// Draws the kept runs of a scenario as an SVG: load and goodput, limits, and p99 over time.
class chart {
public:
    static constexpr double width = 960;

    chart(const result& r, const std::vector<std::string>& strategies)
        : result_(r), strategies_(strategies), oracle_(curves_of(r.oracle_run)) {
        const std::vector<contender> all = contenders();
        for (std::size_t i = 0; i < strategies.size(); ++i) {
            runs_.push_back(curves_of(r.runs[i]));
            const auto known =
                std::find_if(all.begin(), all.end(), [&](const contender& c) { return c.name == strategies[i]; });
            styles_.push_back(style_of(static_cast<std::size_t>(known - all.begin())));
        }
    }

    static double height(std::size_t strategies) {
        return key_top + key_row * static_cast<double>(key_rows(strategies));
    }

    void write(std::ostream& out) const {
        support::svg_writer svg(out, width, height(strategies_.size()), support::escaped(result_.of.name));
        draw_heading(svg);

        const std::array<panel, 3> panels{
            goodput_panel(),
            logarithmic_panel(result_.of.guards() > 1 ? "Limit, the sum of all guards'" : "Limit", 332, &curves::limit,
                              highest_limit()),
            logarithmic_panel("p99, ms", 530, &curves::p99, std::numeric_limits<double>::max())};
        const auto& [goodputs, limits, latencies] = panels;
        draw_offered(svg, goodputs);
        for (const panel& p : panels)
            p.draw_axes(svg, left, right);
        draw_phases(svg, panels);
        latencies.draw_time(svg, left, right, result_.of.length());
        draw_curves(svg, goodputs, &curves::goodput, false);
        draw_curves(svg, limits, &curves::limit, true);
        draw_curves(svg, latencies, &curves::p99, false);
        draw_key(svg);
    }

private:
    static constexpr double left = 64, right = 936, phases_top = 62, key_top = 752, key_row = 20;
    static constexpr std::size_t key_columns = 4;

    // Values by bin. Rates and quantiles are those of a sliding window around each bin: one bin alone has too few
    // requests.
    struct curves {
        std::vector<double> offered, goodput; // requests per second
        std::vector<double> limit;
        std::vector<double> p99; // milliseconds; 0: no answers
    };

    static curves curves_of(const record& run) {
        constexpr std::size_t around = 2;
        curves c;
        for (std::size_t i = 0; i < run.bins.size(); ++i) {
            const std::size_t first = i - std::min(i, around), end = std::min(i + around + 1, run.bins.size());
            const double length = static_cast<double>(end - first) * run.bin_length();
            c.offered.push_back(run.sum(first, end, [](const bin& b) { return b.offered; }) / length);
            c.goodput.push_back(run.succeeded(first, end) / length);
            c.limit.push_back(run.bins[i].limit);
            c.p99.push_back(1e3 * run.p99(first, end));
        }
        return c;
    }

    // ---- Panels ----

    using panel = support::chart_panel;
    using style = support::line_style;
    using points = support::svg_writer::points;

    using curve = std::vector<double> curves::*;

    static double highest(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

    // Chosen so that goodputs can be told apart, even under a load that is many times higher.
    panel goodput_panel() const {
        double most = highest(oracle_.goodput);
        for (const curves& run : runs_)
            most = std::max(most, highest(run.goodput));
        const double load = highest(oracle_.offered);
        const double top = std::max(1.0, 1.08 * std::min(load, 1.5 * most));
        std::string title = "Goodput, requests/s; grey area: offered";
        if (load > top)
            title += ", up to " + number(load);
        return {std::move(title), 108, 180, 0, top, false};
    }

    // Higher limits, some of which are practically infinite, are drawn at the edge.
    double highest_limit() const { return 100 * highest(oracle_.limit); }

    panel logarithmic_panel(std::string title, double top, curve values, double bound) const {
        double least = std::numeric_limits<double>::max(), most = 0;
        const auto include = [&](const curves& run) {
            for (const double v : run.*values)
                if (v > 0 && v <= bound) {
                    least = std::min(least, v);
                    most = std::max(most, v);
                }
        };
        include(oracle_);
        for (const curves& run : runs_)
            include(run);
        if (most <= 0)
            least = most = 1; // nothing to show
        const double centre = std::sqrt(least * most);
        return {std::move(title), top, 150, std::min(0.85 * least, centre / 2), std::max(1.2 * most, 2 * centre), true};
    }

    double x(double time) const { return left + (right - left) * time / result_.of.length(); }
    double x_of_bin(std::size_t i) const { return x((static_cast<double>(i) + 0.5) * result_.oracle_run.bin_length()); }

    // ---- Lines ----

    // The style of a contender, by its index among all contenders. Styles differ in more than their hue.
    static style style_of(std::size_t contender) {
        static constexpr std::array<style, 12> styles{{{"#0969da", "2.8", "none"},
                                                       {"#cf222e", "1.2", "none"},
                                                       {"#bf6a02", "1.4", "8 3"},
                                                       {"#6e7781", "1.6", "2 3"},
                                                       {"#6e7781", "1.6", "10 3 2 3"},
                                                       {"#8250df", "1.4", "5 2"},
                                                       {"#1a7f37", "1.2", "none"},
                                                       {"#1a7f37", "1.6", "3 3"},
                                                       {"#bf3989", "1.4", "9 2 2 2"},
                                                       {"#7d4e00", "1.4", "1 2"},
                                                       {"#0a7d8c", "1.4", "6 2 1 2 1 2"},
                                                       {"#1f2328", "1.2", "2 5"}}};
        return styles[contender % styles.size()];
    }
    static constexpr style oracle_style{"#1f2328", "1.8", "none"};

    // Draws the first strategy last, so that it lies above the others.
    void draw_curves(support::svg_writer& svg, const panel& p, curve values, bool oracle_in_steps) const {
        for (std::size_t i = runs_.size(); i-- > 1;)
            draw_curve(svg, p, runs_[i].*values, styles_[i], false);
        draw_curve(svg, p, oracle_.*values, oracle_style, oracle_in_steps);
        if (!runs_.empty())
            draw_curve(svg, p, runs_.front().*values, styles_.front(), false);
    }

    void draw_curve(support::svg_writer& svg, const panel& p, const std::vector<double>& values, const style& s,
                    bool in_steps) const {
        points line;
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (p.logarithmic && values[i] <= 0)
                continue;
            const double y = p.y(values[i]);
            if (in_steps && !line.empty())
                line.push_back({x_of_bin(i), line.back().y});
            line.push_back({x_of_bin(i), y});
        }
        svg.polyline(line, s.stroke() + " stroke-linejoin=\"round\"");
    }

    void draw_offered(support::svg_writer& svg, const panel& p) const {
        const std::vector<double>& offered = oracle_.offered;
        points area{{left, p.bottom()}, {left, p.y(offered.front())}};
        for (std::size_t i = 0; i < offered.size(); ++i)
            area.push_back({x_of_bin(i), p.y(offered[i])});
        area.push_back({right, p.y(offered.back())});
        area.push_back({right, p.bottom()});
        svg.polygon(area, "fill=\"#e7ebf0\"");
    }

    // ---- Heading, phases and key ----

    static std::string number(double value, int digits = 0) { return support::decimal(value, digits); }
    static std::string short_number(double value) { return support::significant(value, 3); }

    void draw_heading(support::svg_writer& svg) const {
        const scenario& s = result_.of;
        svg.text(left, 28, support::escaped(s.name), "font-size=\"16\" font-weight=\"600\" fill=\"#1f2328\"");
        std::string about = short_number(1e3 * s.service) + " ms a request";
        if (s.shares())
            about += " alone, most done with " + number(s.best_concurrency()) + " at once";
        if (s.connect > 0)
            about += ", " + short_number(1e3 * s.connect) + " ms more with a new connection";
        if (s.downstream > 0)
            about += ", and " + short_number(1e3 * s.downstream) + " ms downstream";
        about += "; callers give up after " + short_number(s.time_out) + " s";
        if (s.initial_limit > 0)
            about += "; first limit " + std::to_string(s.initial_limit);
        svg.text(left, 47, about, "fill=\"#57606a\"");
    }

    std::string text_of(const phase& p) const {
        const scenario& s = result_.of;
        const double capacity = s.capacity(p.workers, p.slowdown);
        std::string text = short_number(p.rate / capacity) + " &#215; capacity";
        if (!s.shares())
            text += ", " + number(p.workers) + " workers";
        if (p.slowdown != 1)
            text += ", " + short_number(p.slowdown) + " &#215; slower";
        if (p.guards > 1)
            text += ", " + std::to_string(p.guards) + " guards";
        return text;
    }

    // Draws a line at the start of each phase, but not through the titles between the panels.
    void draw_phases(support::svg_writer& svg, const std::array<panel, 3>& panels) const {
        const scenario& s = result_.of;
        double start = 0;
        for (const phase& p : s.phases) {
            svg.line(x(start), phases_top, x(start), phases_top + 14, "stroke=\"#8c959f\"");
            svg.text(x(start) + 5, phases_top + 11, text_of(p), "fill=\"#1f2328\" font-size=\"11\"");
            for (const panel& part : panels)
                svg.line(x(start), part.top, x(start), part.bottom(), "stroke=\"#8c959f\"");
            start += p.length;
        }
        const double counted = x(score::warm_up * s.length());
        for (const panel& part : panels)
            svg.line(counted, part.top, counted, part.bottom(), "stroke=\"#8c959f\" stroke-dasharray=\"2 3\"");
        svg.text(counted, panels.back().bottom() + 33, "&#8593; counted from here",
                 "fill=\"#57606a\" font-size=\"10\"");
    }

    static std::size_t key_rows(std::size_t strategies) { return (strategies + 1 + key_columns - 1) / key_columns; }

    void draw_key(support::svg_writer& svg) const {
        draw_key_entry(svg, 0, "oracle", "least for G 0.95", oracle_style);
        for (std::size_t i = 0; i < strategies_.size(); ++i) {
            const score& s = result_.scores[i].front();
            draw_key_entry(svg, i + 1, strategies_[i],
                           "G " + number(s.goodput, 2) + ", P " + number(s.p99, s.p99 < 10 ? 2 : 0), styles_[i]);
        }
    }

    void draw_key_entry(support::svg_writer& svg, std::size_t place, std::string_view name, std::string_view more,
                        const style& s) const {
        const std::size_t rows = key_rows(strategies_.size());
        const double left_edge = left + (right - left) / key_columns * static_cast<double>(place / rows);
        const double y = key_top - 20 + key_row * static_cast<double>(place % rows + 1);
        svg.line(left_edge, y - 4, left_edge + 26, y - 4, s.stroke());
        svg.text(left_edge + 32, y, support::escaped(name), s.fill() + " font-size=\"11\" font-weight=\"600\"");
        svg.text(left_edge + 122, y, more, "fill=\"#57606a\" font-size=\"11\"");
    }

    const result& result_;
    const std::vector<std::string>& strategies_;
    curves oracle_;
    std::vector<curves> runs_; // by strategy, as styles_ is
    std::vector<style> styles_;
};

} // namespace lab

#endif
