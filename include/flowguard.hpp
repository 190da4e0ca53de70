// flowguard.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// All of FlowGuard, except for the integrations with other libraries, and for what has a header of its own because few
// programs need it: flowguard/cycle_clock.hpp, flowguard/dashboard.hpp and flowguard/testing.hpp.

#ifndef FLOWGUARD_HPP
#define FLOWGUARD_HPP

#include "flowguard/classify.hpp"
#include "flowguard/drain_options.hpp"
#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_registry.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/http/http_layer.hpp"
#include "flowguard/http/http_status.hpp"
#include "flowguard/http/retry_after.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/metrics/metrics.hpp"
#include "flowguard/metrics/prometheus.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/rtt_histogram.hpp"
#include "flowguard/run_options.hpp"
#include "flowguard/split_guard.hpp"
#include "flowguard/sqlstate.hpp"
#include "flowguard/strategies/aimd_strategy.hpp"
#include "flowguard/strategies/any_strategy.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/gradient2_strategy.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/ticket.hpp"
#include "flowguard/time_histogram.hpp"
#include "flowguard/version.hpp"
#include "flowguard/wait_order.hpp"
#include "flowguard/window.hpp"

#endif
