// vegas_strategy.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_STRATEGY_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_STRATEGY_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/control/window_size.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// Parameters of `vegas_strategy`. The defaults are meant to fit any service; a bound on the limit is
/// the one thing worth setting.
struct vegas_options {
    /// Requests, before any window; [min_limit, max_limit]. Above 20 it is a hint: the limit starts at 20 and
    /// approaches the hint in bigger steps, but only while nothing queues, so that too high a guess does not harm the
    /// service.
    std::size_t initial_limit = 20;
    std::size_t min_limit = 1; ///< requests, in probes as well; [1, max_limit]
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
    std::uint64_t seed = 1; ///< of the jitter in the schedule of probes; any
};

/// Adapts the limit so that a small, known number of requests queue at the guarded resource.
///
///     queue = in flight × (1 − baseline / RTT)         of what is in flight, only queues: Little's law [2]
///     busy  = limit − queue                            is served
///     slack = (1 − v) + v (3 + 0.6 √busy + busy / 20)  may queue on purpose, but no more than 0.4 × in flight
///     queue > slack:                                   limit −= (queue − slack) / 2, at most 30 %
///     queue < 0.7 · slack, and the limit binds:        limit += (slack − queue) / 2
///       three times running hardly any queue:          limit += max(slack, limit / 4)
///     from the start until RTT > 1.25 · baseline:      limit × 2, while it binds; × 4 below initial_limit
///     drops > 5 % beyond the usual, luck aside:        limit × (1 − drops), at most quartered
///     a window without any success, in an outage:      the same; with the next success, half of the limit from before
///                                                      the outage comes back, and the start begins again
///
/// Drops are a share of the requests or of the time for which permits were held, whichever is less. A permit that meets
/// many prompt refusals is still one permit.
///
/// Here v is the coefficient of variation of the service times, 1 at most: work that always takes the same time
/// needs next to no queue to keep the resource busy.
///
/// This is TCP Vegas [1] for concurrency instead of bytes. Service times that vary do not mislead it: its
/// RTTs are means of whole cohorts, and its baseline is not the shortest RTT ever seen but the mean at low
/// concurrency. Varying demand shows that one for free. Where demand pins the limit, the strategy *probes*: it
/// lowers the limit to a third for a moment. A probe also tells a queue, whose RTT falls with the concurrency,
/// from a service that became slower, whose RTT stays; so it comes before any big cut. A probe has a bound in time, for
/// calls that run on and on may hold all of its permits; where it saw too little by then, it changes nothing.
///
/// A guard that has a small share of its service learns little from probes, because the other clients keep the queue
/// up. A wait behind their requests raises the mean of the RTTs, but hardly the spread; a slower service raises both.
/// So a higher baseline is taken from a probe only if it makes a difference, and a big one if it looks like such a
/// wait. A baseline is given up after a hundred windows of which hardly one came near it.
///
/// [1] L. Brakmo, L. Peterson: TCP Vegas: End to End Congestion Avoidance on a Global Internet.
///     IEEE Journal on Selected Areas in Communications 13(8), 1995.
/// [2] J. Little: A Proof for the Queuing Formula L = λW. Operations Research 9(3), 1961.
///
/// *Use.* `flow_guard guard{vegas_strategy{10}};` or `vegas_strategy{vegas_options{.max_limit = 500}}`.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: unsafe.
class vegas_strategy {
public:
    vegas_strategy() : vegas_strategy(vegas_options{}) {}

    /// Uses the defaults, except for the initial limit.
    /// \throws std::invalid_argument unless it is in [1, 100'000]; the message has name, value and range.
    explicit vegas_strategy(std::size_t initial_limit)
        : vegas_strategy(vegas_options{.initial_limit = initial_limit}) {}

    /// \throws std::invalid_argument when an option is out of its range; the message has name, value and range.
    explicit vegas_strategy(vegas_options options) : options_(checked(options)), random_(options.seed) {
        set_limit(std::min(most_unproven, static_cast<double>(options.initial_limit)));
    }

