// svg.hpp
// ~~~~~~~
// SPDX-License-Identifier: MIT

// Draws the charts of benchmarks and examples.

#ifndef FLOWGUARD_SUPPORT_SVG_HPP
#define FLOWGUARD_SUPPORT_SVG_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// The step for the grid of a chart: the smallest of ..., 0.2, 0.5, 1, 2, 5, 10, 20, ... that is at least `least`.
inline double round_step(double least) {
    const double power = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= least)
            return factor * power;
    return 10 * power;
}

/// `value` as text, with `digits` digits after the point.
inline std::string decimal(double value, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

/// `value` as text, with at most `digits` significant digits, and no zeros at the end.
inline std::string significant(double value, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*g", digits, value);
    return text.data();
}

/// Escapes a text for SVG or HTML.
inline std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == '"')
            result += "&quot;";
        else
            result += c;
    }
    return result;
}

/// How a line is drawn. Lines should differ in more than their colour.
struct line_style {
    std::string_view colour, width, dashes = "none";

    /// Its attributes in SVG.
    std::string stroke() const {
        std::string text = "fill=\"none\" stroke=\"" + std::string(colour) + "\" stroke-width=\"" + std::string(width);
        if (dashes != "none")
            (text += "\" stroke-dasharray=\"") += dashes;
        return text + '"';
    }

    std::string fill() const { return "fill=\"" + std::string(colour) + '"'; }
};

/// Writes an SVG with a white background. The constructor begins it, the destructor ends it. `more` are further
/// attributes. Texts must already be escaped.
class svg_writer {
public:
    svg_writer(std::ostream& out, double width, double height, std::string_view title) : out_(out) {
        const std::string w = decimal(width, 0), h = decimal(height, 0);
        out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << w << "\" height=\"" << h << "\" viewBox=\"0 0 "
             << w << ' ' << h
             << "\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\">\n"
             << "<title>" << title << "</title>\n"
             << "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n";
    }
    svg_writer(const svg_writer&) = delete;
    svg_writer& operator=(const svg_writer&) = delete;
    ~svg_writer() { out_ << "</svg>\n"; }

    void text(double x, double y, std::string_view what, std::string_view more) {
        out_ << "<text x=\"" << decimal(x, 1) << "\" y=\"" << decimal(y, 1) << "\" " << more << '>' << what
             << "</text>\n";
    }

    void line(double x1, double y1, double x2, double y2, std::string_view more) {
        out_ << "<line x1=\"" << decimal(x1, 1) << "\" y1=\"" << decimal(y1, 1) << "\" x2=\"" << decimal(x2, 1)
             << "\" y2=\"" << decimal(y2, 1) << "\" " << more << "/>\n";
    }

    void rectangle(double x, double y, double width, double height, std::string_view more) {
        out_ << "<rect x=\"" << decimal(x, 1) << "\" y=\"" << decimal(y, 1) << "\" width=\"" << decimal(width, 1)
             << "\" height=\"" << decimal(height, 1) << "\" " << more << "/>\n";
    }

    void circle(double x, double y, double radius, std::string_view more) {
        out_ << "<circle r=\"" << decimal(radius, 1) << "\" cx=\"" << decimal(x, 1) << "\" cy=\"" << decimal(y, 1)
             << "\" " << more << "/>\n";
    }

    struct point {
        double x, y;
    };
    using points = std::vector<point>;

    void polyline(const points& through, std::string_view more) { shape("polyline", through, more); }
    void polygon(const points& corners, std::string_view more) { shape("polygon", corners, more); }

private:
    void shape(const char* name, const points& all, std::string_view more) {
        out_ << '<' << name << ' ' << more << " points=\"";
        for (const point& p : all)
            out_ << decimal(p.x, 1) << ',' << decimal(p.y, 1) << ' ';
        out_ << "\"/>\n";
    }

    std::ostream& out_;
};

/// One panel of a chart: an axis for values, and lines over time. Panels lie one below the other.
struct chart_panel {
    std::string title;
    double top, height;
    double least, most; // of the values shown; values outside are drawn at the edge
    bool logarithmic;

    double bottom() const { return top + height; }

    double y(double value) const {
        const double v = std::clamp(value, least, most);
        const double share = logarithmic ? std::log(v / least) / std::log(most / least) : (v - least) / (most - least);
        return bottom() - height * share;
    }

    /// The values of its grid.
    std::vector<double> ticks() const {
        std::vector<double> values;
        if (!logarithmic) {
            const double step = round_step(most / 6);
            for (double v = 0; v <= most; v += step)
                values.push_back(v);
            return values;
        }
        const bool few = most / least < 300;
        for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most; decade *= 10)
            for (const double v : {decade, 2 * decade, 5 * decade})
                if (v >= least && v <= most && (few || v == decade))
                    values.push_back(v);
        return values;
    }

    /// Draws the title, the grid, and the values of the grid.
    void draw_axes(svg_writer& svg, double left, double right) const {
        svg.text(left + 5, top - 10, title, "font-size=\"13\" font-weight=\"600\" fill=\"#1f2328\"");
        for (const double v : ticks()) {
            svg.line(left, y(v), right, y(v), "stroke=\"#d0d7de\" stroke-width=\"0.8\"");
            svg.text(left - 8, y(v) + 4, significant(v, v < 1e6 ? 7 : 3), "text-anchor=\"end\" fill=\"#57606a\"");
        }
        svg.line(left, bottom(), right, bottom(), "stroke=\"#8c959f\"");
    }

    /// Draws the seconds below the panel, from 0 to `length`.
    void draw_time(svg_writer& svg, double left, double right, double length) const {
        const double step = round_step(length / 10);
        for (int i = 0; i * step <= length * 1.001; ++i) {
            const double x = left + (right - left) * i * step / length;
            svg.line(x, bottom(), x, bottom() + 4, "stroke=\"#8c959f\"");
            svg.text(x, bottom() + 18, significant(i * step, 7) + " s", "text-anchor=\"middle\" fill=\"#57606a\"");
        }
    }
};

} // namespace support

#endif
