// prometheus.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_PROMETHEUS_HPP
#define FLOWGUARD_PROMETHEUS_HPP

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "flowguard/guard_options.hpp"

namespace flowguard {

/// What a guard tells, and what it is called.
struct named_stats {
    std::string_view name;
    guard_stats stats;
};

namespace detail {

// Writes samples in the text format.
class prometheus_writer {
public:
    explicit prometheus_writer(std::span<const named_stats> guards) : guards_(guards) {}

    // One metric, of all guards; `values(add, stats)` calls `add(value)`, or `add(value, label, its value)`.
    template <class Values>
    void metric(std::string_view name, std::string_view type, std::string_view help, Values values) {
        append("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
        for (const named_stats& guard : guards_)
            values(
                [&](auto value, std::string_view label = {}, std::string_view label_value = {}) {
                    append(name, "{guard=\"");
                    escape(guard.name);
                    if (!label.empty())
                        append("\",", label, "=\"", label_value);
                    append("\"} ");
                    number(value);
                    append("\n");
                },
                guard.stats);
    }

    std::string take() { return std::move(text_); }

private:
    template <class... Parts>
    void append(const Parts&... parts) {
        (text_.append(parts), ...);
    }

    void escape(std::string_view label) {
        for (const char c : label) {
            if (c == '\\' || c == '"')
                text_ += '\\';
            text_ += c == '\n' ? "\\n" : std::string_view(&c, 1);
        }
    }

    template <class T>
    void number(T value) {
        std::array<char, 32> digits{};
        text_.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
    }
    void number(duration value) { number(static_cast<double>(value.count()) / 1e9); }

    std::span<const named_stats> guards_;
    std::string text_;
};

} // namespace detail

/// The stats of some guards in Prometheus' text format, version 0.0.4: what to answer to GET /metrics, with
/// Content-Type `text/plain; version=0.0.4`. Times are in seconds. Linear in the number of guards; thread-safe.
///
///     const flowguard::named_stats guards[] = {{"database", database.stats()}, {"billing", billing.stats()}};
///     response.body() = flowguard::prometheus_text(guards);
inline std::string prometheus_text(std::span<const named_stats> guards) {
    detail::prometheus_writer w(guards);
    w.metric("flowguard_limit", "gauge", "How many tasks may run at once.",
             [](auto add, const guard_stats& s) { add(s.limit); });
    w.metric("flowguard_in_flight", "gauge", "Tasks that are admitted and not done.",
             [](auto add, const guard_stats& s) { add(s.in_flight); });
    w.metric("flowguard_waiting", "gauge", "Callers that wait for a permit.", [](auto add, const guard_stats& s) {
        constexpr std::array<std::string_view, 4> classes{"critical_plus", "critical", "sheddable_plus", "sheddable"};
        for (std::size_t i = 0; i < classes.size(); ++i)
            add(s.waiting_by_class[i], "class", classes[i]);
    });
    w.metric("flowguard_tasks_total", "counter", "Tasks that are done.", [](auto add, const guard_stats& s) {
        add(s.succeeded, "outcome", "success");
        add(s.ignored, "outcome", "ignored");
        add(s.dropped, "outcome", "dropped");
    });
    w.metric("flowguard_refused_total", "counter", "Calls whose task was not started.",
             [](auto add, const guard_stats& s) {
                 add(s.shed_at_once, "reason", to_string(refusal::no_permit));
                 add(s.shed_from_full, "reason", to_string(refusal::queue_full));
                 add(s.shed_as_overdue, "reason", to_string(refusal::overdue));
                 add(s.timed_out, "reason", to_string(refusal::timed_out));
                 add(s.cancelled, "reason", to_string(refusal::cancelled));
                 add(s.closed, "reason", to_string(refusal::closed));
             });
    w.metric("flowguard_bypassed_total", "counter", "Calls that went past the guard.",
             [](auto add, const guard_stats& s) { add(s.bypassed); });
    w.metric("flowguard_windows_total", "counter", "Updates of the strategy.",
             [](auto add, const guard_stats& s) { add(s.windows); });
    w.metric("flowguard_window_rtt_seconds", "gauge", "RTT in the latest window.", [](auto add, const guard_stats& s) {
        add(s.rtt_p50, "quantile", "0.5");
        add(s.rtt_p99, "quantile", "0.99");
    });
    w.metric("flowguard_window_rtt_mean_seconds", "gauge", "Mean RTT in the latest window.",
             [](auto add, const guard_stats& s) { add(s.rtt_mean); });
    w.metric("flowguard_baseline_rtt_seconds", "gauge", "RTT without queueing.",
             [](auto add, const guard_stats& s) { add(s.baseline_rtt); });
    return w.take();
}

} // namespace flowguard

#endif