    /// The limit, in [min_limit, max_limit]; during a probe, the limit after it. Complexity: O(1).
    std::size_t current_limit() const noexcept { return static_cast<std::size_t>(limit_ + 0.5); }

    /// The RTT without queueing at the guarded resource; 0 while unknown. Complexity: O(1).
    duration baseline() const noexcept { return duration{static_cast<duration::rep>(std::min(baseline_.rtt, 9e18))}; }

    /// How many requests queued at the guarded resource, by the latest window that was no probe; at least 0.
    /// Complexity: O(1).
    double queue_estimate() const noexcept { return queue_; }

    /// Why the latest update() answered as it did: a string that is never destroyed. Complexity: O(1).
    const char* reason() const noexcept { return why_; }

    /// The next limit, or a probe. A window that has neither a success nor a drop changes nothing. Complexity: linear
    /// in the number of buckets of the histogram. Does not allocate.
    plan update(const window& w) noexcept {
        const std::size_t probed = std::exchange(probe_limit_, 0);
        const bool was_probe = probed != 0 && w.limit == probed;
        why_ = "no request was measured";
        if (was_probe &&
            ((w.all.samples == 0 && w.dropped == 0) || 2 * detail::telling_members(w) < probe_admissions(probed)))
            return after_failed_probe(w);
        if (w.all.samples == 0 && w.dropped == 0)
            return next_window();
        const sample now = sample_of(w);
        if (was_probe)
            return after_probe(now, probed);
        since_probe_ += now.length;
        learn_from_low(w);
        learn_from_start(now);
        suspect_baseline(now);
        queue_ = queue_in(now);
        in_flight_ = now.in_flight;
        usual_drops_ = std::min(now.limit > 1 ? std::min(usual_drops_, now.drops + 2 * error_of_drops(now)) : now.drops,
                                most_usual_drops);

        if (now.count > 0 && limit_before_outage_ > 0)
            return after_outage();
        const bool overloaded = excess_drops(now) > 0;
        if (now.count <= 0 && limit_before_outage_ <= 0)
            limit_before_outage_ = limit_;
        if (overloaded)
            shrink_for_drops(now);
        // Heavy overload: no probe now, and a small window, because a big window of time-outs would take long. A window
        // without a success only says that the outage goes on.
        if (excess_drops(now) > 0.5)
            return {current_limit(), std::max<std::size_t>(current_limit(), now.count > 0 ? 10 : 2)};
        if (may_probe(now) && (probe_is_due(now) || quick_start_needs_probe(now) ||
                               (cooldown_over(now) && (overloaded || queue_ > 2 * slack() + limit_ / 10))))
            return probe(now);
        if (!overloaded)
            adjust(now);
        return next_window();
    }

private:
    // A window in numbers that are safe to calculate with. Times are in nanoseconds.
    struct sample {
        double rtt = 0; // mean
        double count = 0; // of RTTs; 0 when nothing succeeded, so that the RTT is unknown
        double variation = 0; // standard deviation of the RTTs over their mean
        double ended = 0; // successes and drops
        double drops = 0; // share of drops
        double limit = 1;
        double in_flight = 0; // mean
        bool bound = false; // the limit, not demand, set what was in flight
        double length = 0;
    };

    struct reference {
        double rtt = 0; // nanoseconds
        double count = 0; // how many RTTs it is the mean of
        double in_flight = 0; // mean; an upper bound of it when demand set it
        double variation = 0;
    };

