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

namespace overload_demo {

/// Draws runs of the same schedule as an SVG: limit, goodput and latency over time.
class chart {
public:
    explicit chart(const std::vector<recorder>& runs) : runs_(runs), plan_(runs.front().plan()) {}

    void write(std::ostream& out) const {
        const std::string w = text_of(width), h = text_of(height);
        out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << w << "\" height=\"" << h << "\" viewBox=\"0 0 "
            << w << ' ' << h
            << "\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\">\n"
            << "<title>Overload: without a guard, with static limits, and with FlowGuard</title>\n"
            << "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n";
        draw_phases(out);

        const double most = peak_load() * plan_.capacity * 1.08;
        const panel limits{"Concurrency limit", 66, 140, 1, highest_limit() * 1.5, true};
        const panel goodputs{"Goodput, requests/s", 256, 170, 0, most, false};
        const panel latencies{"p99 latency, ms", 476, 150, 5, longest_latency() * 1.5, true};

        draw_axes(out, limits);
        draw_axes(out, goodputs);
        draw_axes(out, latencies);
        draw_time(out, latencies);

        draw_level(out, goodputs, plan_.capacity, "capacity");
        draw_level(out, latencies, milliseconds(runs_.front().deadline()), "clients give up");
        draw_offered(out, goodputs);

        draw_lines(out, limits, [](const recorder&, const reading& r) {
            return static_cast<double>(r.limit > 0 ? r.limit : r.in_flight);
        });
        draw_lines(out, goodputs,
                   [this](const recorder& run, const reading& r) { return seen_around(run, r.time).goodput(); });
        draw_lines(out, latencies, [this](const recorder& run, const reading& r) {
            return milliseconds(seen_around(run, r.time).p99.value);
        });

        const std::string when = "at " + times_capacity(plan_.phases[1].load);
        draw_key(out, limits, "mean limit " + when,
                 [](const summary& s) { return s.mean_limit > 0 ? text_of(s.mean_limit) : "none (line: in flight)"; });
        draw_key(out, goodputs, "goodput " + when,
                 [this](const summary& s) { return text_of(percent(s.goodput(), plan_.capacity)) + " % of capacity"; });
        draw_key(out, latencies, "p99 " + when, [](const summary& s) { return text_of_html(s.p99) + " ms"; });
        out << "</svg>\n";
    }

private:
    static constexpr double width = 900, height = 658;
    static constexpr double left = 62, right = 690;

    struct panel {
        std::string_view title;
        double top, size;
        double least, most; // of the values shown
        bool logarithmic;

        double y(double value) const {
            const double v = std::clamp(value, least, most);
            const double share =
                logarithmic ? std::log(v / least) / std::log(most / least) : (v - least) / (most - least);
            return top + size * (1 - share);
        }
    };

    struct style {
        std::string_view colour, line_width, dashes;
    };

    // Told apart by more than their hue.
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

    // Rates and quantiles are those of a window around each point, which slides.
    summary seen_around(const recorder& run, seconds time) const {
        const seconds half = std::max(plan_.length() / 48, seconds(0.075));
        return run.seen_between(std::max(time - half, seconds(0)), std::min(time + half, plan_.length()));
    }

    static std::string times_capacity(double load) {
        return text_of(load, load == std::floor(load) ? 0 : 1) + " &#215; capacity";
    }

    static void draw_text(std::ostream& out, double x, double y, std::string_view text, std::string_view more) {
        out << "<text x=\"" << text_of(x, 1) << "\" y=\"" << text_of(y, 1) << "\" " << more << '>' << text
            << "</text>\n";
    }

    static void draw_line(std::ostream& out, double x1, double y1, double x2, double y2, std::string_view more) {
        out << "<line x1=\"" << text_of(x1, 1) << "\" y1=\"" << text_of(y1, 1) << "\" x2=\"" << text_of(x2, 1)
            << "\" y2=\"" << text_of(y2, 1) << "\" " << more << "/>\n";
    }

    void draw_phases(std::ostream& out) const {
        for (const phase& p : plan_.phases) {
            const bool overload = p.load > 1;
            out << "<rect x=\"" << text_of(x(p.begin), 1) << "\" y=\"34\" width=\"" << text_of(x(p.end) - x(p.begin), 1)
                << "\" height=\"592\" fill=\"" << (overload ? "#fff1e5" : "#f6f8fa") << "\"/>\n";
            draw_text(out, (x(p.begin) + x(p.end)) / 2, 26, times_capacity(p.load) + " offered",
                      overload ? "text-anchor=\"middle\" font-weight=\"600\" fill=\"#953800\""
                               : "text-anchor=\"middle\" fill=\"#57606a\"");
        }
    }

