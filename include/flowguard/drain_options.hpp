// drain_options.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DRAIN_OPTIONS_HPP
#define FLOWGUARD_DRAIN_OPTIONS_HPP

#include "flowguard/limits.hpp"

namespace flowguard {

/// How a guard is drained: see flow_guard::async_drain().
struct drain_options {
    /// Whether callers that wait already are served first. If not, they end with `error::closed` at once.
    bool serves_waiting = true;

    /// How long the drain may take, from its start, in the time of the guard's Clock. At least 0. By default, it may
    /// take for ever.
    duration timeout = (duration::max)();
};

} // namespace flowguard

#endif
