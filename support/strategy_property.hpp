// strategy_property.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_STRATEGY_PROPERTY_HPP
#define FLOWGUARD_SUPPORT_STRATEGY_PROPERTY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <tuple>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/strategies/aimd_strategy.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/gradient2_strategy.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/byte_source.hpp"

// The property that every strategy must have, whatever its windows say. Windows are made from bytes. The unit test
// draws the bytes at random, the fuzzer breeds them, and both check the same property.
namespace support {

// ---- What each strategy declares ----

// The bounds within which a strategy is told to stay.
struct limits {
    std::size_t min, max, initial;
};

// How far one window may move a limit.
struct step {
    double fall;      // the new limit is at least `fall` times the old one, except for rounding,
    double rise;      // and at most `rise` times the old one
    double rise_more; // plus `rise_more`
};

// What each strategy declares:
// - make: makes the strategy with these bounds
// - kept: the bounds within which it then stays
// - step_from: how far one window may move its limit
// - perfect_rtt: the RTT that it takes as one without queueing
// - lowest: how low overload brings its limit, unless min is higher
// - recovery: how many perfect windows it needs at most to get from min to 10 × min; 0 if it never gets there
template <class Strategy>
struct declared;

template <>
struct declared<flowguard::vegas_strategy> {
    static constexpr const char* name = "vegas_strategy";
    static constexpr bool restores_after_outage = true;
    static flowguard::vegas_strategy make(const limits& l) {
        return flowguard::vegas_strategy{
            flowguard::vegas_options{.initial_limit = l.initial, .min_limit = l.min, .max_limit = l.max}};
    }
    static limits kept(const limits& l) { return l; }
    static step step_from(const limits& l, std::size_t limit, std::size_t window_limit) {
        constexpr double least_left = 0.25; // after drops; a queue takes at most 30 % off
        constexpr double after_probe = 1.3; // times the probe, if it took away only queue
        constexpr double most = 4; // in the quick start, towards the initial limit or 20
        // Up to twice the limit in the quick start. Later, the limit grows by at most a quarter, or by the slack, which
        // is at most 0.4 of the limit.
        constexpr double beyond = 2;
        const auto now = static_cast<double>(limit);
        const double left_by_probe = window_limit < limit ? after_probe * static_cast<double>(window_limit) / now : 1;
        const double rise = std::clamp(static_cast<double>(std::max<std::size_t>(l.initial, 20)) / now, beyond, most);
        return {std::min(least_left, left_by_probe), rise, (rise + 1) / 2}; // both limits are rounded
    }
    static flowguard::duration perfect_rtt(const flowguard::vegas_strategy& s) { return s.baseline(); }
    static constexpr std::size_t lowest = 1;
    // Two small steps, then steps of a quarter or more each: 1.25¹¹ > 10. If min is 1, the limit may be 0.01, and
    // 1.25³¹ > 1000. In addition, some probes. If RTTs are 0, probes take no time, so that each step may have one.
    static std::size_t recovery(std::size_t min, flowguard::duration rtt) {
        const std::size_t steps = 2 + (min == 1 ? 31 : 11);
        return rtt.count() > 0 ? steps + 3 : 2 * steps;
    }
};

template <>
struct declared<flowguard::aimd_strategy> {
    static constexpr const char* name = "aimd_strategy";
    static constexpr bool restores_after_outage = false;
    static flowguard::aimd_strategy make(const limits& l) {
        return flowguard::aimd_strategy{
            flowguard::aimd_options{.initial_limit = l.initial, .min_limit = l.min, .max_limit = l.max}};
    }
    static limits kept(const limits& l) { return l; }
    static step step_from(const limits&, std::size_t, std::size_t) { return {0.9, 1, 1}; }
    static flowguard::duration perfect_rtt(const flowguard::aimd_strategy&) { return std::chrono::milliseconds{10}; }
    static constexpr std::size_t lowest = 1;
    static std::size_t recovery(std::size_t min, flowguard::duration) { return 9 * min; }
};

template <>
struct declared<flowguard::gradient2_strategy> {
    static constexpr const char* name = "gradient2_strategy";
    static constexpr bool restores_after_outage = false;
    static flowguard::gradient2_strategy make(const limits& l) {
        return flowguard::gradient2_strategy{
            flowguard::gradient2_options{.initial_limit = l.initial, .min_limit = l.min, .max_limit = l.max}};
    }
    static limits kept(const limits& l) { return l; }
    // One step is a fifth of the way to half the limit, or to 4 more.
    static step step_from(const limits&, std::size_t, std::size_t) { return {0.9, 1, 1}; }
    static flowguard::duration perfect_rtt(const flowguard::gradient2_strategy& s) { return s.long_rtt(); }
    static constexpr std::size_t lowest = 9; // 2 · queue_size, which is never quite reached
    static std::size_t recovery(std::size_t min, flowguard::duration) { return 9 * min * 5 / 4 + 1; } // 0.8 a window
};

template <>
struct declared<flowguard::fixed_limit> {
    static constexpr const char* name = "fixed_limit";
    static constexpr bool restores_after_outage = false;
    static flowguard::fixed_limit make(const limits& l) { return flowguard::fixed_limit{l.initial}; }
    static limits kept(const limits& l) { return {l.initial, l.initial, l.initial}; }
    static step step_from(const limits&, std::size_t, std::size_t) { return {1, 1, 0}; }
    static flowguard::duration perfect_rtt(const flowguard::fixed_limit&) { return std::chrono::milliseconds{10}; }
    static constexpr std::size_t lowest = 1;
    static std::size_t recovery(std::size_t, flowguard::duration) { return 0; }
};

using all_strategies = std::tuple<flowguard::vegas_strategy, flowguard::aimd_strategy, flowguard::gradient2_strategy,
                                  flowguard::fixed_limit>;

// ---- Windows from bytes ----

// Mostly a count that a guard could report, otherwise any bits at all.
inline std::size_t count_from(byte_source& from, std::size_t limit) {
    switch (from.take<std::uint8_t>() % 8) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return SIZE_MAX;
    case 3:
        return from.take<std::size_t>();
    case 4:
        return from.take<std::uint8_t>();
    case 5:
        return limit / 3;
    case 6:
        return limit + limit / 2;
    default:
        return limit;
    }
}

