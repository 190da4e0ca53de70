// constants.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_CONSTANTS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_CONSTANTS_HPP

// What vegas_strategy takes for given.
namespace flowguard::detail::vegas {

// ---- The baseline ----
inline constexpr double flat_ratio = 1.25; // an RTT of at most so many baselines shows no queue
inline constexpr double replace_errors = 3.5; // standard errors: the service has changed, and the baseline with it
inline constexpr double baseline_memory = 2000; // samples
inline constexpr double least_low_samples = 10; // in a window, to say something of the baseline
inline constexpr int distrust_after = 100; // windows above the baseline

// ---- The limit ----
inline constexpr double most_unproven = 20; // limit before anything was measured
inline constexpr double max_decrease = 0.3; // share of the limit, because of a queue
inline constexpr double most_slack =
    0.4; // of what is in flight: keeps many small guards from queueing three requests each
inline constexpr double least_slack = 1.2; // requests, however little is in flight
inline constexpr double idle_ratio = 1.06; // an RTT of at most so many baselines shows that the resource has room
inline constexpr int idle_windows = 3; // running, before the limit grows by a quarter: one is easily lucky

// ---- Drops ----
inline constexpr double most_usual_drops = 0.5; // share; more is overload, even if less concurrency is no cure yet
inline constexpr double least_left_by_drops = 0.25; // share of the limit, after a window of drops

// ---- Probes ----
inline constexpr double probe_cooldown = 8; // lengths of a probe, before an early one
inline constexpr double queued_exponent = 0.65; // above it, only queue was taken away
inline constexpr double flat_exponent = 0.15; // below it, there was no queue

} // namespace flowguard::detail::vegas

#endif