    static sample sample_of(const window& w) noexcept {
        sample s;
        s.ended = static_cast<double>(w.all.samples) + static_cast<double>(w.dropped);
        s.drops = drops_in(w);
        if (w.all.samples > 0) {
            // The RTT of a call that timed out would have been at least as long; a prompt rejection says nothing about
            // the RTT.
            const double rtt = detail::nanoseconds(w.all.mean);
            s.rtt = rtt + s.drops * std::max(0.0, detail::nanoseconds(w.dropped_mean_rtt) - rtt);
            s.count = s.ended;
            s.variation = w.all.variation();
        }
        s.limit = static_cast<double>(std::max<std::size_t>(w.limit, 1));
        // Just after a rise of the limit the rate of admission overstates what is in flight; hence the caps.
        if (w.mean_in_flight > 0)
            s.in_flight = std::min({w.mean_in_flight, static_cast<double>(w.max_in_flight), s.limit});
        s.bound = detail::limit_binds(w);
        s.length = detail::nanoseconds(w.length);
        return s;
    }

    // The share of drops, by their number or by the time for which they held permits, whichever is less: a permit that
    // meets many prompt refusals is still one permit.
    static double drops_in(const window& w) noexcept {
        const double by_number = detail::drop_share(w);
        const double dropped = static_cast<double>(w.dropped) * detail::nanoseconds(w.dropped_mean_rtt);
        const double succeeded = static_cast<double>(w.all.samples) * detail::nanoseconds(w.all.mean);
        return dropped < succeeded ? std::min(by_number, dropped / (dropped + succeeded)) : by_number;
    }

    // ---- The baseline ----

    // Averages over many samples, unless the new ones say that the service has changed.
    void learn(const sample& s) noexcept {
        if (s.count <= 0)
            return;
        if (baseline_.count <= 0 || errors_from_baseline(s) > replace_errors)
            baseline_ = {};
        const double count = baseline_.count + s.count;
        baseline_.rtt += (s.rtt - baseline_.rtt) * (s.count / count);
        baseline_.in_flight += (s.in_flight - baseline_.in_flight) * (s.count / count);
        baseline_.variation += (s.variation - baseline_.variation) * (s.count / count);
        baseline_.count = std::min(count, baseline_memory);
    }

    // A rise is believed only if the low concurrency was one request, and the rise is significant: a third of a limit
    // that is far too high queues as well. Otherwise the rise shows in the queue estimate, and a probe decides.
    void learn_from_low(const window& w) noexcept {
        if (w.low.samples < 10)
            return;
        const sample low{.rtt = detail::nanoseconds(w.low.mean),
                         .count = static_cast<double>(w.low.samples),
                         .variation = w.low.variation(),
                         .in_flight = static_cast<double>(std::max<std::size_t>(w.limit / 3, 1))};
        if (rises(low) && (w.limit >= 6 || !is_significant(low)))
            return;
        if (!looks_like_foreign_queue(low)) {
            learn(low);
            low_is_known_ = true;
        }
        low_seen_ += low.count;
        if (low_seen_ >= static_cast<double>(options_.min_probe))
            rest_from_probes();
    }

    // While the quick start lasts nothing queues, so that its RTTs make the baseline until they begin to rise.
    void learn_from_start(const sample& s) noexcept {
        if (baseline_.count <= 0 || (quick_start_ && s.bound && is_near_baseline(s) && !rises(s)))
            learn(s);
    }

    // Counts windows above the baseline. After `distrust_after` of them the baseline is given up, here or after the
    // next probe, even if higher baselines from probes were not believed before. If the limit is too low for probes,
    // nothing else would ever correct the baseline.
    void suspect_baseline(const sample& s) noexcept {
        if (s.count > 0 && s.rtt <= flat_ratio * baseline_.rtt)
            trust_baseline();
        else if (s.bound && s.count > 0)
            ++above_baseline_;
        if (above_baseline_ >= distrust_after && !may_probe(s)) {
            reset_baseline(s);
            low_is_known_ = false;
        }
    }

    // Lowers the count, but not to 0 at once: RTTs that vary come near a wrong baseline now and then.
    void trust_baseline() noexcept { above_baseline_ = std::max(0, above_baseline_ - distrust_after / 10); }

    void reset_baseline(const sample& s) noexcept {
        baseline_ = {};
        above_baseline_ = 0;
        learn(s);
    }