inline flowguard::duration time_from(byte_source& from) {
    using namespace std::chrono_literals;
    using flowguard::duration;
    switch (from.take<std::uint8_t>() % 5) {
    case 0: // clocks go backwards, or stand
        return from.any<duration>({0ns, 1ns, -1ns, -3h, duration::min(), duration::max()});
    case 1:
        return duration{from.take<duration::rep>()};
    case 2:
        return duration{from.take<std::uint32_t>()};
    default: // 10 to 20 ms
        return 10ms + from.take<std::uint8_t>() * 40us;
    }
}

inline double real_from(byte_source& from, std::size_t limit) {
    switch (from.take<std::uint8_t>() % 4) {
    case 0: // not a number, infinite, denormal, or any
        return from.take<double>();
    case 1:
        return static_cast<double>(limit) * from.take<std::uint8_t>() / 128;
    default:
        return static_cast<double>(limit);
    }
}

// What a guard reports of a window in which the limit was used. `drops` is the share of drops, in 255ths.
inline flowguard::window ordinary_window(std::size_t limit, flowguard::duration rtt, flowguard::duration length,
                                         std::size_t drops = 0) {
    flowguard::window w;
    w.admitted = 100;
    w.dropped = drops * 100 / 255;
    w.all.samples = 100 - w.dropped;
    w.dropped_mean_rtt = w.dropped > 0 ? rtt : flowguard::duration{};
    if (w.all.samples > 0) {
        w.all.mean = rtt;
        w.all.histogram.add(rtt, static_cast<std::uint32_t>(w.all.samples));
    }
    w.limit = w.max_in_flight = limit;
    w.mean_in_flight = static_cast<double>(limit);
    w.length = w.admitting = length;
    w.closed_at = std::chrono::hours{24};
    return w;
}

