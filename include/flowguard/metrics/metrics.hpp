// metrics.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_METRICS_METRICS_HPP
#define FLOWGUARD_METRICS_METRICS_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flowguard/guard_stats.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard {

/// The name and meaning of a metric, after the conventions of OpenTelemetry
/// (https://opentelemetry.io/docs/specs/semconv, general, metrics).
struct metric {
    enum class kind : std::uint8_t { gauge, counter };

    std::string_view name; ///< as in flowguard.window.rtt
    kind type;
    std::string_view unit; ///< s, or what is counted, in braces
    std::string_view description;
};

/// Calls `visit(metric, values)` for each metric of a guard, always in the same order. `values(stats, add)` in turn
/// calls `add(value)` for the metric's value, which is a std::size_t, std::uint64_t or duration. If there are several
/// values, it calls `add(value, attribute, value of the attribute)` for each.
template <class Visit>
void visit_metrics(Visit visit) {
    using enum metric::kind;
    visit(metric{"flowguard.limit", gauge, "{task}", "How many tasks may run at once."},
          [](const guard_stats& s, auto add) { add(s.limit); });
    visit(metric{"flowguard.limit.pinned", gauge, "{pin}", "1 if an operator has pinned the limit; else 0."},
          [](const guard_stats& s, auto add) { add(std::size_t{s.pinned}); });
    visit(metric{"flowguard.spacing", gauge, "s", "Mean time between admissions, if the limit is below one; else 0."},
          [](const guard_stats& s, auto add) { add(s.spacing); });
    visit(metric{"flowguard.in_flight", gauge, "{task}", "Tasks that are admitted and not done."},
          [](const guard_stats& s, auto add) { add(s.in_flight); });
    visit(metric{"flowguard.waiting", gauge, "{call}", "Callers that wait for a permit."},
          [](const guard_stats& s, auto add) {
              for (std::size_t i = 0; i < s.waiting_by_priority.size(); ++i)
                  add(s.waiting_by_priority[i], "priority", to_string(static_cast<priority>(i)));
          });
    visit(metric{"flowguard.tasks", counter, "{task}", "Tasks that are done."}, [](const guard_stats& s, auto add) {
        add(s.succeeded, "outcome", "success");
        add(s.ignored, "outcome", "ignored");
        add(s.dropped, "outcome", "dropped");
    });
    visit(metric{"flowguard.rejected", counter, "{call}", "Calls whose task was not started."},
          [](const guard_stats& s, auto add) {
              add(s.shed_at_once, "reason", to_string(rejection::no_permit));
              add(s.shed_from_full, "reason", to_string(rejection::queue_full));
              add(s.shed_as_overdue, "reason", to_string(rejection::overdue));
              add(s.timed_out, "reason", to_string(rejection::timed_out));
              add(s.cancelled, "reason", to_string(rejection::cancelled));
              add(s.closed, "reason", to_string(rejection::closed));
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
        add(s.rtt_p50, "percentile", "50");
        add(s.rtt_p99, "percentile", "99");
    });
    visit(metric{"flowguard.window.rtt.mean", gauge, "s", "Mean RTT in the latest window."},
          [](const guard_stats& s, auto add) { add(s.rtt_mean); });
    visit(metric{"flowguard.baseline.rtt", gauge, "s", "RTT without queueing."},
          [](const guard_stats& s, auto add) { add(s.baseline_rtt); });
}

/// The stats of a guard, and the guard's name.
struct named_stats {
    std::string_view name;
    guard_stats stats;
};

} // namespace flowguard

#endif
