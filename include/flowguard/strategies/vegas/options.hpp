// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_OPTIONS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_OPTIONS_HPP

#include <cstddef>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/limits.hpp"

namespace flowguard {

/// Parameters of `vegas_strategy`. The defaults are meant to fit any service; a bound on the limit is
/// the one thing worth setting.
struct vegas_options {
    /// Requests, before any window; [1, max_limit], and at least min_limit. By default one: so the strategy first
    /// measures the RTT without a queue, and many guards that start together do no harm to a small service. The limit
    /// then grows fourfold with each window up to 20, and twofold beyond, while nothing queues. A higher value saves
    /// some of these windows. Above 20 it is a hint: the limit starts at 20, and grows fourfold up to the hint, while
    /// nothing queues.
    std::size_t initial_limit = 1;
    /// Requests, in probes as well; [1, max_limit]. If it is 1, the limit may fall below one: then one request at a
    /// time is admitted, with a spacing. See plan::spacing.
    std::size_t min_limit = 1;
    std::size_t max_limit = 100'000; ///< requests; [1, flowguard::max_limit]

    /// The queue that is wanted at the resource, enough to keep it busy though load and service times vary: see
    /// vegas_strategy.
    double slack_floor = 3; ///< requests; (0, 1e6]
    double slack_factor = 0.6; ///< [0, 1e6]
    double alpha = 0.7; ///< grow while queue < alpha · slack; [0, beta]
    double beta = 1; ///< shrink while queue > beta · slack; [0, 1e6]

    std::size_t min_window =
        100; ///< admissions in a window (fewer for limits below 10, or 34 at the start); [1, 1'000'000]
    std::size_t min_probe = 60; ///< admissions in a probe, unless 20 · its limit is less; [1, 1'000'000]
    double probe_share = 0.01; ///< share of the time that goes into scheduled probes; (0, 0.5]
    double drop_tolerance =
        0.05; ///< share of drops, beyond the usual and two standard errors of it, that is let pass; [0, 1)
};

namespace detail::vegas {

/// \throws std::invalid_argument when an option is out of its range; the message has name, value and range.
inline vegas_options checked(const vegas_options& o) {
    constexpr std::size_t million = 1'000'000;
    check_range("vegas_options::max_limit", o.max_limit, 1, flowguard::max_limit);
    check_range("vegas_options::min_limit", o.min_limit, 1, o.max_limit);
    check_range("vegas_options::initial_limit", o.initial_limit, 1, o.max_limit);
    check_real("vegas_options::slack_floor", o.slack_floor, 0, 1e6, ends::upper);
    check_real("vegas_options::slack_factor", o.slack_factor, 0, 1e6);
    check_real("vegas_options::beta", o.beta, 0, 1e6);
    check_real("vegas_options::alpha", o.alpha, 0, o.beta);
    check_range("vegas_options::min_window", o.min_window, 1, million);
    check_range("vegas_options::min_probe", o.min_probe, 1, million);
    check_real("vegas_options::probe_share", o.probe_share, 0, 0.5, ends::upper);
    check_real("vegas_options::drop_tolerance", o.drop_tolerance, 0, 1, ends::lower);
    return o;
}

} // namespace detail::vegas

} // namespace flowguard

#endif
