// vegas_strategy.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_STRATEGY_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_STRATEGY_HPP

#include <algorithm>
#include <cstddef>
#include <utility>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/control/options_of_part.hpp"
#include "flowguard/detail/control/window_size.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/experiment.hpp"
#include "flowguard/strategies/vegas/growth.hpp"
#include "flowguard/strategies/vegas/kind_weights.hpp"
#include "flowguard/strategies/vegas/low_samples.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/natural_experiment.hpp"
#include "flowguard/strategies/vegas/options.hpp"
#include "flowguard/strategies/vegas/outage_memory.hpp"
#include "flowguard/strategies/vegas/paced_limit.hpp"
#include "flowguard/strategies/vegas/pauses.hpp"
#include "flowguard/strategies/vegas/probe_schedule.hpp"
#include "flowguard/strategies/vegas/suspected_rise.hpp"
#include "flowguard/strategies/vegas/target.hpp"
#include "flowguard/strategies/vegas/trials.hpp"
#include "flowguard/strategies/vegas/usual_drops.hpp"
#include "flowguard/strategies/vegas/wait_spread.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// Adapts the limit so that a small, known number of requests queue at the guarded resource.
///
///     queue = in flight × (1 − baseline / RTT)         of what is in flight, only queues: Little's law [2]
///     busy  = limit − queue                            is served
///     slack = (1 − v) + v (3 + 0.6 √busy + busy / 10)  may queue on purpose, but no more than 0.5 × in flight, and not
///                                                      much more than the wait varies
///     queue > slack:                                   limit −= (queue − slack) / 2, at most 30 %
///     queue < 0.7 · slack, and the limit binds:        limit += (slack − queue) / 2
///       three times running hardly any queue:          limit += max(slack, limit / 4)
///     from the start until RTT > 1.25 · baseline:      limit × 2, while it is reached; × 4 below 20, while it binds
///       the first calls with each limit:               do not count if they are slower
///       then, if a probe shows that it only queued:    limit −= queue − slack, at most half of it
///     drops > 5 % beyond the usual, luck aside:        limit × (1 − drops), at most quartered
///     a window without any success, in an outage:      the same; with the next success, half of the limit from before
///                                                      the outage comes back, and the rest in steps of × 2
///     in flight fell to half, and the RTT did not:     the limit is held until probes tell why
///
/// Drops are a share of the requests, or of the time for which permits were held, whichever is less: a permit that
/// meets many prompt refusals is still one permit.
///
/// Here v is the coefficient of variation of the service times, 1 at most: work that always takes the same time
/// needs next to no queue to keep the resource busy.
///
/// This is TCP Vegas [1] for concurrency instead of bytes, with both inputs measured in another way. Service times that
/// vary do not mislead it: its RTTs are means of whole cohorts, and its baseline is not the shortest RTT ever seen but
/// the mean at low concurrency. Varying demand shows that one for free. Where demand pins the limit, the strategy
/// *probes*: it lowers the limit to a third for a moment. A probe also tells a queue, whose RTT falls with the
/// concurrency, from a service that became slower, whose RTT stays; so it comes before any big cut. A probe is bounded
/// in time, because calls that run on and on may hold all of its permits. If it saw too few calls by then, it changes
/// nothing.
///
/// The first calls with a higher limit may open connections, and fill caches. So if they are slower than the baseline,
/// the quick start waits for the next ones.
///
/// Whenever the concurrency falls to half, by a cut or by less demand, the strategy compares the RTTs before and after.
/// The RTT of a queue falls as well. If the RTT did not fall, either the service has become slower, or other clients
/// keep the queue up. The same holds if a probe shows a long RTT. The strategy then holds the limit, and looks at
/// probes at common instants, as below. If two probes in a row show the long RTT, the last of them at a common instant,
/// it becomes the baseline, and a limit that had fallen goes back to what it was.
///
/// Some services pause again and again, for example if they have a quota of their processor. A window that meets a
/// pause has a long RTT and little throughput; its neighbour, with as high a limit, has no queue. Where that is usual,
/// the strategy looks at the calmest of the latest windows.
///
/// An RTT above the baseline need not be a queue. Calls may also slow each other down, by locks, caches, or a quota of
/// the processor, and more of them in flight may still get more done. So now and then half as much again is in flight
/// for one window: a *trial*. If throughput grew in it, the limit stays there, and what seems to queue there counts as
/// wanted, until later trials show no gain.
///
/// A guard that has a small share of its service learns little from a probe of its own, because the other clients keep
/// the queue up. So scheduled probes begin at common instants, at multiples of 2^k ns of the clock that hosts share by
/// NTP: the guards of one server probe together, their common queue falls, and each sees the RTT without it. Trials
/// have common instants as well, so that no guard wins throughput from the others by its trial. Between probes, a wait
/// that hardly varies tells a guard that the queue never becomes empty, and so is too long. The limit may fall below
/// one, so that a small service bears many guards: see plan::spacing.
///
/// A wait behind the requests of others raises the mean of the RTTs, but hardly the spread; a slower service raises
/// both. So a probe raises the baseline only if the RTT is clearly longer, and, if it looks like such a wait, only if
/// it is much longer. A baseline is given up after a hundred windows of which hardly one came near it.
///
/// If calls differ in cost, and their kinds are told (run_options::kind), the RTTs in these formulas are what the same
/// service would have shown with the mix of the first window. What each kind costs is learnt while nothing queues.
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
    explicit vegas_strategy(vegas_options options)
        : options_(detail::vegas::checked(options)),
          probes_(options_),
          trials_(options_),
          drops_(options_.drop_tolerance) {
        set_limit((std::min)(detail::vegas::most_unproven, static_cast<double>(options_.initial_limit)));
    }

    /// The limit, in [min_limit, max_limit]; during a probe, the limit after it. A limit below one is told as 1.
    /// Complexity: O(1).
    std::size_t current_limit() const noexcept { return detail::vegas::whole(limit_); }

    /// The plan before any window. Complexity: O(1).
    plan first_plan() const noexcept { return next_window(); }

    /// The RTT without queueing at the guarded resource; 0 while unknown. If there are kinds of calls, it is that of
    /// the mix in the first window. Complexity: O(1).
    duration baseline() const noexcept {
        return duration{static_cast<duration::rep>((std::min)(baseline_.rtt(), 9e18))};
    }

    /// How many requests queued at the guarded resource, by the latest window that was no probe; at least 0.
    /// Complexity: O(1).
    double queue_estimate() const noexcept { return queue_; }

    /// Why the latest update() answered as it did: a string that is never destroyed. Complexity: O(1).
    const char* reason() const noexcept { return reason_; }

    /// The next limit, or a probe. A window that has neither a success nor a drop changes nothing. Complexity: linear
    /// in the number of buckets of the histogram. Does not allocate.
    plan update(const window& w) noexcept {
        auto [next, reason] = decide(w);
        reason_ = reason;
        if (next.then == 0) {
            next.spacing = spacing_of(limit_);
            schedule(next, detail::nanoseconds(w.closed_at));
        }
        return next;
    }

    /// The strategy of one of `parts` parts of a split_guard: with these options, but with equal shares of the three
    /// limits, each at least 1. With a share of `min_limit` that is 1, the limit of the part may fall below one. Each
    /// part wants a queue of its own: `slack_floor` and the like are not shared. Throws std::invalid_argument unless
    /// `parts` is in [1, max_limit] and `index` in [0, parts - 1].
    vegas_strategy part(std::size_t index, std::size_t parts) const {
        const vegas_options o = detail::options_of_part(options_, index, parts, "vegas_options::max_limit");
        return vegas_strategy(o);
    }

