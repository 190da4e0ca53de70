// constants.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_CONSTANTS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_CONSTANTS_HPP

#include <cstddef>

// What vegas_strategy takes for given.
namespace flowguard::detail::vegas {

// ---- The baseline ----
inline constexpr double flat_ratio = 1.25; // an RTT of at most so many baselines shows no queue
inline constexpr double same_rtt = 0.1; // RTTs that differ by no more of them are the same
inline constexpr double replace_errors = 3.5; // standard errors: the service has changed, and the baseline with it
inline constexpr double far_above = 2; // times the flat ratio: no bad luck, however much the RTTs vary,
inline constexpr double far_above_of_few = 4; // or so much with fewer samples than this:
inline constexpr double few_samples = 50;
inline constexpr double baseline_memory = 2000; // samples
inline constexpr double least_low_samples = 10; // in a window, to say something of the baseline
inline constexpr double proving_samples = 40; // to prove a shorter one: if one call of ten is long, 0.9^40 < 2 %
inline constexpr double distrust_after = 100; // windows above the baseline
inline constexpr double telling_spread = 0.1; // a smaller spread of the RTTs says nothing of waits
inline constexpr double foreign_spread = 0.25; // a wait changes the spread of the RTTs by less than this power of them

// ---- Kinds of calls ----
inline constexpr double weight_memory = 500; // samples of a kind: 2000 are as good, and slower to follow
inline constexpr double most_weight = 1e6; // of a kind; the least is the reciprocal

// ---- The limit ----
inline constexpr double most_unproven = 20; // limit before anything was measured; up to it, steps are bigger
inline constexpr double least_limit = 0.01; // on average: see plan::spacing
inline constexpr double gains_exponent = 0.5; // of the RTT, in the quick start: below it, throughput still grows
inline constexpr double left_by_overshoot = 0.5; // share of the limit, at the end of the quick start: it doubled it
inline constexpr double linear_slack = 0.1; // of what is busy
inline constexpr double most_slack = 0.5; // of what is in flight: small guards do not queue three requests each
inline constexpr double least_slack = 1.2; // requests, however little is in flight
inline constexpr double steady_slack = 0.15; // of what is in flight, if the wait never varies,
inline constexpr double steady_request = 0.2; // and requests: the share of a small guard grows, that of a big one falls
inline constexpr double wait_memory = 0.1; // weight of the latest window
inline constexpr double step = 0.5; // of what the queue has too much or too little
inline constexpr double max_decrease = 0.3; // share of the limit, because of a queue
inline constexpr double idle_ratio = 1.06; // an RTT of at most so many baselines shows that the resource has room
inline constexpr double idle_windows = 3; // running, before a big step: one is easily lucky
inline constexpr double big_step = 0.25; // share of the limit

// ---- Drops ----
inline constexpr double heavy_drops = 0.5; // share: no time for measuring
inline constexpr double most_usual_drops = 0.5; // share; more is overload, even if less concurrency is no cure yet
inline constexpr double least_left_by_drops = 0.25; // share of the limit, after a window of drops
inline constexpr double left_by_outage = 0.5; // share of the limit from before it

// ---- Probes ----
inline constexpr double probe_depth = 3; // times less than the concurrency
inline constexpr double probe_cooldown = 8; // lengths of a probe, before an early one
inline constexpr double early_probe = 2; // slacks in the queue, and a tenth of the limit
inline constexpr double queued_exponent = 0.65; // above it, only queue was taken away
inline constexpr double calm_queue = 1.5; // wanted queues: no more of them before a pause; 1: drawn S -0.002; 3: -0.001
inline constexpr double same_limit = 0.9; // with a limit of at least this share of that in the pause
inline constexpr double grew_exponent = 0.3; // below it, throughput clearly grew with the concurrency
inline constexpr double lucky_error = 0.07; // standard error of a probe's RTT, as a share: a bigger one may mislead
inline constexpr double flat_exponent = 0.15; // below it, there was no queue
inline constexpr double above_knee = 1.3; // limit over that of a probe which only queued
inline constexpr std::size_t paced_probe = 10; // admissions, with a limit below one
inline constexpr double least_distance = 0.5; // between probes, in periods of the schedule
inline constexpr int believed_probes = 2; // running, to believe in a higher baseline
inline constexpr double significant_slacks = 3; // that a higher baseline must explain,
inline constexpr double significant_share = 0.25; // or so much of the limit, unless it looks like a foreign queue

// ---- Trials ----
inline constexpr double tried_growth = 1.5; // times the limit
inline constexpr double least_tried_growth = 1.2; // of what is in flight; less says nothing
inline constexpr double least_tried = 8; // limit
inline constexpr double tried_change = 0.15; // share: limits that differ by less are about the same
inline constexpr double least_usual = 50; // samples with the usual limit, to compare with
inline constexpr double tried_memory = 1000; // of these
inline constexpr double least_tried_samples = 60; // in a trial, if the RTTs do not vary,
inline constexpr double varied_samples = 240; // and so many more if their variation is 1
inline constexpr double tried_exponent = 0.45; // of the RTT; below it, throughput grew, if the RTTs do not vary,
inline constexpr double varied_exponent = 0.2; // and so much more if their variation is 1
inline constexpr double least_steepening = 0.8; // of the exponent before
inline constexpr double most_rare = 8; // times the interval of probes, after trials that showed nothing
inline constexpr double most_allowed = 0.7; // share of what is in flight that is allowed to seem to queue
inline constexpr double least_allowed = 0.02; // less is none
inline constexpr double kept_by_failure = 0.7; // share of it

// ---- Pauses ----

inline constexpr double pause_rtt = 2; // times the RTT of a window without a pause, or more,
inline constexpr double pause_throughput = 1.5; // and so many times less throughput
inline constexpr double like_limits = 1.3; // up to this factor
inline constexpr double one_pause = 3; // pairs of windows that a single pause makes, at most
inline constexpr double most_pauses = 10; // pairs that count
inline constexpr double pauses_forgotten = 0.2; // pairs, with each pair without a pause
inline constexpr double calm_windows = 7; // of which the calmest counts

// ---- Natural experiments ----
inline constexpr double same_concurrency = 1.4; // up to this factor
inline constexpr double telling_fall = 1.6; // from this factor on
inline constexpr double did_not_follow = 0.2; // below it, the RTT did not follow the concurrency
inline constexpr double least_experiment = 200; // samples after the fall; 40: S of drawn guards 0.94 -> 0.83
inline constexpr double most_experiment = 4000; // by then the exponent is taken as it is
inline constexpr double experiment_error = 0.15; // of the exponent, at most
inline constexpr double experiment_memory = 500; // samples before the fall: older ones tell of another time

} // namespace flowguard::detail::vegas

#endif