    // How far a mean is from the baseline, in standard errors of their difference.
    double errors_from_baseline(const sample& s) const noexcept {
        const double distance = std::abs(s.rtt - baseline_.rtt);
        const double error =
            s.variation * std::hypot(s.rtt / std::sqrt(s.count), baseline_.rtt / std::sqrt(baseline_.count));
        return distance <= 0 ? 0 : error > 0 ? distance / error : std::numeric_limits<double>::infinity();
    }

    bool rises(const sample& s) const noexcept {
        return baseline_.count > 0 && s.count > 0 && s.rtt > baseline_.rtt && errors_from_baseline(s) > replace_errors;
    }

    // Whether a window lies above the baseline because of a wait behind other clients' requests. Such a wait raises the
    // mean of the RTTs, but hardly their spread; a slower service raises both.
    bool looks_like_foreign_queue(const sample& s) const noexcept {
        return baseline_.count > 0 && s.rtt > baseline_.rtt &&
               s.variation < baseline_.variation * std::pow(baseline_.rtt / s.rtt, 0.25);
    }

    // Whether the window's RTT, as the baseline, would make much of a difference. If not, the rise may be the queue of
    // other clients.
    bool is_significant(const sample& s) const noexcept {
        const double enough = 3 * slack();
        return limit_ * (1 - baseline_.rtt / s.rtt) >=
               (looks_like_foreign_queue(s) ? enough : std::min(enough, limit_ / 4));
    }

    // Whether the RTT is not clearly above the baseline. An RTT far above it is no bad luck, however much the RTTs
    // vary.
    bool is_near_baseline(const sample& s) const noexcept {
        return s.count <= 0 || s.rtt <= flat_ratio * baseline_.rtt ||
               (s.rtt <= 2 * flat_ratio * baseline_.rtt && errors_from_baseline(s) <= replace_errors);
    }

    // ---- The limit ----

    double queue_in(const sample& s) const noexcept {
        return s.rtt > baseline_.rtt ? s.in_flight * (1 - baseline_.rtt / s.rtt) : 0;
    }

    double slack() const noexcept {
        const double busy = std::max(0.0, limit_ - queue_);
        const double varying = options_.slack_floor + options_.slack_factor * std::sqrt(busy) + busy / 20;
        const double v = baseline_.count > 0 ? std::min(1.0, baseline_.variation) : 1;
        const double in_flight = in_flight_ > 0 ? std::min(in_flight_, limit_) : limit_;
        return std::min((1 - v) + v * varying, std::max(0.4 * in_flight, std::min(0.4 * limit_, 1.2)));
    }

    void adjust(const sample& now) noexcept {
        if (now.count <= 0)
            return;
        why_ = "no reason to change the limit";
        quick_start_ = quick_start_ && is_near_baseline(now);
        if (quick_start_) {
            if (now.bound)
                change_limit("quick start: no queue yet",
                             std::max(2 * limit_, std::min(4 * limit_, static_cast<double>(options_.initial_limit))));
            return;
        }
        const double wanted = slack();
        const bool idle = now.bound && queue_ < wanted / 3 && now.rtt <= 1.06 * baseline_.rtt;
        idle_windows_ = idle ? idle_windows_ + 1 : 0;
        if (queue_ > options_.beta * wanted)
            change_limit("more requests queue than wanted",
                         limit_ - std::clamp((queue_ - wanted) / 2, 0.0, max_decrease * limit_));
        else if (now.bound && queue_ < options_.alpha * wanted)
            change_limit(
                "fewer requests queue than wanted",
                limit_ + (idle_windows_ >= 3 ? std::max(wanted, limit_ / 4) : std::max(0.0, (wanted - queue_) / 2)));
    }

    // The standard error of a window's share of drops, if that is the usual share.
    double error_of_drops(const sample& s) const noexcept {
        return std::sqrt(usual_drops_ * (1 - usual_drops_) / s.ended);
    }