private:
    using measurement = detail::vegas::measurement;

    struct decision {
        plan next;
        const char* reason;
    };

    // The rules. The first that applies decides.
    decision decide(const window& w) noexcept {
        const double probed = std::exchange(probe_.limit, 0.0);
        const bool was_planned = probed > 0 && is_of_probe(w, probed);
        const bool was_trial = was_planned && probe_.is_trial;
        const bool was_probe = was_planned && !was_trial;
        if (was_probe)
            latest_ = {};
        if (was_trial)
            trials_.rest();
        const bool says_nothing = w.all.samples == 0 && w.dropped == 0;
        if (was_probe && (says_nothing || 2 * detail::telling_members(w) < probes_.admissions(probed)))
            return after_failed_probe(w);
        if (says_nothing)
            return {next_window(), "no request was measured"};
        kinds_.meet(w.all);
        measurement now = kinds_.normalised(detail::vegas::measure(w), w.all, baseline_.rtt());
        kinds_.learn(w.all, baseline_.rtt());
        if (now.has_rtt())
            recent_rtt_ = now.success_rtt * now.cost;
        if (growth_.end_warm_up() && is_cold(now))
            return {next_window(), "quick start: the first calls with this limit were slow"};
        if (was_trial && now.has_rtt() && now.drops <= options_.drop_tolerance)
            return after_trial(now);
        if (was_probe && now.has_rtt())
            return after_probe(now, probed);
        if (was_probe) // an outage began in it
            probes_.fail((std::min)(now.length, probe_.within));

        learn(w, now);
        if (now.has_rtt() && outage_.is_on())
            return after_outage();
        if (!now.has_rtt())
            outage_.go_on(limit_);
        const bool too_many_drops = drops_.excess(now) > 0;
        if (too_many_drops)
            cut_for_drops(now);
        if (!now.has_rtt() || drops_.excess(now) > detail::vegas::heavy_drops)
            return in_heavy_overload(now, too_many_drops ? "too many drops" : "no request succeeded");
        pauses_.see(now, baseline_);
        if (pauses_.are_usual())
            now = without_pauses();
        growth_.see(now);
        if (!rise_.is_suspected() && wants_probe(now, too_many_drops))
            return probe(now);
        if (too_many_drops)
            return {next_window(), "too many drops"};
        if (const auto found = experiment_.learn(now); found && baseline_.is_refuted_by(found->low))
            suspect_rise(found->limit_before, found->low.rtt);
        if (rise_.is_suspected()) {
            growth_.end_quick_start(); // in which no probe is scheduled
            return {next_window(), "a slower service, or the queue of others: a probe will tell"};
        }
        return adjust(now);
    }

    // ---- What a window tells ----

    // Whether the calls in the first window with a higher limit were slower than before. If they are slow because they
    // are the first, the next window does not show it.
    bool is_cold(const measurement& now) const noexcept {
        return now.has_rtt() && now.drops <= options_.drop_tolerance && !baseline_.is_met_by(now);
    }

    void learn(const window& w, const measurement& now) noexcept {
        probes_.pass(now.length);
        latest_ = now;
        trials_.see(now);
        waits_.learn(now);
        learn_from_low(w);
        learn_from_start(now);
        judge_baseline(now);
        queue_ = queue_in(now, baseline_);
        in_flight_ = now.in_flight;
        calm_before_ = std::exchange(calm_, queue_ <= detail::vegas::calm_queue * wanted_queue() ? now.limit : 0);
        drops_.learn(now);
    }

    // What the latest windows tell of the queue, where the service pauses again and again.
    measurement without_pauses() noexcept {
        latest_ = pauses_.calmest();
        queue_ = queue_in(latest_, baseline_);
        in_flight_ = latest_.in_flight;
        return latest_;
    }

    // With a limit below one, no concurrency is low.
    //
    // A rise is not believed: a third of a limit that is far too high queues as well, and so does a single request
    // behind those of other clients. The rise shows in the queue estimate, and a probe decides.
    void learn_from_low(const window& w) noexcept {
        if (w.spacing > duration{})
            return;
        const measurement newest = kinds_.normalised(detail::vegas::measure_low(w), w.low, baseline_.rtt());
        if (newest.count < detail::vegas::least_low_samples)
            return;
        if (baseline_.is_exceeded_by(newest) || baseline_.looks_like_foreign_queue(newest))
            return;
        const measurement low = lows_.complete(newest, baseline_);
        if (!low.has_rtt())
            return;
        baseline_.learn(low);
        baseline_.confirm();
        probes_.saw_low(low.count);
    }

    // While the quick start lasts nothing queues, so that its RTTs make the baseline until they begin to rise. One of
    // fewer than ten calls is only luck. The first successes after an outage are no baseline: they may have hung, or
    // opened connections.
    void learn_from_start(const measurement& now) noexcept {
        if ((baseline_.samples() < detail::vegas::least_low_samples && !outage_.is_on()) ||
            (growth_.is_quick() && now.bound && baseline_.is_met_by(now) && !baseline_.is_exceeded_by(now)))
            baseline_.learn(now);
    }

    // A baseline that hardly a window came near is given up, here or after the next probe, even if higher baselines
    // from probes were not believed before. If the limit is too low for probes, nothing else would ever correct it, and
    // even an RTT that is not far above the baseline keeps the limit low.
    void judge_baseline(const measurement& now) noexcept {
        if (!now.has_rtt())
            return;
        if (baseline_.is_met_by(now))
            rise_.clear();
        if (probes_.is_possible_at(concurrency(now)) ? baseline_.is_met_by(now) : baseline_.is_closely_met_by(now))
            baseline_.trust();
        else if (now.bound)
            baseline_.suspect();
        if (baseline_.is_doubtful() && !may_probe(now)) {
            baseline_.start_over_unconfirmed(now);
            rise_.clear();
        }
    }

    // Whether an RTT, as the baseline, would make much of a difference. If not, the rise may be the queue of other
    // clients.
    bool is_significant(const measurement& m) const noexcept {
        const double enough = detail::vegas::significant_slacks * wanted_queue();
        return limit_ * (1 - baseline_.rtt() / m.rtt) >=
               (baseline_.looks_like_foreign_queue(m) ? enough
                                                      : (std::min)(enough, detail::vegas::significant_share * limit_));
    }

    double wanted_queue() const noexcept {
        return needed_queue() + trials_.allowed() * detail::vegas::in_use(limit_, in_flight_);
    }

    // Without what trials allow.
    double needed_queue() const noexcept {
        return detail::vegas::wanted_queue(limit_, queue_, in_flight_, baseline_, waits_.share(baseline_), options_);
    }

    // ---- The limit ----

    decision adjust(const measurement& now) noexcept {
        const auto [limit, reason] = growth_.next(limit_, now, queue_, wanted_queue(), baseline_, options_);
        set_limit(limit);
        return {next_window(), reason};
    }

    // Not below one: errors may have another cause than the load, and with a spacing, their end would be seen late.
    void cut_for_drops(const measurement& now) noexcept {
        growth_.cut();
        const double left = (std::max)(detail::vegas::least_left_by_drops, 1 - drops_.excess(now));
        set_limit((std::max)(left * limit_, (std::min)(limit_, 1.0)));
    }

    // No probe now, and a small window, because a big window of time-outs would take long. A window without a success
    // only says that the outage goes on.
    decision in_heavy_overload(const measurement& now, const char* reason) const noexcept {
        const std::size_t limit = current_limit();
        return {{limit, std::max<std::size_t>(limit, now.has_rtt() ? 10 : 2)}, reason};
    }

    // Something succeeded again. Half of the limit from before the outage comes back at once, and the quick start finds
    // the rest.
    decision after_outage() noexcept {
        const double before = outage_.end();
        growth_.start_quickly_up_to(before);
        probes_.end_pause();
        set_limit((std::max)(limit_, detail::vegas::left_by_outage * before));
        return {next_window(), "an outage ended: half of the limit before it"};
    }

    // The concurrency fell, and the RTT did not. So nothing had queued, or others keep the queue up.
    void suspect_rise(double limit_before, double rtt) noexcept {
        if (!rise_.is_suspected())
            probes_.ask_again_soon();
        rise_.suspect(limit_before, rtt);
    }

    // If the limit had fallen because of it, the quick start goes back to the limit from then.
    void believe_rise(const measurement& m) noexcept {
        if (rise_.limit_before() > limit_)
            growth_.start_quickly_up_to(rise_.limit_before());
        rise_.clear();
        baseline_.learn(m);
    }

    void set_limit(double limit) noexcept {
        limit_ = std::clamp(limit, detail::vegas::lowest(options_), static_cast<double>(options_.max_limit));
    }

    // While the limit is small, the queue is small as well, and few samples suffice: fewer still where the limit has
    // yet to be found.
    plan next_window() const noexcept {
        const std::size_t limit = current_limit();
        if (growth_.warms_up())
            return {limit, limit};
        const std::size_t few = growth_.is_quick() ? std::max<std::size_t>(20, 3 * limit) : 10 * limit;
        return {limit, detail::window_size((std::min)(options_.min_window, few), limit)};
    }

    // ---- Probes ----

    // It is not always the limit: when demand is low, a third of the limit would have no effect.
    double concurrency(const measurement& m) const noexcept {
        return (std::min)(limit_, m.bound ? m.limit : m.in_flight);
    }

    double probe_limit(const measurement& m) const noexcept { return probes_.limit_at(concurrency(m)); }

    double probe_length(const measurement& m) const noexcept {
        return probes_.length(probe_limit(m), baseline_) * m.cost;
    }

    bool may_probe(const measurement& now) const noexcept {
        return probes_.pause_is_over() && probes_.is_possible_at(concurrency(now));
    }

    // At once: the quick start needs a probe, or one comes before a big cut.
    bool wants_probe(const measurement& now, bool too_many_drops) const noexcept {
        if (!may_probe(now) || growth_.gains())
            return false;
        if (now.bound && growth_.is_quick() && start_needs_probe(now))
            return true;
        const bool is_big = too_many_drops || queue_ > detail::vegas::early_probe * wanted_queue() + limit_ / 10;
        return is_big && probes_.cooldown_is_over(probe_length(now));
    }

    // Whether the quick start must not end without a probe, because neither a probe nor low demand, with as many
    // samples from as low a concurrency, has confirmed the baseline. Otherwise an unlucky window at the start would
    // leave the limit far too low.
    bool start_needs_probe(const measurement& now) const noexcept {
        const double limit = probe_limit(now);
        const bool is_confirmed =
            baseline_.is_from_at_most(limit) && baseline_.samples() >= static_cast<double>(probes_.admissions(limit));
        return !baseline_.is_near(now) && !is_confirmed;
    }

    // `lowest` is what the probe before showed, if this one is a deeper one.
    decision probe(const measurement& now, const measurement& lowest = {}) noexcept {
        const scheduled_probe at_once = plan_probe(now, 0, lowest);
        plan p(at_once.limit, at_once.admissions, current_limit(), at_once.within);
        p.spacing = at_once.spacing;
        p.then_spacing = spacing_of(limit_);
        return {p, "probe: measures the RTT with fewer requests in flight"};
    }

    // Adds the next probe or trial, if there is to be one. It takes the place of the window that is open then. `time`
    // is on the shared clock.
    void schedule(plan& next, double time) noexcept {
        if (!baseline_.is_known() || growth_.is_quick() || !latest_.has_rtt() || !latest_.bound || !may_probe(latest_))
            return;
        const double length = probe_length(latest_);
        const double until_probe = probes_.until_scheduled(length, latest_, baseline_, rise_.is_suspected(), time);
        const double until_trial = trials_.until_scheduled(length, time);
        const bool is_trial = until_trial < until_probe && may_try();
        const double wait = is_trial ? until_trial : until_probe;
        next.scheduled = is_trial ? plan_trial(time + wait) : plan_probe(latest_, time + wait);
        next.scheduled.begins_in = duration{static_cast<duration::rep>((std::max)(wait, 1.0))};
    }

    // Remembers a probe, and the window before it. `begins_at` is on the shared clock; 0: at once.
    scheduled_probe plan_probe(const measurement& before, double begins_at, const measurement& lowest = {}) noexcept {
        const double limit = probe_limit(before);
        before_probe_ = before;
        const duration within = probes_.longest(limit, before, baseline_);
        const bool is_deeper = lowest.has_rtt();
        probe_ = {.limit = limit,
                  .spacing = spacing_of(limit),
                  .begins_at = begins_at,
                  .is_common = begins_at > 0 || (is_deeper && probe_.is_common),
                  .within = detail::nanoseconds(within),
                  .lowest = lowest};
        return {.limit = detail::vegas::whole(limit),
                .admissions = probes_.admissions(limit),
                .within = within,
                .spacing = probe_.spacing};
    }

    bool may_try() const noexcept {
        return trials_.is_possible_at(limit_) && latest_.drops <= options_.drop_tolerance && !rise_.is_suspected();
    }

    scheduled_probe plan_trial(double begins_at) noexcept {
        const double limit = trials_.limit_from(limit_);
        const duration within = trials_.longest(limit, latest_.cost);
        probe_ = {.limit = limit,
                  .begins_at = begins_at,
                  .is_trial = true,
                  .within = detail::nanoseconds(within),
                  .lowest = {}};
        return {.limit = detail::vegas::whole(limit), .admissions = trials_.admissions(limit), .within = within};
    }

    // If throughput grew, the limit stays, and so does what seems to queue with it.
    decision after_trial(const measurement& now) noexcept {
        latest_ = {};
        if (!trials_.tells(now))
            return {next_window(), "trial of a higher limit: demand did not fill it"};
        if (!trials_.is_gain(now, baseline_)) {
            trials_.fail();
            return {next_window(), "trial of a higher limit: no more throughput"};
        }
        in_flight_ = now.in_flight;
        queue_ = queue_in(now, baseline_);
        set_limit(now.limit);
        trials_.succeed(now, queue_, needed_queue());
        return {next_window(), "trial of a higher limit: more throughput"};
    }

    duration spacing_of(double limit) const noexcept { return detail::vegas::spacing_of(limit, recent_rtt_); }

    // Whether a window is that of the probe, and not one that ended before a scheduled probe began.
    bool is_of_probe(const window& w, double limit) const noexcept {
        const double middle = detail::nanoseconds(w.closed_at) - detail::nanoseconds(w.length) / 2;
        return w.limit == detail::vegas::whole(limit) && w.spacing == probe_.spacing &&
               (probe_.begins_at <= 0 || middle >= probe_.begins_at);
    }

    // Calls that never end held the permits of the probe, or no caller came: that says nothing about the RTT. The limit
    // is as it was before.
    decision after_failed_probe(const window& w) noexcept {
        probes_.fail((std::min)(detail::nanoseconds(w.length), probe_.within));
        return {next_window(), "probe failed: too few requests ended"};
    }

    decision after_probe(const measurement& newest, double reached) noexcept {
        const measurement high = before_probe_;
        // The RTT can be higher in a deeper probe only because other clients have more in flight again.
        const measurement low = probe_.lowest.has_rtt() && probe_.lowest.rtt < newest.rtt ? probe_.lowest : newest;
        // If demand did not fill the probe, it has set the throughput: that says nothing about the queue below.
        const bool can_go_deeper = low.bound && probes_.is_possible_at(concurrency(low)) && !baseline_.confirms(low);
        probes_.succeed();
        drops_.set(newest.drops);
        if (pauses_.are_usual() || may_have_paused(high, low)) {
            learn_from_probe(high, low);
            return {next_window(), "probe ended: little had queued until then"};
        }
        if (can_go_deeper && only_queued(high, low)) {
            growth_.end_quick_start();
            set_limit((std::min)(limit_, detail::vegas::above_knee * reached));
            return probe(low, low);
        }
        // A few RTTs that vary much are easily too short or too long. But so much more throughput than in the probe is
        // no luck: the limit is still too low.
        if (growth_.is_quick() && detail::vegas::throughput_grew(high, low) && detail::vegas::may_be_luck(low) &&
            !baseline_.is_exceeded_by(low) && !baseline_.is_far_below(high)) {
            learn_from_probe(high, low);
            set_limit(growth_.next_quick(limit_, options_));
            return {next_window(), "quick start: much more throughput than in the probe"};
        }
        const bool overshot = growth_.is_quick() && detail::vegas::only_queued(high, low);
        // If the RTT fell in the probe, it may fall more in a deeper one. A first or a higher baseline is taken only
        // from that one.
        const bool rtt_fell = high.rtt > detail::vegas::flat_ratio * low.rtt;
        if (can_go_deeper && rtt_fell && (growth_.is_quick() || baseline_.is_exceeded_by(low))) {
            growth_.end_quick_start();
            return probe(low, low);
        }
        // Other guards of the service are starting as well, and their queue grew in the meantime: or all of them would
        // start on and on, each with the queue of the others as its baseline.
        if (baseline_.is_exceeded_by(low))
            growth_.end_quick_start();
        learn_from_probe(high, low);
        if (!high.has_rtt() || detail::vegas::whole(high.limit) != current_limit())
            return {next_window(), "probe ended"};
        queue_ = queue_in(high, baseline_);
        if (rise_.is_suspected())
            return {next_window(), "probe ended: a slower service, or the queue of others"};
        if (overshot)
            return after_overshoot();
        return adjust(high);
    }

    // The quick start doubled the limit once too often, and the probe tells how much only queues. In smaller steps,
    // that queue would stay for several of its own long RTTs.
    decision after_overshoot() noexcept {
        growth_.end_quick_start();
        set_limit(
            (std::max)(detail::vegas::left_by_overshoot * limit_, limit_ - (std::max)(0.0, queue_ - wanted_queue())));
        return {next_window(), "quick start ended: what only queued is cut at once"};
    }

    // Whether little queued in the window before the latest one, with as high a limit. If the latest window shows a
    // queue, the service may just have paused: a collection of garbage, a virtual machine that was moved. A queue is
    // still there in the next window. But if even the probe queues, it is no pause.
    bool may_have_paused(const measurement& latest, const measurement& in_probe) const noexcept {
        return !probe_.lowest.has_rtt() && calm_before_ >= detail::vegas::same_limit * latest.limit &&
               !(baseline_.is_exceeded_by(in_probe) && detail::vegas::only_queued(latest, in_probe));
    }

    // At common instants most guards of the server probe, so that few requests of others are in flight.
    void learn_from_probe(const measurement& high, const measurement& low) noexcept {
        baseline_.confirm();
        const measurement newest = nothing_queued(high, low) ? pooled(high, low) : low;
        if (baseline_.is_met_by(low))
            baseline_.trust();
        if (baseline_.is_doubtful()) {
            rise_.clear();
            baseline_.start_over(newest);
        } else if (baseline_.is_exceeded_by(newest)) {
            learn_of_rise(newest, newest);
        } else if (rise_.is_supported_by(newest, baseline_.rtt())) {
            learn_of_rise(newest, rise_.with_earlier(newest));
        } else {
            rise_.clear();
            if (probe_.is_common || !baseline_.looks_like_foreign_queue(newest))
                baseline_.learn(newest);
        }
    }

    // `found` is the newest probe alone, or with the earlier ones of the suspicion. If even these leave it open whether
    // the RTT is longer, the next probe tells more.
    void learn_of_rise(const measurement& newest, const measurement& found) noexcept {
        const bool is_long = baseline_.is_exceeded_by(found);
        if (is_long && !probe_.is_common && !is_significant(found))
            return;
        rise_.see_probe(newest, is_long);
        if (is_long && probe_.is_common && rise_.is_believed())
            believe_rise(found);
        else
            probes_.ask_again_soon();
    }

    vegas_options options_;
    const char* reason_ = "the initial limit";
    double limit_ = 0; // not rounded, so that small steps add up
    double queue_ = 0; // in the latest window that was no probe
    double in_flight_ = 0; // mean, in the same
    double calm_ = 0; // the limit of the same, if little queued; else 0
    double calm_before_ = 0; // the same of the window before it
    detail::vegas::baseline baseline_;
    detail::vegas::low_samples lows_;
    detail::vegas::kind_weights kinds_;
    detail::vegas::wait_spread waits_;
    detail::vegas::pauses pauses_;
    detail::vegas::growth growth_;
    detail::vegas::probe_schedule probes_;
    detail::vegas::trials trials_;
    detail::vegas::usual_drops drops_;
    detail::vegas::outage_memory outage_;
    detail::vegas::natural_experiment experiment_;
    detail::vegas::suspected_rise rise_;

    // The probe or trial whose window may be next.
    struct planned_probe {
        double limit = 0; // 0: there is none
        duration spacing{};
        double begins_at = 0; // on the shared clock; 0: at once
        bool is_trial = false;
        bool is_common = false; // it begins at a common instant, or follows such a probe, deeper
        double within = 0; // ns; a window may be longer, for a machine may stand still
        measurement lowest; // of the probe before, if this one is deeper
    };

    planned_probe probe_;
    measurement before_probe_;
    measurement latest_; // since the latest probe: so no probe is scheduled before another window was seen
    double recent_rtt_ = 0; // of the latest window that had a success
};

static_assert(limit_strategy<vegas_strategy>);

} // namespace flowguard

#endif
