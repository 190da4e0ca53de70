// vegas_strategy.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_VEGAS_STRATEGY_HPP
#define FLOWGUARD_VEGAS_STRATEGY_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

#include "flowguard/detail/check.hpp"
#include "flowguard/detail/window_use.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard {

/// Parameters of `vegas_strategy`. The defaults are meant to fit any service; a bound on the limit is
/// the one thing worth setting.
struct vegas_options {
    /// Requests, before any window; [min_limit, max_limit]. Above 20 it is a hint: the limit starts at 20 and
    /// approaches the hint in bigger steps, but only while nothing queues, so that too high a guess does not harm the
    /// service.
    std::size_t initial_limit = 20;
    std::size_t min_limit = 1; ///< requests, in dips as well; [1, max_limit]
    std::size_t max_limit = 100'000; ///< requests; [1, flowguard::max_limit]

    /// The queue that is wanted at the resource, enough to keep it busy though load and service times vary: see
    /// vegas_strategy.
    double slack_floor = 3; ///< requests; (0, 1e6]
    double slack_factor = 0.6; ///< [0, 1e6]
    double alpha = 0.7; ///< grow while queue < alpha · slack; [0, beta]
    double beta = 1; ///< shrink while queue > beta · slack; [0, 1e6]

    std::size_t min_window =
        100; ///< admissions in a window (fewer for limits below 10, or 34 at the start); [1, 1'000'000]
    std::size_t min_dip = 60; ///< admissions in a dip, unless 20 · its limit is less; [1, 1'000'000]
    double dip_share = 0.01; ///< share of the time that goes into scheduled dips; (0, 0.5]
    double drop_tolerance =
        0.05; ///< share of drops, beyond the usual and two standard errors of it, that is let pass; [0, 1)
    std::uint64_t seed = 1; ///< of the jitter in the schedule of dips; any
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
///
/// Here v is the coefficient of variation of the service times, 1 at most: work that always takes the same time
/// needs next to no queue to keep the resource busy.
///
/// This is TCP Vegas [1] for concurrency instead of bytes. Service times that vary do not mislead it: its
/// RTTs are means of whole cohorts, and its baseline is not the shortest RTT ever seen but the mean at low
/// concurrency. Varying demand shows that one for free. Where demand pins the limit, the strategy *dips*: it
/// lowers the limit to a third for a moment. A dip also tells a queue, whose RTT falls with the concurrency,
/// from a service that became slower, whose RTT stays; so it comes before any big cut. A dip has a bound in time, for
/// calls that run on and on may hold all of its permits; where it saw too little by then, it changes nothing.
///
/// A guard that has a small share of its service learns little from dips, for the others keep the queue up. But
/// a wait behind their requests raises the mean of the RTTs and hardly the spread, where a slower service
/// stretches both. So a higher baseline is taken from a dip only where it makes a difference, for a wait a big
/// one. A baseline that in a hundred windows hardly one came near is wrong all the same, and given up.
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

    /// Defaults but for the initial limit.
    /// \throws std::invalid_argument unless it is in [1, 100'000]; the message has name, value and range.
    explicit vegas_strategy(std::size_t initial_limit)
        : vegas_strategy(vegas_options{.initial_limit = initial_limit}) {}

    /// \throws std::invalid_argument when an option is out of its range; the message has name, value and range.
    explicit vegas_strategy(vegas_options options) : options_(checked(options)), random_(options.seed) {
        set_limit(std::min(most_unproven, static_cast<double>(options.initial_limit)));
    }

    /// In [min_limit, max_limit]; during a dip, the limit after it. Constant.
    std::size_t current_limit() const noexcept { return static_cast<std::size_t>(limit_ + 0.5); }

    /// The RTT without queueing at the guarded resource; 0 while unknown. Constant.
    duration baseline() const noexcept { return duration{static_cast<duration::rep>(std::min(baseline_.rtt, 9e18))}; }

    /// How many requests queued at the guarded resource, by the latest window that was no dip; at least 0. Constant.
    double queue_estimate() const noexcept { return queue_; }

