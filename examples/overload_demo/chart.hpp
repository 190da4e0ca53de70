// chart.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_CHART_HPP
#define OVERLOAD_DEMO_CHART_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recorder.hpp"
#include "report.hpp"
#include "schedule.hpp"
#include "support/svg.hpp"

namespace overload_demo {

/// Draws runs of the same schedule as an SVG: limit, goodput and latency over time.
class chart {
public:
    explicit chart(const std::vector<recorder>& runs) : runs_(runs), plan_(runs.front().plan()) {}

    void write(std::ostream& out) const {
        support::svg_writer svg(out, width, height,
                                "Overload: without a guard, with static limits, and with FlowGuard");
        draw_phases(svg);

        const double most = peak_load() * plan_.capacity * 1.08;
        const panel limits{"Concurrency limit", 66, 140, 1, highest_limit() * 1.5, true};
        const panel goodputs{"Goodput, requests/s", 256, 170, 0, most, false};
        const panel latencies{"p99 latency, ms", 476, 150, 5, longest_latency() * 1.5, true};

        for (const panel& p : {limits, goodputs, latencies})
            p.draw_axes(svg, left, right);
        latencies.draw_time(svg, left, right, plan_.length().count());

        draw_level(svg, goodputs, plan_.capacity, "capacity");
        draw_level(svg, latencies, milliseconds(runs_.front().deadline()), "clients give up");
        draw_offered(svg, goodputs);

        draw_lines(svg, limits, [](const recorder&, const reading& r) {
            return static_cast<double>(r.limit > 0 ? r.limit : r.in_flight);
        });
        draw_lines(svg, goodputs,
                   [this](const recorder& run, const reading& r) { return seen_around(run, r.time).goodput(); });
        draw_lines(svg, latencies, [this](const recorder& run, const reading& r) {
            return milliseconds(seen_around(run, r.time).p99.value);
        });

        const std::string when = "at " + times_capacity(plan_.phases[1].load);
        draw_key(svg, limits, "mean limit " + when,
                 [](const summary& s) { return s.mean_limit > 0 ? text_of(s.mean_limit) : "none (line: in flight)"; });
        draw_key(svg, goodputs, "goodput " + when,
                 [this](const summary& s) { return text_of(percent(s.goodput(), plan_.capacity)) + " % of capacity"; });
        draw_key(svg, latencies, "p99 " + when, [](const summary& s) { return text_of_html(s.p99) + " ms"; });
    }

private:
    static constexpr double width = 900, height = 658;
    static constexpr double left = 62, right = 690;

    using panel = support::chart_panel;
    using style = support::line_style;

    // Styles that differ in more than their hue.
    static style style_of(std::size_t run) {
        static constexpr std::array<style, 4> styles{{{"#cf222e", "1.8", "none"},
                                                      {"#bf6a02", "1.8", "7 3"},
                                                      {"#6e7781", "1.8", "2 3"},
                                                      {"#0969da", "2.8", "none"}}};
        return styles[run % styles.size()];
    }

    static std::string text_of_html(latency l) { return (l.at_least ? "&gt; " : "") + text_of(milliseconds(l.value)); }

    double x(seconds time) const { return left + (right - left) * (time / plan_.length()); }

    double peak_load() const {
        double most = 0;
        for (const phase& p : plan_.phases)
            most = std::max(most, p.load);
        return most;
    }

    double highest_limit() const {
        std::size_t most = 10;
        for (const recorder& run : runs_)
            for (const reading& r : run.readings())
                most = std::max({most, r.limit, r.limit > 0 ? 0 : r.in_flight});
        return static_cast<double>(most);
    }

    double longest_latency() const {
        double most = 100;
        for (const recorder& run : runs_)
            most = std::max(most, milliseconds(run.seen_between(seconds(0), plan_.length()).p99.value));
        return most;
    }

    // Rates and quantiles are those of a sliding window around each point.
    summary seen_around(const recorder& run, seconds time) const {
        const seconds half = std::max(plan_.length() / 48, seconds(0.075));
        return run.seen_between(std::max(time - half, seconds(0)), std::min(time + half, plan_.length()));
    }

    static std::string times_capacity(double load) {
        return text_of(load, load == std::floor(load) ? 0 : 1) + " &#215; capacity";
    }

    void draw_phases(support::svg_writer& svg) const {
        for (const phase& p : plan_.phases) {
            const bool overload = p.load > 1;
            svg.rectangle(x(p.begin), 34, x(p.end) - x(p.begin), 592,
                          overload ? "fill=\"#fff1e5\"" : "fill=\"#f6f8fa\"");
            svg.text((x(p.begin) + x(p.end)) / 2, 26, times_capacity(p.load) + " offered",
                     overload ? "text-anchor=\"middle\" font-weight=\"600\" fill=\"#953800\""
                              : "text-anchor=\"middle\" fill=\"#57606a\"");
        }
    }

    static void draw_level(support::svg_writer& svg, const panel& p, double value, std::string_view label) {
        svg.line(left, p.y(value), right, p.y(value), "stroke=\"#1f2328\" stroke-opacity=\"0.55\"");
        svg.text(left + 6, p.y(value) - 5, label, "fill=\"#1f2328\" font-size=\"11\"");
    }

    void draw_offered(support::svg_writer& svg, const panel& p) const {
        support::svg_writer::points line;
        for (const phase& part : plan_.phases)
            for (const seconds t : {part.begin, part.end})
                line.push_back({x(t), p.y(part.load * plan_.capacity)});
        svg.polyline(line, style{"#1f2328", "1.2", "4 4"}.stroke());
        const phase& overload = plan_.phases[1];
        svg.text(x(overload.begin) + 6, p.y(overload.load * plan_.capacity) + 14, "offered",
                 "fill=\"#1f2328\" font-size=\"11\"");
    }

    void draw_lines(support::svg_writer& svg, const panel& p,
                    const std::function<double(const recorder&, const reading&)>& value) const {
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            support::svg_writer::points line;
            for (const reading& r : runs_[i].readings())
                if (const double v = value(runs_[i], r); v > 0 || !p.logarithmic) // no answers: no latency
                    line.push_back({x(r.time), p.y(v)});
            svg.polyline(line, style_of(i).stroke() + " stroke-linejoin=\"round\"");
        }
    }

    // The legend, with the result of each run under overload.
    void draw_key(support::svg_writer& svg, const panel& p, std::string_view title,
                  const std::function<std::string(const summary&)>& value) const {
        double y = p.top + 6;
        svg.text(right + 18, y, title, "fill=\"#57606a\" font-size=\"11\"");
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            y += 30;
            const style s = style_of(i);
            svg.line(right + 18, y - 5, right + 42, y - 5, s.stroke());
            svg.text(right + 50, y - 2, runs_[i].name(), s.fill() + " font-weight=\"600\"");
            svg.text(right + 50, y + 12, value(runs_[i].of_phase(1)), s.fill());
        }
    }

    const std::vector<recorder>& runs_;
    const schedule& plan_;
};

} // namespace overload_demo

#endif
