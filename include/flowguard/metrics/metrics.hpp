// metrics.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_METRICS_METRICS_HPP
#define FLOWGUARD_METRICS_METRICS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard {

namespace detail {

inline constexpr std::array<std::string_view, max_partitions> partition_numbers{
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"};

} // namespace detail

/// The name and meaning of a metric, after the conventions of OpenTelemetry
/// (https://opentelemetry.io/docs/specs/semconv, general, metrics).
struct metric {
    enum class kind : std::uint8_t {
        gauge, ///< a value that goes up and down
        counter, ///< a count since the guard was made: it never decreases
        histogram ///< a time_histogram since the guard was made: its counts never decrease
    };

    std::string_view name; ///< as in flowguard.window.rtt
    kind type;
    std::string_view unit; ///< s, or what is counted, in braces
    std::string_view description;
};

/// What tells one value of a metric from its others. For example, the key is "reason", and the value is "overdue".
struct metric_attribute {
    std::string_view key;
    std::string_view value;
};

/// Calls `visit(metric, values)` once for each metric of a guard. `values(stats, add)` in turn calls `add(value)` for
/// the metric's value in some stats. If the metric has several values, it calls `add(value, attributes)` for each, with
/// a std::initializer_list<metric_attribute>.
///
/// An adaptor for another library can rely on this:
/// - The metrics and their values come in the same order each time. The metrics are the same for all guards.
/// - A metric of a guard has the same values each time, with the same attributes, also when they are 0.
/// - All values of one metric have the same type: std::size_t, std::uint64_t or duration for a gauge or a counter, and
///   time_histogram for a histogram. If the unit is s, it is duration or time_histogram.
/// - All strings are constants, which are never destroyed. The list of attributes exists until `add` returns.
/// - All calls are made before visit_metrics() returns, or before `values()` does, on the same thread. `values` may be
///   copied and called later, any number of times, on any thread.
/// - `visit` and `add` may throw: the exception passes through.
///
/// See docs/operating.md for an adaptor to OpenTelemetry.
template <class Visit>
void visit_metrics(Visit visit) {
    using enum metric::kind;
    visit(metric{"flowguard.limit", gauge, "{task}", "How many tasks may run at once."},
          [](const guard_stats& s, auto add) { add(s.limit); });
    visit(metric{"flowguard.limit.min", gauge, "{task}", "The lowest limit that an operator allows."},
          [](const guard_stats& s, auto add) { add(s.min_limit); });
    visit(metric{"flowguard.limit.max", gauge, "{task}", "The highest limit that an operator allows."},
          [](const guard_stats& s, auto add) { add(s.max_limit); });
    visit(metric{"flowguard.limit.pinned", gauge, "{pin}", "1 if an operator has pinned the limit; else 0."},
          [](const guard_stats& s, auto add) { add(std::size_t{s.pinned}); });
    visit(metric{"flowguard.spacing", gauge, "s", "Mean time between admissions, if the limit is below one; else 0."},
          [](const guard_stats& s, auto add) { add(s.spacing); });
    visit(metric{"flowguard.in_flight", gauge, "{task}", "Permits held by tasks that are admitted and not done."},
          [](const guard_stats& s, auto add) { add(s.in_flight); });
    visit(metric{"flowguard.waiting", gauge, "{call}", "Callers that wait for a permit."},
          [](const guard_stats& s, auto add) {
              for (std::size_t i = 0; i < s.waiting_by_priority.size(); ++i)
                  add(s.waiting_by_priority[i], {{"priority", to_string(static_cast<priority>(i))}});
          });
    visit(metric{"flowguard.wait", histogram, "s", "How long calls waited that then got a permit."},
          [](const guard_stats& s, auto add) {
              for (std::size_t i = 0; i < s.waits_by_priority.size(); ++i)
                  add(s.waits_by_priority[i], {{"priority", to_string(static_cast<priority>(i))}});
          });
    visit(metric{"flowguard.tasks", counter, "{task}", "Tasks that are done."}, [](const guard_stats& s, auto add) {
        add(s.succeeded, {{"outcome", "success"}});
        add(s.ignored, {{"outcome", "ignored"}});
        add(s.dropped, {{"outcome", "dropped"}});
    });
    visit(metric{"flowguard.tasks.timed_out", counter, "{task}", "Tasks that took longer than their time-out."},
          [](const guard_stats& s, auto add) { add(s.task_timeouts); });
    visit(metric{"flowguard.rtt", histogram, "s", "How long successful tasks took."},
          [](const guard_stats& s, auto add) { add(s.rtts); });
    visit(metric{"flowguard.rejected", counter, "{call}", "Calls whose task was not started."},
          [](const guard_stats& s, auto add) {
              for (std::size_t p = 0; p < s.partitions; ++p)
                  for (std::size_t i = 0; i < rejection_count; ++i)
                      add(s.rejected_by_partition[p][i], {{"reason", to_string(static_cast<rejection>(i))},
                                                          {"partition", detail::partition_numbers[p]}});
          });
    visit(metric{"flowguard.bypassed", counter, "{call}", "Calls that went past the guard."},
          [](const guard_stats& s, auto add) { add(s.bypassed); });
    visit(metric{"flowguard.long_lived", gauge, "{task}", "Long-lived tasks that run beside the limit."},
          [](const guard_stats& s, auto add) { add(s.long_lived); });
    visit(metric{"flowguard.long_lived.admitted", counter, "{call}", "Long-lived calls that were admitted."},
          [](const guard_stats& s, auto add) { add(s.long_lived_admitted); });
    visit(metric{"flowguard.windows", counter, "{window}", "Updates of the strategy."},
          [](const guard_stats& s, auto add) { add(s.windows); });
    visit(metric{"flowguard.window.rtt", gauge, "s", "RTT in the latest window."}, [](const guard_stats& s, auto add) {
        add(s.rtt_p50, {{"percentile", "50"}});
        add(s.rtt_p99, {{"percentile", "99"}});
    });
    visit(metric{"flowguard.window.rtt.mean", gauge, "s", "Mean RTT in the latest window."},
          [](const guard_stats& s, auto add) { add(s.rtt_mean); });
    visit(metric{"flowguard.baseline.rtt", gauge, "s", "RTT without queueing."},
          [](const guard_stats& s, auto add) { add(s.baseline_rtt); });
}

/// The stats of a guard, and the guard's name, in UTF-8. In metrics, U+FFFD stands for each byte that is not.
struct named_stats {
    std::string_view name;
    guard_stats stats;
};

} // namespace flowguard

#endif
