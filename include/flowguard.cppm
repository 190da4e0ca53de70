// flowguard.cppm
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// FlowGuard as a C++20 module: `import flowguard;` in place of `#include <flowguard.hpp>`. It exports what that header
// declares. Experimental: see docs/using.md.

module;
#include <flowguard.hpp>

export module flowguard;

// clang-format off
export namespace flowguard {

// values
using flowguard::duration;
using flowguard::kind_summary;
using flowguard::limit_decision;
using flowguard::max_kinds;
using flowguard::max_limit;
using flowguard::max_partitions;
using flowguard::max_parts;
using flowguard::outcome;
using flowguard::outcome_count;
using flowguard::priority;
using flowguard::priority_count;
using flowguard::rejection;
using flowguard::rejection_count;
using flowguard::rtt_buckets;
using flowguard::rtt_histogram;
using flowguard::rtt_summary;
using flowguard::time_histogram;
using flowguard::to_string;
using flowguard::version;
using flowguard::wait_order;
using flowguard::window;

// errors
using flowguard::error;
using flowguard::error_category;
using flowguard::error_code;
using flowguard::is_flowguard_error;
using flowguard::make_error_code;
using flowguard::system_error;

// semaphore
using flowguard::basic_dynamic_semaphore;
using flowguard::dynamic_semaphore;
using flowguard::permit;

// guard
using flowguard::drain_options;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::guard_registry;
using flowguard::guard_registry_options;
using flowguard::guard_stats;
using flowguard::registry_stats;
using flowguard::run_options;
using flowguard::split_guard;
using flowguard::ticket;

// strategies
using flowguard::aimd_options;
using flowguard::aimd_strategy;
using flowguard::any_strategy;
using flowguard::convertible_to_plan;
using flowguard::fixed_limit;
using flowguard::gradient2_options;
using flowguard::gradient2_strategy;
using flowguard::limit_strategy;
using flowguard::plan;
using flowguard::scheduled_probe;
using flowguard::vegas_options;
using flowguard::vegas_strategy;

// classifiers
using flowguard::by_http_status;
using flowguard::classify;
using flowguard::classify_http_status;
using flowguard::classify_sqlstate;
using flowguard::default_classifier;
using flowguard::drops_only;

// web servers and metrics
using flowguard::http_adapter;
using flowguard::http_layer;
using flowguard::http_layer_options;
using flowguard::metric;
using flowguard::metric_attribute;
using flowguard::named_stats;
using flowguard::prometheus_name;
using flowguard::prometheus_text;
using flowguard::retry_after;
using flowguard::visit_metrics;

} // namespace flowguard
