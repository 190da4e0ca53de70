// growth.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_GROWTH_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_GROWTH_HPP

#include <algorithm>
#include <limits>
#include <utility>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/experiment.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"
#include "flowguard/strategies/vegas/options.hpp"

namespace flowguard::detail::vegas {

struct limit_change {
    double limit; // not clamped
    const char* reason;
};

// Moves the limit towards the wanted queue: by half of what is missing or too much, and in bigger steps while nothing
// queues.
class growth {
public:
    // The quick start doubles the limit while it is reached and nothing queues.
    bool is_quick() const noexcept { return quick_start_; }
    void end_quick_start() noexcept { quick_start_ = false; }

    // Another one, up to a limit that is known to be good.
    void start_quickly_up_to(double limit) noexcept {
        quick_start_ = true;
        known_limit_ = limit;
        warms_up_ = true;
    }

    // Whether the first calls with a higher limit, in the quick start, are still to come. They may be slow because they
    // are the first: they open connections, and fill caches.
    bool warms_up() const noexcept { return warms_up_; }
    bool end_warm_up() noexcept { return std::exchange(warms_up_, false); }

    // The next limit of the quick start.
    double next_quick(double limit, const vegas_options& o) noexcept {
        const double hint = (std::max)(most_unproven, static_cast<double>(o.initial_limit));
        warms_up_ = true;
        return (std::min)(highest(o), (std::max)(2 * limit, (std::min)(4 * limit, hint)));
    }

    // Takes each window, before next(). While it is clearly faster to have more in flight, a higher RTT ends no quick
    // start: it may be that of a batch.
    void see(const measurement& now) noexcept {
        const measurement before{.rtt = rtt_before_, .in_flight = in_flight_before_};
        gains_ = quick_start_ && now.bound && rtt_exponent(now, before) < gains_exponent;
        rtt_before_ = now.rtt;
        in_flight_before_ = now.in_flight;
    }
    bool gains() const noexcept { return gains_; }

    // What was seen before says nothing of the time after a cut.
    void cut() noexcept {
        quick_start_ = false;
        idle_windows_ = 0;
    }

    limit_change next(double limit, const measurement& now, double queue, double wanted, const baseline& base,
                      const vegas_options& o) noexcept {
        const measurement all = with_this_limit(now);
        quick_start_ = quick_start_ && (gains_ || base.is_near(all)) && limit < highest(o);
        if (quick_start_ && now.reached && !gains_ && !base.is_met_by(all))
            return {limit, "quick start: a queue, or bad luck"};
        if (quick_start_ && now.reached)
            return {now.bound ? next_quick(limit, o) : (std::min)(highest(o), 2 * limit), "quick start: no queue yet"};
        if (quick_start_)
            return {limit, no_reason};
        const bool is_idle = now.bound && queue < wanted / 3 && now.rtt <= idle_ratio * base.rtt();
        idle_windows_ = is_idle ? idle_windows_ + 1 : 0;
        if (queue > o.beta * wanted)
            return {limit - std::clamp(step * (queue - wanted), 0.0, max_decrease * limit),
                    "more requests queue than wanted"};
        if (now.bound && queue < o.alpha * wanted)
            return {limit + (idle_windows_ >= idle_windows ? (std::max)(wanted, big_step * limit)
                                                           : (std::max)(0.0, step * (wanted - queue))),
                    "fewer requests queue than wanted"};
        return {limit, no_reason};
    }

private:
    // Where the quick start ends.
    double highest(const vegas_options& o) const noexcept {
        return (std::min)(known_limit_, static_cast<double>(o.max_limit));
    }

    // All bound windows since the limit was raised to the present one, in the quick start. One alone may be unlucky.
    measurement with_this_limit(const measurement& now) noexcept {
        if (!quick_start_ || !now.bound || !now.has_rtt())
            return now;
        if (same_limit_.limit == now.limit && same_limit_.has_rtt())
            add(same_limit_, now);
        else
            same_limit_ = now;
        return same_limit_;
    }

    static constexpr const char* no_reason = "no reason to change the limit";

    bool quick_start_ = true;
    bool warms_up_ = false;
    double known_limit_ = std::numeric_limits<double>::infinity(); // from before an outage, or a rise
    bool gains_ = false; // throughput still grew in the latest window
    double rtt_before_ = 0; // in the window before it
    double in_flight_before_ = 0; // in the same
    measurement same_limit_; // windows of the quick start
    int idle_windows_ = 0; // running, in which hardly anything queued
};

} // namespace flowguard::detail::vegas

#endif