    // The share of drops beyond the usual ones, which lower concurrency does not prevent; 0 if the excess is within
    // tolerance.
    double excess_drops(const sample& s) const noexcept {
        const double excess = s.drops - usual_drops_;
        return excess > options_.drop_tolerance + 2 * error_of_drops(s) ? excess : 0;
    }

    void shrink_for_drops(const sample& now) noexcept {
        quick_start_ = false;
        idle_windows_ = 0;
        change_limit("too many drops", limit_ * std::max(0.25, 1 - excess_drops(now)));
    }

    // Something succeeded again. Half of the limit from before the outage comes back at once, and the quick start finds
    // the rest.
    plan after_outage() noexcept {
        quick_start_ = true;
        change_limit("an outage ended: half of the limit before it",
                     std::max(limit_, std::exchange(limit_before_outage_, 0.0) / 2));
        return next_window();
    }

    void change_limit(const char* why, double limit) noexcept {
        why_ = why;
        set_limit(limit);
    }

    void set_limit(double limit) noexcept {
        limit_ = std::clamp(limit, static_cast<double>(options_.min_limit), static_cast<double>(options_.max_limit));
    }

    // While the limit is small, the queue is small as well, and few samples suffice: fewer still where the limit has
    // yet to be found.
    plan next_window() const noexcept {
        const std::size_t limit = current_limit();
        const std::size_t few = quick_start_ ? std::max<std::size_t>(20, 3 * limit) : 10 * limit;
        return {limit, detail::window_size(std::min(options_.min_window, few), limit)};
    }

    // ---- Probes ----

    // The concurrency; a probe lowers it to a third. It is not always the limit: when demand is low, a third of the
    // limit would have no effect.
    double concurrency(const sample& s) const noexcept { return std::min(limit_, s.bound ? s.limit : s.in_flight); }

    std::size_t probe_limit(const sample& s) const noexcept {
        return std::max(options_.min_limit, static_cast<std::size_t>(concurrency(s) / 3));
    }

    // Fewer for a very low limit: they take longest there, and the RTTs vary least.
    std::size_t probe_admissions(std::size_t limit) const noexcept {
        return std::max(std::min(options_.min_probe, 20 * limit), 3 * limit);
    }

    double probe_length(const sample& s) const noexcept {
        const std::size_t limit = probe_limit(s);
        return baseline_.rtt * static_cast<double>(probe_admissions(limit)) / static_cast<double>(limit);
    }

    // A probe must at least halve the concurrency, or it would show too little.
    bool can_probe(const sample& s) const noexcept { return 2 * static_cast<double>(probe_limit(s)) <= concurrency(s); }

    // A probe must not follow soon after one that failed.
    bool may_probe(const sample& s) const noexcept { return since_probe_ >= pause_ && can_probe(s); }

    bool cooldown_over(const sample& s) const noexcept { return since_probe_ >= 8 * probe_length(s); }

    // While the limit binds, probes follow a schedule, which is tighter until the baseline is known to 5 %.
    bool probe_is_due(const sample& s) const noexcept {
        const double wanted = std::clamp(400 * s.variation * s.variation, 1.0, baseline_memory);
        const double interval = probe_jitter_ / options_.probe_share * std::min(1.0, baseline_.count / wanted);
        return s.bound && !quick_start_ && since_probe_ >= interval * probe_length(s);
    }

    // Whether the quick start must not end without a probe, because neither a probe nor low demand, with as many
    // samples from as low a concurrency, has confirmed the baseline. Otherwise an unlucky window at the start would
    // leave the limit far too low.
    bool quick_start_needs_probe(const sample& s) const noexcept {
        const std::size_t limit = probe_limit(s);
        const bool confirmed = is_from_lower(static_cast<double>(limit)) &&
                               baseline_.count >= static_cast<double>(probe_admissions(limit));
        return quick_start_ && s.bound && !is_near_baseline(s) && !confirmed;
    }

    plan probe(const sample& now) noexcept {
        why_ = "probe: measures the RTT with fewer requests in flight";
        before_probe_ = now;
        probe_limit_ = probe_limit(now);
        return {probe_limit_, probe_admissions(probe_limit_), current_limit(), longest_probe(now)};
    }