// A window under this limit. Half of these windows are such as a guard makes; the others make no sense.
inline flowguard::window window_from(byte_source& from, std::size_t limit) {
    const auto kind = from.take<std::uint8_t>();
    if (kind % 2 == 0) {
        const auto rtt = time_from(from);
        const auto length = time_from(from);
        flowguard::window w = ordinary_window(limit, rtt, length, kind % 8 != 0 ? 0 : from.take<std::uint8_t>());
        if (kind % 16 == 2) // demand, not the limit, sets what is in flight
            w.mean_in_flight = static_cast<double>(w.max_in_flight = std::max<std::size_t>(1, limit / 4));
        if (kind % 16 == 4) {
            w.low.samples = from.take<std::uint8_t>();
            w.low.mean = time_from(from);
            w.low.histogram.add(w.low.mean, static_cast<std::uint32_t>(w.low.samples));
        }
        return w;
    }
    flowguard::window w;
    w.admitted = count_from(from, limit);
    w.all.samples = count_from(from, limit);
    w.dropped = kind % 4 == 1 ? 0 : count_from(from, limit);
    w.ignored = count_from(from, limit);
    w.all.mean = time_from(from);
    w.dropped_mean_rtt = time_from(from);
    w.limit = count_from(from, limit);
    w.max_in_flight = count_from(from, limit);
    w.mean_in_flight = real_from(from, limit);
    w.length = time_from(from);
    w.admitting = time_from(from);
    w.closed_at = time_from(from);
    w.spacing = kind % 16 < 8 ? flowguard::duration{} : time_from(from);
    for (std::size_t groups = from.take<std::uint8_t>() % 3; groups > 0; --groups)
        w.all.histogram.add(time_from(from), from.take<std::uint32_t>());
    w.low.samples = kind % 8 < 4 ? 0 : count_from(from, limit);
    w.low.mean = time_from(from);
    for (std::size_t groups = from.take<std::uint8_t>() % 3; groups > 0; --groups)
        w.low.histogram.add(time_from(from), from.take<std::uint32_t>());
    return w;
}

// ---- The property ----

// Calls a strategy, and records what it does wrong.
template <class Strategy>
class watched {
public:
    explicit watched(const limits& l) : limits_(d::kept(l)), strategy_(d::make(l)), next_(strategy_.current_limit()) {}

    // The first thing that it did wrong; empty if there is none.
    const std::string& wrong() const { return wrong_; }

    // The limit of the next window.
    std::size_t window_limit() const { return next_.limit; }

    std::size_t limit() const { return strategy_.current_limit(); }
    flowguard::duration perfect_rtt() const { return d::perfect_rtt(strategy_); }

    bool update(const flowguard::window& w) {
        before_ = limit();
        const auto before = static_cast<double>(before_);
        // The window may be that of a scheduled probe instead.
        const bool is_scheduled = next_.scheduled.begins_in > flowguard::duration{};
        const step s = d::step_from(limits_, before_, is_scheduled ? next_.scheduled.limit : next_.limit);
        next_ = strategy_.update(w);
        const auto after = static_cast<double>(limit());
        ++windows_;
        require(within_limits(limit()), "limit");
        require(within_limits(next_.limit), "planned limit");
        require(next_.then == 0 || (within_limits(next_.then) && next_.then >= next_.limit), "limit after a probe");
        require((next_.then != 0 ? next_.then : next_.limit) == limit(), "limit other than planned");
        require(next_.scheduled.begins_in == flowguard::duration{} ||
                    (next_.then == 0 && next_.scheduled.begins_in > flowguard::duration{} &&
                     within_limits(next_.scheduled.limit) && next_.scheduled.limit <= 2 * next_.limit &&
                     next_.scheduled.admissions > 0 && next_.scheduled.within > flowguard::duration{}),
                "scheduled probe");
        require(next_.spacing >= flowguard::duration{} && next_.then_spacing >= flowguard::duration{} &&
                    next_.scheduled.spacing >= flowguard::duration{},
                "spacing below zero");
        require(next_.spacing == flowguard::duration{} || next_.limit == 1, "spacing beside a limit above one");
        require(next_.admissions <= 1000 + 2 * limits_.max, "window too long to end");
        require(after >= s.fall * before - 1, "fall");
        const bool restored = after > s.rise * before + s.rise_more;
        require(!restored || after <= after_outage_, "rise");
        if (restored)
            after_outage_ = 0;
        if (d::restores_after_outage && w.all.samples == 0 && w.dropped > 0)
            after_outage_ = std::max(after_outage_, before / 2 + 1);
        return wrong_.empty();
    }

