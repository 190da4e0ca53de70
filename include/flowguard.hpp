// flowguard.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// All of FlowGuard, but for the integrations with other libraries.

#ifndef FLOWGUARD_HPP
#define FLOWGUARD_HPP

#include "flowguard/aimd_strategy.hpp"
#include "flowguard/classify.hpp"
#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/fixed_limit.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/gradient2_strategy.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/http_status.hpp"
#include "flowguard/layer.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/metrics.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/prometheus.hpp"
#include "flowguard/refusal.hpp"
#include "flowguard/retry_after.hpp"
#include "flowguard/run_options.hpp"
#include "flowguard/sqlstate.hpp"
#include "flowguard/vegas_strategy.hpp"
#include "flowguard/version.hpp"
#include "flowguard/wait_order.hpp"

#endif