    // Three times what the admissions of a probe should take at the present RTT, and ten RTTs for the calls in flight
    // to end; at least what a guard grants stragglers. An RTT of more than ten baselines does not count: calls hung, or
    // the machine stood still.
    duration longest_probe(const sample& now) const noexcept {
        const double rtt = std::clamp(now.rtt, baseline_.rtt, 10 * baseline_.rtt);
        const double rounds = static_cast<double>(probe_admissions(probe_limit_)) / static_cast<double>(probe_limit_);
        return duration{static_cast<duration::rep>(std::clamp((3 * rounds + 10) * rtt, 1e6, 1e18))};
    }

    // Calls that never end held the permits of the probe, or no caller came: that says nothing about the RTT. The limit
    // is as it was before. The pause keeps such probes within the share of the time that probes may take.
    plan after_failed_probe(const window& w) noexcept {
        why_ = "probe failed: too few requests ended";
        rest_from_probes();
        pause_ = detail::nanoseconds(w.length) / options_.probe_share;
        return next_window();
    }

    plan after_probe(const sample& low, std::size_t reached) noexcept {
        why_ = "probe ended";
        const sample high = before_probe_;
        const bool probe_deeper = can_probe(low) && !confirms_baseline(low);
        rest_from_probes();
        pause_ = 0;
        usual_drops_ = std::min(low.drops, most_usual_drops);
        if (probe_deeper && only_queued(high, low)) {
            quick_start_ = false;
            set_limit(std::min(limit_, 1.3 * static_cast<double>(reached)));
            return probe(low);
        }
        // If the RTT fell in the probe, it may fall more in a deeper one. A first or a higher baseline is taken only
        // from that one.
        const bool rtt_fell = high.rtt > flat_ratio * low.rtt;
        if (probe_deeper && rtt_fell && (quick_start_ || rises(low))) {
            quick_start_ = false;
            return probe(low);
        }
        low_is_known_ = true;
        const sample found = nothing_queued(high, low) ? pooled(high, low) : low;
        if (low.rtt <= flat_ratio * baseline_.rtt)
            trust_baseline();
        if (above_baseline_ >= distrust_after) {
            reset_baseline(found);
        } else if (!rises(found)) {
            if (!looks_like_foreign_queue(found))
                learn(found);
        } else if (is_significant(found)) { // Believed for now, but looked at again soon.
            since_probe_ = std::numeric_limits<double>::infinity();
            learn(found);
        }
        if (high.limit == static_cast<double>(current_limit())) {
            queue_ = queue_in(high);
            adjust(high);
        }
        return next_window();
    }

    // Whether the same RTT is known from no higher concurrency: then nothing queues in the probe.
    bool confirms_baseline(const sample& low) const noexcept {
        return baseline_.count > 0 && is_from_lower(low.in_flight) &&
               std::abs(low.rtt - baseline_.rtt) <= 0.1 * baseline_.rtt;
    }

    // Whether the baseline is from no higher concurrency. If it is only from the start, where all requests may have
    // queued, it must be from a lower one: the same RTT at the same concurrency says nothing.
    bool is_from_lower(double in_flight) const noexcept {
        return (low_is_known_ ? 1 : 1.5) * baseline_.in_flight <= in_flight;
    }

    // The RTT as a power of the concurrency: 0 where nothing queues, 1 where everything does. NaN, which is on no side
    // of any bound, if the two concurrencies are too close to tell.
    static double rtt_exponent(const sample& high, const sample& low) noexcept {
        if (high.rtt <= 0 || low.rtt <= 0 || low.in_flight <= 0 || high.in_flight < 1.5 * low.in_flight)
            return std::numeric_limits<double>::quiet_NaN();
        return std::log(high.rtt / low.rtt) / std::log(high.in_flight / low.in_flight);
    }