    static std::vector<double> ticks(const panel& p) {
        std::vector<double> values;
        if (p.logarithmic) {
            for (double v = 1; v <= p.most; v *= 10)
                if (v >= p.least)
                    values.push_back(v);
            return values;
        }
        double step = std::pow(10, std::floor(std::log10(p.most)));
        while (p.most / step < 4)
            step /= 2;
        for (double v = 0; v <= p.most; v += step)
            values.push_back(v);
        return values;
    }

    static void draw_axes(std::ostream& out, const panel& p) {
        draw_text(out, left, p.top - 10, p.title, "font-size=\"13\" font-weight=\"600\" fill=\"#1f2328\"");
        for (const double v : ticks(p)) {
            draw_line(out, left, p.y(v), right, p.y(v), "stroke=\"#d0d7de\" stroke-width=\"0.8\"");
            draw_text(out, left - 8, p.y(v) + 4, text_of(v), "text-anchor=\"end\" fill=\"#57606a\"");
        }
    }

    void draw_time(std::ostream& out, const panel& lowest) const {
        const double bottom = lowest.top + lowest.size;
        draw_line(out, left, bottom, right, bottom, "stroke=\"#8c959f\"");
        const double step = plan_.length() > seconds(3) ? 2 : 0.5;
        for (double t = 0; t <= plan_.length().count() + 1e-9; t += step) {
            draw_line(out, x(seconds(t)), bottom, x(seconds(t)), bottom + 4, "stroke=\"#8c959f\"");
            draw_text(out, x(seconds(t)), bottom + 18, text_of(t, step < 1 ? 1 : 0) + " s",
                      "text-anchor=\"middle\" fill=\"#57606a\"");
        }
    }

    static void draw_level(std::ostream& out, const panel& p, double value, std::string_view label) {
        draw_line(out, left, p.y(value), right, p.y(value), "stroke=\"#1f2328\" stroke-opacity=\"0.55\"");
        draw_text(out, left + 6, p.y(value) - 5, label, "fill=\"#1f2328\" font-size=\"11\"");
    }

    void draw_offered(std::ostream& out, const panel& p) const {
        out << "<polyline fill=\"none\" stroke=\"#1f2328\" stroke-width=\"1.2\" stroke-dasharray=\"4 4\" points=\"";
        for (const phase& part : plan_.phases)
            for (const seconds t : {part.begin, part.end})
                out << text_of(x(t), 1) << ',' << text_of(p.y(part.load * plan_.capacity), 1) << ' ';
        out << "\"/>\n";
        const phase& overload = plan_.phases[1];
        draw_text(out, x(overload.begin) + 6, p.y(overload.load * plan_.capacity) + 14, "offered",
                  "fill=\"#1f2328\" font-size=\"11\"");
    }

    void draw_lines(std::ostream& out, const panel& p,
                    const std::function<double(const recorder&, const reading&)>& value) const {
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            const style s = style_of(i);
            out << "<polyline fill=\"none\" stroke=\"" << s.colour << "\" stroke-width=\"" << s.line_width
                << "\" stroke-dasharray=\"" << s.dashes << "\" stroke-linejoin=\"round\" points=\"";
            for (const reading& r : runs_[i].readings())
                if (const double v = value(runs_[i], r); v > 0 || !p.logarithmic) // no answers, no latency
                    out << text_of(x(r.time), 1) << ',' << text_of(p.y(v), 1) << ' ';
            out << "\"/>\n";
        }
    }

    // The legend, with what each run came to under overload.
    void draw_key(std::ostream& out, const panel& p, std::string_view title,
                  const std::function<std::string(const summary&)>& value) const {
        double y = p.top + 6;
        draw_text(out, right + 18, y, title, "fill=\"#57606a\" font-size=\"11\"");
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            y += 30;
            const style s = style_of(i);
            draw_line(out, right + 18, y - 5, right + 42, y - 5,
                      "stroke=\"" + std::string(s.colour) + "\" stroke-width=\"" + std::string(s.line_width) +
                          "\" stroke-dasharray=\"" + std::string(s.dashes) + '"');
            const std::string fill = "fill=\"" + std::string(s.colour) + '"';
            draw_text(out, right + 50, y - 2, runs_[i].name(), fill + " font-weight=\"600\"");
            draw_text(out, right + 50, y + 12, value(runs_[i].of_phase(1)), fill);
        }
    }

    const std::vector<recorder>& runs_;
    const schedule& plan_;
};

} // namespace overload_demo

#endif
