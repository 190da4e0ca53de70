// fleet_chart.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_CHART_HPP
#define POSTGRES_GUARD_FLEET_CHART_HPP

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "fleet.hpp"
#include "fleet_history.hpp"
#include "recorder.hpp"
#include "support/svg.hpp"

namespace postgres_guard {

/// Draws the limits of adaptive fleets over time as an SVG, a panel for each fleet.
class fleet_chart {
public:
    explicit fleet_chart(const std::vector<fleet_history>& fleets) : fleets_(fleets) {}

    void write(std::ostream& out) const {
        const double bottom = top + distance * static_cast<double>(fleets_.size());
        support::svg_writer svg(out, 900, bottom, "The limits of the processes of a fleet");
        double y = top;
        for (const fleet_history& f : fleets_) {
            draw(svg, f, y);
            y += distance;
        }
    }

private:
    static constexpr double left = 62, right = 720, top = 40, height = 160, distance = 220;
    static constexpr support::line_style stays{"#57606a", "1"}, leaves{"#bf6a02", "1.2", "5 2"}, all{"#0969da", "2.2"};

    using lines = std::vector<std::vector<limit_sample>>;

    static void draw(support::svg_writer& svg, const fleet_history& f, double y) {
        const std::vector<limit_sample> sums = total_of(f);
        double most = f.best_total;
        for (const limit_sample& s : sums)
            most = std::max(most, s.limit);
        const support::chart_panel panel{support::escaped(f.name), y, height, 0.2, 1.2 * most, true};
        const auto x = [&](seconds time) { return left + (right - left) * std::min(time / f.end, 1.0); };
        const auto draw_line = [&](const std::vector<limit_sample>& line, const support::line_style& style) {
            support::svg_writer::points points;
            for (const limit_sample& s : line)
                points.push_back({x(s.time), panel.y(s.limit)});
            svg.polyline(points, style.stroke());
        };
        svg.rectangle(x(f.left_at), y, x(f.joined_at) - x(f.left_at), height, "fill=\"#fff1e5\"");
        panel.draw_axes(svg, left, right);
        panel.draw_time(svg, left, right, f.end.count());
        svg.line(left, panel.y(f.best_total), right, panel.y(f.best_total),
                 "stroke=\"#1f2328\" stroke-opacity=\"0.55\"");
        for (const auto& line : f.stayed)
            draw_line(line, stays);
        for (const lines& some : {f.left, f.joined})
            for (const auto& line : some)
                draw_line(line, leaves);
        draw_line(sums, all);

        svg.text(right + 12, panel.y(f.best_total) + 4, "best static total", "fill=\"#1f2328\" font-size=\"11\"");
        double key = y + 10;
        const auto draw_key = [&](const support::line_style& style, std::string_view what) {
            svg.line(right + 12, key - 4, right + 36, key - 4, style.stroke());
            svg.text(right + 42, key, what, style.fill());
            key += 16;
        };
        draw_key(all, "total of the limits");
        draw_key(stays, "a process");
        draw_key(leaves, "one that left");
    }

    // The sum of the limits of all processes that are there, twice a second.
    static std::vector<limit_sample> total_of(const fleet_history& f) {
        std::vector<limit_sample> sums;
        for (seconds time(0.25); time < f.end; time += seconds(0.5)) {
            double sum = 0;
            for (const lines& some : {f.stayed, f.left, f.joined})
                for (const auto& line : some)
                    sum += limit_at(line, time);
            if (sum > 0)
                sums.push_back({time, sum});
        }
        return sums;
    }

    // 0 before the first sample, and after the last one.
    static double limit_at(const std::vector<limit_sample>& line, seconds time) {
        const auto next = std::find_if(line.begin(), line.end(), [&](const limit_sample& s) { return s.time > time; });
        return next == line.begin() || next == line.end() ? 0 : (next - 1)->limit;
    }

    const std::vector<fleet_history>& fleets_;
};

} // namespace postgres_guard

#endif