    // Whether the RTT fell nearly in proportion to the concurrency: then throughput did not fall, and the probe took
    // away nothing but queue. The elasticity of throughput is then below 0.35.
    static bool only_queued(const sample& high, const sample& low) noexcept { return rtt_exponent(high, low) > 0.65; }

    // Whether the RTT hardly fell with the concurrency: then there was no queue to take away.
    static bool nothing_queued(const sample& high, const sample& low) noexcept {
        return std::abs(rtt_exponent(high, low)) < 0.15;
    }

    static sample pooled(const sample& high, const sample& low) noexcept {
        sample both = low;
        both.count += high.count;
        both.rtt += (high.rtt - low.rtt) * (high.count / both.count);
        both.variation += (high.variation - low.variation) * (high.count / both.count);
        return both;
    }

    // The schedule has jitter, so that the guards of one server do not probe together.
    void rest_from_probes() noexcept {
        since_probe_ = 0;
        low_seen_ = 0;
        probe_jitter_ = 0.5 + uniform();
    }

    // In [0, 1), by SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
    double uniform() noexcept {
        std::uint64_t z = random_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }

    // ---- Options ----

    static vegas_options checked(const vegas_options& o) {
        constexpr std::size_t million = 1'000'000;
        detail::check_range("vegas_options::max_limit", o.max_limit, 1, flowguard::max_limit);
        detail::check_range("vegas_options::min_limit", o.min_limit, 1, o.max_limit);
        detail::check_range("vegas_options::initial_limit", o.initial_limit, o.min_limit, o.max_limit);
        detail::check_real("vegas_options::slack_floor", o.slack_floor, 0, 1e6, detail::ends::upper);
        detail::check_real("vegas_options::slack_factor", o.slack_factor, 0, 1e6);
        detail::check_real("vegas_options::beta", o.beta, 0, 1e6);
        detail::check_real("vegas_options::alpha", o.alpha, 0, o.beta);
        detail::check_range("vegas_options::min_window", o.min_window, 1, million);
        detail::check_range("vegas_options::min_probe", o.min_probe, 1, million);
        detail::check_real("vegas_options::probe_share", o.probe_share, 0, 0.5, detail::ends::upper);
        detail::check_real("vegas_options::drop_tolerance", o.drop_tolerance, 0, 1, detail::ends::lower);
        return o;
    }

    static constexpr double flat_ratio = 1.25;
    static constexpr double max_decrease = 0.3;
    static constexpr double replace_errors = 3.5;
    static constexpr double baseline_memory = 2000; // samples
    static constexpr int distrust_after = 100; // windows
    static constexpr double most_usual_drops = 0.5; // share; more is overload, even if less concurrency is no cure yet
    static constexpr double most_unproven = 20; // limit before anything was measured

    vegas_options options_;
    const char* why_ = "the initial limit";
    double limit_ = 0; // not rounded, so that small steps add up
    double queue_ = 0;
    double in_flight_ = 0; // mean, in the latest window that was no probe
    reference baseline_;
    int above_baseline_ = 0; // windows in which the limit was bound and the RTT clear of the baseline, less what argues
                             // for it
    double usual_drops_ = 0; // share of drops at low concurrency
    bool quick_start_ = true;
    bool low_is_known_ = false; // from a probe, or from low demand: the RTT with less in flight than at the start
    int idle_windows_ = 0; // running, in which hardly anything queued

    std::size_t probe_limit_ = 0; // of the probe whose window is next; 0 when that is an ordinary one
    sample before_probe_;
    double since_probe_ = std::numeric_limits<double>::infinity(); // nanoseconds
    double limit_before_outage_ = 0; // before the windows without a success; 0: the latest window had one
    double pause_ = 0; // nanoseconds since the latest probe before there may be another, for it failed
    double probe_jitter_ = 1;
    double low_seen_ = 0; // samples at low concurrency that demand gave since the latest probe
    std::uint64_t random_;
};

static_assert(limit_strategy<vegas_strategy>);

} // namespace flowguard

#endif
