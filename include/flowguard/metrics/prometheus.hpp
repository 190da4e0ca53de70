// prometheus.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_METRICS_PROMETHEUS_HPP
#define FLOWGUARD_METRICS_PROMETHEUS_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string>
#include <string_view>

#include "flowguard/limits.hpp"
#include "flowguard/metrics/metrics.hpp"

namespace flowguard {

/// The name of a metric in Prometheus, by OpenTelemetry's rules (Prometheus and OpenMetrics Compatibility). For
/// example, flowguard.window.rtt, in s, becomes flowguard_window_rtt_seconds. The name of a counter ends with `_total`.
inline std::string prometheus_name(const metric& m) {
    std::string name(m.name);
    std::replace(name.begin(), name.end(), '.', '_');
    if (m.unit == "s")
        name += "_seconds";
    if (m.type == metric::kind::counter)
        name += "_total";
    return name;
}

namespace detail {

// Converts a value to Prometheus' units.
template <class T>
double prometheus_value(T value) noexcept {
    return static_cast<double>(value);
}
inline double prometheus_value(duration value) noexcept {
    return static_cast<double>(value.count()) / 1e9;
}

inline void append_escaped(std::string& text, std::string_view label) {
    for (const char c : label) {
        if (c == '\\' || c == '"')
            text += '\\';
        text += c == '\n' ? "\\n" : std::string_view(&c, 1);
    }
}

inline void append_number(std::string& text, double value) {
    std::array<char, 32> digits{};
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

} // namespace detail

/// The stats of some guards in Prometheus' text format, version 0.0.4: the answer to GET /metrics, with Content-Type
/// `text/plain; version=0.0.4`. Times are in seconds. Complexity: linear in the number of guards. Thread-safe. If the
/// service has prometheus-cpp, see prometheus_cpp.hpp.
///
///     const flowguard::named_stats guards[] = {{"database", database.stats()}, {"billing", billing.stats()}};
///     response.body() = flowguard::prometheus_text(guards);
inline std::string prometheus_text(std::span<const named_stats> guards) {
    std::string text;
    visit_metrics([&](const metric& m, auto values) {
        const std::string name = prometheus_name(m);
        text.append("# HELP ").append(name).append(" ").append(m.description).append("\n# TYPE ").append(name);
        text.append(m.type == metric::kind::counter ? " counter\n" : " gauge\n");
        for (const named_stats& guard : guards)
            values(guard.stats, [&](auto value, std::string_view label = {}, std::string_view label_value = {}) {
                text.append(name).append("{guard=\"");
                detail::append_escaped(text, guard.name);
                if (!label.empty())
                    text.append("\",").append(label).append("=\"").append(label_value);
                text.append("\"} ");
                detail::append_number(text, detail::prometheus_value(value));
                text.append("\n");
            });
    });
    return text;
}

} // namespace flowguard

#endif
