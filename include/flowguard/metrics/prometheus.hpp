// prometheus.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_METRICS_PROMETHEUS_HPP
#define FLOWGUARD_METRICS_PROMETHEUS_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "flowguard/detail/base/utf8.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/metrics/metrics.hpp"
#include "flowguard/time_histogram.hpp"

namespace flowguard {

/// The name of a metric in Prometheus, by OpenTelemetry's rules (Prometheus and OpenMetrics Compatibility). For
/// example, flowguard.window.rtt, in s, becomes flowguard_window_rtt_seconds. The name of a counter ends with `_total`.
/// For a histogram, Prometheus adds `_bucket`, `_sum` and `_count`.
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
    for (const char c : utf8(label)) {
        if (c == '\\' || c == '"')
            text += '\\';
        text += c == '\n' ? "\\n" : std::string_view(&c, 1);
    }
}

// A sample's labels, but for the closing brace.
inline void append_labels(std::string& text, std::string_view guard,
                          std::initializer_list<metric_attribute> attributes) {
    text.append("{guard=\"");
    append_escaped(text, guard);
    for (const metric_attribute& a : attributes)
        text.append("\",").append(a.key).append("=\"").append(a.value);
}

inline void append_number(std::string& text, double value) {
    std::array<char, 32> digits{};
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

constexpr std::string_view prometheus_type(metric::kind kind) noexcept {
    switch (kind) {
    case metric::kind::gauge:
        return "gauge";
    case metric::kind::counter:
        return "counter";
    case metric::kind::histogram:
        break;
    }
    return "histogram";
}

// Appends the samples of one value of a metric.
class prometheus_writer {
public:
    prometheus_writer(std::string& text, std::string_view metric, std::string_view guard)
        : text_(text), metric_(metric), guard_(guard) {}

    template <class T>
    void operator()(T value, std::initializer_list<metric_attribute> attributes = {}) const {
        sample("", attributes, "", prometheus_value(value));
    }

    void operator()(const time_histogram& h, std::initializer_list<metric_attribute> attributes = {}) const {
        sample("_count", attributes, "", static_cast<double>(h.total()));
        sample("_sum", attributes, "", prometheus_value(h.sum));
        std::uint64_t up_to_here = 0;
        for (std::size_t i = 0; i < h.counts.size(); ++i) {
            up_to_here += h.counts[i];
            const std::string bound = i < h.bounds.size() ? bound_text(h.bounds[i]) : "+Inf";
            sample("_bucket", attributes, bound, static_cast<double>(up_to_here));
        }
    }

private:
    // A label, and so a string to Prometheus: as other libraries write it, 0.0005 and not 5e-04.
    static std::string bound_text(duration bound) {
        std::array<char, 32> digits{};
        return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), prometheus_value(bound),
                                             std::chars_format::general)
                                   .ptr};
    }

    void sample(std::string_view suffix, std::initializer_list<metric_attribute> attributes, std::string_view bound,
                double value) const {
        text_.append(metric_).append(suffix);
        append_labels(text_, guard_, attributes);
        if (!bound.empty())
            text_.append("\",le=\"").append(bound);
        text_.append("\"} ");
        append_number(text_, value);
        text_.append("\n");
    }

    std::string& text_;
    std::string_view metric_;
    std::string_view guard_;
};

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
        text.append(" ").append(detail::prometheus_type(m.type)).append("\n");
        for (const named_stats& guard : guards)
            values(guard.stats, detail::prometheus_writer(text, name, guard.name));
    });
    return text;
}

} // namespace flowguard

#endif