    /// Why the latest update() answered as it did: a text that lives for ever. Constant.
    const char* reason() const noexcept { return why_; }

    /// The next limit, or a dip. A window that has neither a success nor a drop changes nothing.
    /// Linear in the number of buckets of the histogram; does not allocate.
    plan update(const window& w) noexcept {
        const std::size_t dipped = std::exchange(dip_limit_, 0);
        const bool was_dip = dipped != 0 && w.limit == dipped;
        why_ = "nothing was measured";
        if (was_dip && (w.samples + w.dropped == 0 || 2 * w.admitted < dip_admissions(dipped)))
            return after_failed_dip(w);
        if (w.samples == 0 && w.dropped == 0)
            return next_window();
        const sample now = sample_of(w);
        if (was_dip)
            return after_dip(now, dipped);
        since_dip_ += now.length;
        learn_from_low(w);
        learn_from_start(now);
        lose_faith(now);
        queue_ = queue_in(now);
        in_flight_ = now.in_flight;
        usual_drops_ = std::min(now.limit > 1 ? std::min(usual_drops_, now.drops + 2 * error_of_drops(now)) : now.drops,
                                most_usual_drops);

        const bool overloaded = excess_drops(now) > 0;
        if (overloaded)
            shrink_for_drops(now);
        // Time for measures, not for measuring; and a big window of time-outs would take long.
        if (excess_drops(now) > 0.5)
            return {current_limit(), std::max<std::size_t>(current_limit(), 10)};
        if (may_dip(now) && (dip_is_due(now) || quick_start_needs_dip(now) ||
                             (is_rested(now) && (overloaded || queue_ > 2 * slack() + limit_ / 10))))
            return dip(now);
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
        s.ended = static_cast<double>(w.samples) + static_cast<double>(w.dropped);
        s.drops = detail::drop_share(w);
        if (w.samples > 0) {
            // A time-out would have taken at least as long; a prompt refusal says nothing of the RTT.
            const double rtt = detail::nanoseconds(w.mean_rtt);
            s.rtt = rtt + s.drops * std::max(0.0, detail::nanoseconds(w.dropped_mean_rtt) - rtt);
            s.count = static_cast<double>(w.samples + w.dropped);
            s.variation = w.rtts.variation();
        }
        s.limit = static_cast<double>(std::max<std::size_t>(w.limit, 1));
        // Just after a rise of the limit the rate of admission overstates what is in flight; hence the caps.
        if (w.mean_in_flight > 0)
            s.in_flight = std::min({w.mean_in_flight, static_cast<double>(w.max_in_flight), s.limit});
        s.bound = detail::limit_binds(w);
        s.length = detail::nanoseconds(w.length);
        return s;
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

    // A rise is believed only when the low concurrency was one request, and not too readily then: a third of a limit
    // that is far too high queues as well. Otherwise it shows in the queue estimate, and a dip decides.
    void learn_from_low(const window& w) noexcept {
        if (w.low.samples < 10)
            return;
        const sample low{.rtt = detail::nanoseconds(w.low.mean),
                         .count = static_cast<double>(w.low.samples),
                         .variation = w.low.variation(),
                         .in_flight = static_cast<double>(std::max<std::size_t>(w.limit / 3, 1))};
        if (rises(low) && (w.limit >= 6 || !matters(low)))
            return;
        if (!is_wait(low)) {
            learn(low);
            low_is_known_ = true;
        }
        low_seen_ += low.count;
        if (low_seen_ >= static_cast<double>(options_.min_dip))
            rest_from_dips();
    }

    // While the quick start lasts nothing queues, so that its RTTs make the baseline until they begin to rise.
    void learn_from_start(const sample& s) noexcept {
        if (baseline_.count <= 0 || (quick_start_ && s.bound && is_flat(s) && !rises(s)))
            learn(s);
    }

    // Whatever was held against the higher baselines that dips showed. Where the limit is too low for dips, nothing
    // else would ever tell.
    void lose_faith(const sample& s) noexcept {
        if (s.count > 0 && s.rtt <= flat_ratio * baseline_.rtt)
            regain_faith();
        else if (s.bound)
            ++above_baseline_;
        if (above_baseline_ >= patience && !may_dip(s)) {
            start_over(s);
            low_is_known_ = false;
        }
    }

    // Not all of it at once: RTTs that vary come near a wrong baseline now and then.
    void regain_faith() noexcept { above_baseline_ = std::max(0, above_baseline_ - patience / 10); }

    void start_over(const sample& s) noexcept {
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

    // Whether it lies above the baseline by a wait behind the requests of others: that raises the mean of the RTTs, but
    // hardly their spread, where a slower service stretches both.
    bool is_wait(const sample& s) const noexcept {
        return baseline_.count > 0 && s.rtt > baseline_.rtt &&
               s.variation < baseline_.variation * std::pow(baseline_.rtt / s.rtt, 0.25);
    }

    // Whether it would make much of a difference as the baseline. Where it would not, it may be the queue of others.
    bool matters(const sample& s) const noexcept {
        const double enough = 3 * slack();
        return limit_ * (1 - baseline_.rtt / s.rtt) >= (is_wait(s) ? enough : std::min(enough, limit_ / 4));
    }

    // Not clearly above the baseline; far above is no bad luck, however the RTTs vary.
    bool is_flat(const sample& s) const noexcept {
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
        why_ = "no reason to change it";
        quick_start_ = quick_start_ && is_flat(now);
        if (quick_start_) {
            if (now.bound)
                change_limit("quick start: nothing queues",
                             std::max(2 * limit_, std::min(4 * limit_, static_cast<double>(options_.initial_limit))));
            return;
        }
        const double wanted = slack();
        const bool idle = now.bound && queue_ < wanted / 3 && now.rtt <= 1.06 * baseline_.rtt;
        idle_windows_ = idle ? idle_windows_ + 1 : 0;
        if (queue_ > options_.beta * wanted)
            change_limit("more queues than is wanted",
                         limit_ - std::clamp((queue_ - wanted) / 2, 0.0, max_decrease * limit_));
        else if (now.bound && queue_ < options_.alpha * wanted)
            change_limit(
                "less queues than is wanted",
                limit_ + (idle_windows_ >= 3 ? std::max(wanted, limit_ / 4) : std::max(0.0, (wanted - queue_) / 2)));
    }

    // The standard error of a window's share of drops while those are the usual ones.
    double error_of_drops(const sample& s) const noexcept {
        return std::sqrt(usual_drops_ * (1 - usual_drops_) / s.ended);
    }

    // Drops beyond those that less concurrency does not spare; 0 when they are few enough.
    double excess_drops(const sample& s) const noexcept {
        const double excess = s.drops - usual_drops_;
        return excess > options_.drop_tolerance + 2 * error_of_drops(s) ? excess : 0;
    }

    void shrink_for_drops(const sample& now) noexcept {
        quick_start_ = false;
        idle_windows_ = 0;
        change_limit("drops", limit_ * std::max(0.25, 1 - excess_drops(now)));
    }

    void change_limit(const char* why, double limit) noexcept {
        why_ = why;
        set_limit(limit);
    }

    void set_limit(double limit) noexcept {
        limit_ = std::clamp(limit, static_cast<double>(options_.min_limit), static_cast<double>(options_.max_limit));
    }

    // At least 1.5 × the limit, so that a cohort outlives the one before it. While the limit is small, the queue is
    // small as well, and few samples suffice: fewer still where the limit has yet to be found.
    plan next_window() const noexcept {
        const std::size_t limit = current_limit();
        const std::size_t few = quick_start_ ? std::max<std::size_t>(20, 3 * limit) : 10 * limit;
        return {limit, std::max(std::min(options_.min_window, few), limit + limit / 2)};
    }

    // ---- Dips ----

    // What a dip is a third of: when demand is low, a third of the limit would not be felt.
    double concurrency(const sample& s) const noexcept { return std::min(limit_, s.bound ? s.limit : s.in_flight); }

    std::size_t dip_limit(const sample& s) const noexcept {
        return std::max(options_.min_limit, static_cast<std::size_t>(concurrency(s) / 3));
    }

    // Fewer for a very low limit: there they take longest, and its RTTs vary least.
    std::size_t dip_admissions(std::size_t limit) const noexcept {
        return std::max(std::min(options_.min_dip, 20 * limit), 3 * limit);
    }

    double dip_length(const sample& s) const noexcept {
        const std::size_t limit = dip_limit(s);
        return baseline_.rtt * static_cast<double>(dip_admissions(limit)) / static_cast<double>(limit);
    }

    // Less than a halving would show too little.
    bool can_dip(const sample& s) const noexcept { return 2 * static_cast<double>(dip_limit(s)) <= concurrency(s); }

    // Not soon after a dip that failed.
    bool may_dip(const sample& s) const noexcept { return since_dip_ >= pause_ && can_dip(s); }

    bool is_rested(const sample& s) const noexcept { return since_dip_ >= 8 * dip_length(s); }

    // Where demand pins the limit, by a schedule; a tighter one while the baseline is not yet known to 5 %.
    bool dip_is_due(const sample& s) const noexcept {
        const double wanted = std::clamp(400 * s.variation * s.variation, 1.0, baseline_memory);
        const double interval = dip_jitter_ / options_.dip_share * std::min(1.0, baseline_.count / wanted);
        return s.bound && !quick_start_ && since_dip_ >= interval * dip_length(s);
    }

    // Not before a dip has confirmed the baseline, or demand has, with as many samples from as low a concurrency: an
    // unlucky window at the start would strand the limit far too low.
    bool quick_start_needs_dip(const sample& s) const noexcept {
        const std::size_t limit = dip_limit(s);
        const bool confirmed =
            is_from_lower(static_cast<double>(limit)) && baseline_.count >= static_cast<double>(dip_admissions(limit));
        return quick_start_ && s.bound && !is_flat(s) && !confirmed;
    }

    plan dip(const sample& now) noexcept {
        why_ = "a look at the RTT with less in flight";
        before_dip_ = now;
        dip_limit_ = dip_limit(now);
        return {dip_limit_, dip_admissions(dip_limit_), current_limit(), longest_dip(now)};
    }

    // Three times what the admissions of a dip should take by the RTT now, and ten RTTs for what was in flight before
    // to end; at least what a guard grants stragglers. An RTT of more than ten baselines is no measure of that: calls
    // hung, or the machine stood still.
    duration longest_dip(const sample& now) const noexcept {
        const double rtt = std::clamp(now.rtt, baseline_.rtt, 10 * baseline_.rtt);
        const double rounds = static_cast<double>(dip_admissions(dip_limit_)) / static_cast<double>(dip_limit_);
        return duration{static_cast<duration::rep>(std::clamp((3 * rounds + 10) * rtt, 1e6, 1e18))};
    }

    // Calls that never end held the permits of the dip, or no caller came: that says nothing of the RTT. The limit is
    // as it was before. What such dips cost remains within the share of the time that dips may take.
    plan after_failed_dip(const window& w) noexcept {
        why_ = "a look at the RTT with less in flight saw too little";
        rest_from_dips();
        pause_ = detail::nanoseconds(w.length) / options_.dip_share;
        return next_window();
    }

    plan after_dip(const sample& low, std::size_t reached) noexcept {
        why_ = "the end of a dip";
        const sample high = before_dip_;
        const bool deeper = can_dip(low) && !confirms_baseline(low);
        rest_from_dips();
        pause_ = 0;
        usual_drops_ = std::min(low.drops, most_usual_drops);
        if (deeper && only_queued(high, low)) {
            quick_start_ = false;
            set_limit(std::min(limit_, 1.3 * static_cast<double>(reached)));
            return dip(low);
        }
        // Where the RTT fell in the dip, it may fall more in a deeper one; a first or a higher baseline waits for that.
        const bool fell = high.rtt > flat_ratio * low.rtt;
        if (deeper && fell && (quick_start_ || rises(low))) {
            quick_start_ = false;
            return dip(low);
        }
        low_is_known_ = true;
        const sample found = nothing_queued(high, low) ? pooled(high, low) : low;
        if (low.rtt <= flat_ratio * baseline_.rtt)
            regain_faith();
        if (above_baseline_ >= patience) {
            start_over(found);
        } else if (!rises(found)) {
            if (!is_wait(found))
                learn(found);
        } else if (matters(found)) { // Believed for now, but looked at again soon.
            since_dip_ = std::numeric_limits<double>::infinity();
            learn(found);
        }
        if (high.limit == static_cast<double>(current_limit())) {
            queue_ = queue_in(high);
            adjust(high);
        }
        return next_window();
    }

    // Whether the same RTT is known from no higher concurrency: then nothing queues in the dip.
    bool confirms_baseline(const sample& low) const noexcept {
        return baseline_.count > 0 && is_from_lower(low.in_flight) &&
               std::abs(low.rtt - baseline_.rtt) <= 0.1 * baseline_.rtt;
    }

    // Whether the baseline is from no higher concurrency. While it is from the start alone, where all may have queued,
    // from a lower one: the same RTT at the same concurrency says nothing.
    bool is_from_lower(double in_flight) const noexcept {
        return (low_is_known_ ? 1 : 1.5) * baseline_.in_flight <= in_flight;
    }

    // The RTT as a power of the concurrency: 0 where nothing queues, 1 where everything does. Not a number, and so on
    // no side of any bound, where the two are too close to tell.
    static double rtt_exponent(const sample& high, const sample& low) noexcept {
        if (high.rtt <= 0 || low.rtt <= 0 || low.in_flight <= 0 || high.in_flight < 1.5 * low.in_flight)
            return std::numeric_limits<double>::quiet_NaN();
        return std::log(high.rtt / low.rtt) / std::log(high.in_flight / low.in_flight);
    }

    // Whether the RTT fell nearly in proportion to the concurrency: then throughput did not fall, and the dip took away
    // nothing but queue. The elasticity of throughput is then below 0.35.
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

    // With jitter, so that the guards of one server do not dip together.
    void rest_from_dips() noexcept {
        since_dip_ = 0;
        low_seen_ = 0;
        dip_jitter_ = 0.5 + uniform();
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
        detail::check_range("vegas_options::min_dip", o.min_dip, 1, million);
        detail::check_real("vegas_options::dip_share", o.dip_share, 0, 0.5, detail::ends::upper);
        detail::check_real("vegas_options::drop_tolerance", o.drop_tolerance, 0, 1, detail::ends::lower);
        return o;
    }

    static constexpr double flat_ratio = 1.25;
    static constexpr double max_decrease = 0.3;
    static constexpr double replace_errors = 3.5;
    static constexpr double baseline_memory = 2000; // samples
    static constexpr int patience = 100; // windows
    static constexpr double most_usual_drops = 0.5; // share; more is overload, even if less concurrency is no cure yet
    static constexpr double most_unproven = 20; // limit before anything was measured

    vegas_options options_;
    const char* why_ = "the initial limit";
    double limit_ = 0; // not rounded, so that small steps add up
    double queue_ = 0;
    double in_flight_ = 0; // mean, in the latest window that was no dip
    reference baseline_;
    int above_baseline_ = 0; // windows in which the limit was bound and the RTT clear of the baseline, less what argues
                             // for it
    double usual_drops_ = 0; // share of drops at low concurrency
    bool quick_start_ = true;
    bool low_is_known_ = false; // from a dip, or from low demand: the RTT with less in flight than at the start
    int idle_windows_ = 0; // running, in which hardly anything queued

    std::size_t dip_limit_ = 0; // of the dip whose window is next; 0 when that is an ordinary one
    sample before_dip_;
    double since_dip_ = std::numeric_limits<double>::infinity(); // nanoseconds
    double pause_ = 0; // nanoseconds since the latest dip before there may be another, for it failed
    double dip_jitter_ = 1;
    double low_seen_ = 0; // samples at low concurrency that demand gave since the latest dip
    std::uint64_t random_;
};

static_assert(limit_strategy<vegas_strategy>);

} // namespace flowguard

#endif