    // Brings the limit down as far as it goes, by drops and then by queueing. Probes see neither.
    void overload() {
        for (int i = 0; i < 600 && limit() > limits_.min && wrong_.empty(); ++i) {
            const flowguard::duration rtt = d::perfect_rtt(strategy_);
            const bool drops = i < 300;
            flowguard::window w = perfect_window();
            if (next_.then == 0 && drops) {
                w = planned_window(rtt, w.length, 255);
                w.dropped_mean_rtt = flowguard::duration::max();
            } else if (next_.then == 0)
                w = planned_window(std::max(20 * std::min(rtt, a_year), rtt), w.length);
            update(w);
        }
    }

    // Whether the limit goes up again after overload.
    bool recovers() {
        const std::size_t most = d::recovery(limits_.min, perfect_rtt());
        if (most == 0 || limits_.max / 10 < limits_.min)
            return true;
        for (std::size_t i = 0; limit() < 10 * limits_.min && i < most; ++i)
            if (!update(perfect_window()))
                return false;
        require(limit() >= 10 * limits_.min, "no recovery");
        return wrong_.empty();
    }

private:
    using d = declared<Strategy>;

    static constexpr flowguard::duration a_year = std::chrono::hours{8760};

    // A window without queueing, in which the limit is used.
    flowguard::window perfect_window() const {
        const flowguard::duration rtt = d::perfect_rtt(strategy_);
        const std::size_t admissions = next_.admissions != 0 ? next_.admissions : 100;
        const double nanoseconds =
            static_cast<double>(rtt.count()) * static_cast<double>(admissions) / static_cast<double>(next_.limit);
        return planned_window(rtt,
                              flowguard::duration{static_cast<flowguard::duration::rep>(std::min(nanoseconds, 9e18))});
    }

    // With the spacing that was planned, so much is in flight on average as that allows.
    flowguard::window planned_window(flowguard::duration rtt, flowguard::duration length, std::size_t drops = 0) const {
        flowguard::window w = ordinary_window(window_limit(), rtt, length, drops);
        w.spacing = next_.spacing;
        if (w.spacing > flowguard::duration{} && rtt > flowguard::duration{})
            w.mean_in_flight = std::min(1.0, static_cast<double>(rtt.count()) / static_cast<double>(w.spacing.count()));
        return w;
    }

    bool within_limits(std::size_t limit) const { return limit >= limits_.min && limit <= limits_.max; }

    void require(bool holds, const char* what) {
        if (holds || !wrong_.empty())
            return;
        wrong_ = std::string(d::name) + ": " + what + ": window " + std::to_string(windows_) + ", limit " +
                 std::to_string(before_) + ", now " + std::to_string(limit()) + ", plan {" +
                 std::to_string(next_.limit) + ", " + std::to_string(next_.admissions) + ", " +
                 std::to_string(next_.then) + "}, in [" + std::to_string(limits_.min) + ", " +
                 std::to_string(limits_.max) + "]";
    }

    limits limits_;
    Strategy strategy_;
    flowguard::plan next_;
    std::size_t windows_ = 0;
    double after_outage_ = 0; // the limit that may come back at once, with the first success after windows without one
    std::size_t before_ = 0; // the limit before the latest window
    std::string wrong_;
};

inline limits limits_from(byte_source& from) {
    limits l{};
    l.min = from.between(1, 8);
    l.max = from.take<std::uint8_t>() % 4 == 0 ? from.between(l.min, flowguard::max_limit) : from.between(l.min, 3000);
    l.initial = from.between(l.min, std::min<std::size_t>(l.max, 1000));
    return l;
}

// Feeds a strategy at most `most_windows` windows made from the bytes, then overload. Then the strategy has to recover.
// Returns what it did wrong; empty if nothing.
template <class Strategy>
std::string violation(std::span<const std::uint8_t> bytes, std::size_t most_windows) {
    byte_source from(bytes);
    watched<Strategy> strategy(limits_from(from));
    for (std::size_t i = 0; i < most_windows && !from.empty(); ++i)
        if (!strategy.update(window_from(from, strategy.window_limit())))
            return strategy.wrong();
    strategy.overload();
    strategy.recovers();
    return strategy.wrong();
}

} // namespace support

#endif
