// vegas_windows.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the tests of vegas_strategy share.

#ifndef FLOWGUARD_SUPPORT_VEGAS_WINDOWS_HPP
#define FLOWGUARD_SUPPORT_VEGAS_WINDOWS_HPP

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/rtt_histogram.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/window.hpp"
#include "support/windows.hpp"

namespace support {

// A plan for an ordinary window, whichever probe the schedule adds to it.
struct a_window {
    std::size_t limit;
    std::size_t admissions;
    flowguard::duration spacing{};

    friend bool operator==(const flowguard::plan& p, const a_window& w) {
        return p.limit == w.limit && p.admissions == w.admissions && p.then == 0 && p.within == flowguard::duration{} &&
               p.spacing == w.spacing && p.then_spacing == flowguard::duration{};
    }
};

// A plan for a probe that begins at once, however long that may last.
struct a_probe {
    std::size_t limit;
    std::size_t admissions;
    std::size_t then;
    flowguard::duration spacing{};
    flowguard::duration then_spacing{};

    friend bool operator==(const flowguard::plan& p, const a_probe& d) {
        return p.limit == d.limit && p.admissions == d.admissions && p.then == d.then && p.spacing == d.spacing &&
               p.then_spacing == d.then_spacing && p.scheduled == decltype(p.scheduled){};
    }
};

// A window in which the limit was fully used and each of 100 requests took `rtt`.
inline flowguard::window bound_window(std::size_t limit, flowguard::duration rtt, flowguard::duration length) {
    flowguard::window w = bound_window(limit, rtt);
    w.length = w.admitting = length;
    return w;
}

// The same, closed at another time of the clock that hosts share.
inline flowguard::window closed_at(flowguard::duration time, flowguard::window w) {
    w.closed_at = time;
    return w;
}

// The window of the scheduled probe in the plan `p`, which was made at `time`: each of 60 requests took `rtt`.
inline flowguard::window window_of_scheduled(const flowguard::plan& p, flowguard::duration time,
                                             flowguard::duration rtt) {
    flowguard::window w = bound_window(p.scheduled.limit, rtt, std::chrono::milliseconds(30));
    w.spacing = p.scheduled.spacing;
    w.admitted = w.all.samples = 60;
    return closed_at(time + p.scheduled.begins_in + w.length, w);
}

// The same with one request in flight at a time, and a spacing between two admissions.
inline flowguard::window paced_window(flowguard::duration spacing, flowguard::duration rtt) {
    flowguard::window w = bound_window(1, rtt);
    w.spacing = spacing;
    w.mean_in_flight = static_cast<double>(rtt.count()) / static_cast<double>(spacing.count());
    w.length = w.admitting = 100 * std::max(spacing, rtt);
    return w;
}

// The same with less in flight than the limit allows.
inline flowguard::window idle_window(std::size_t limit, double in_flight, flowguard::duration rtt,
                                     flowguard::duration length = std::chrono::milliseconds(10)) {
    flowguard::window w = bound_window(limit, rtt, length);
    w.mean_in_flight = in_flight;
    w.max_in_flight = static_cast<std::size_t>(in_flight) + 1;
    return w;
}

// ---- How the RTTs of a window spread around their mean ----

// Not at all: variation 0, and so is the slack's v.
inline flowguard::window even(flowguard::window w) {
    return w;
}

// Half of them 50 % below the mean, half above. A histogram that puts them in the middle of its buckets makes that a
// variation of 0.507 at a mean of 10 ms: of 4.98 and 15.20 ms.
inline flowguard::window halves(flowguard::window w) {
    w.all.histogram = {};
    w.all.histogram.add(w.all.mean / 2, static_cast<std::uint32_t>(w.all.samples / 2));
    w.all.histogram.add(w.all.mean * 3 / 2, static_cast<std::uint32_t>(w.all.samples - w.all.samples / 2));
    return w;
}

// A fifth of them 4.2 times the mean, the others a fifth of it: variation 1.6, so that v is 1.
inline void spread_wide(flowguard::rtt_histogram& histogram, flowguard::duration mean, std::size_t samples) {
    histogram = {};
    histogram.add(mean / 5, static_cast<std::uint32_t>(samples - samples / 5));
    histogram.add(mean * 21 / 5, static_cast<std::uint32_t>(samples / 5));
}

inline flowguard::window wide(flowguard::window w) {
    spread_wide(w.all.histogram, w.all.mean, w.all.samples);
    return w;
}

// ---- Samples at low concurrency ----

inline flowguard::window with_low(flowguard::window w, std::uint32_t samples, flowguard::duration rtt) {
    w.low.samples = samples;
    w.low.mean = rtt;
    w.low.histogram.add(rtt, samples);
    return w;
}

inline flowguard::window with_wide_low(flowguard::window w, std::uint32_t samples, flowguard::duration rtt) {
    w = with_low(w, samples, rtt);
    spread_wide(w.low.histogram, rtt, samples);
    return w;
}

} // namespace support

template <>
struct Catch::StringMaker<support::a_window> {
    static std::string convert(const support::a_window& w) {
        return "a_window{" + std::to_string(w.limit) + ", " + std::to_string(w.admissions) + ", " +
               std::to_string(w.spacing.count()) + " ns}";
    }
};

template <>
struct Catch::StringMaker<support::a_probe> {
    static std::string convert(const support::a_probe& d) {
        return "a_probe{" + std::to_string(d.limit) + ", " + std::to_string(d.admissions) + ", " +
               std::to_string(d.then) + ", " + std::to_string(d.spacing.count()) + " ns, " +
               std::to_string(d.then_spacing.count()) + " ns}";
    }
};

template <>
struct Catch::StringMaker<flowguard::plan> {
    static std::string convert(const flowguard::plan& p) {
        return "plan{" + std::to_string(p.limit) + ", " + std::to_string(p.admissions) + ", " + std::to_string(p.then) +
               ", " + std::to_string(p.spacing.count()) + " ns, " + std::to_string(p.then_spacing.count()) + " ns}";
    }
};

namespace support {

// A strategy that has just left its quick start: limit 100, baseline 10 ms of RTTs with this spread, nothing usually
// dropped, and a probe that has just ended. Its probes are from 100 to 33, 99 admissions, 30 ms; so it may look again
// after 240 ms. With wide RTTs slack is 3 + 0.6 · √busy + busy / 10.
inline flowguard::vegas_strategy settled(flowguard::vegas_options options = {},
                                         flowguard::window (*spread)(flowguard::window) = wide) {
    using namespace std::chrono_literals;
    options.initial_limit = 200;
    flowguard::vegas_strategy strategy{options};
    REQUIRE(strategy.update(spread(bound_window(20, 10ms))) == a_window{80, 80});
    REQUIRE(strategy.update(spread(bound_window(80, 10ms))) == a_window{200, 200});
    REQUIRE(strategy.update(spread(with_drops(bound_window(200, 10ms), 50, 10ms))) == a_probe{33, 99, 100});
    REQUIRE(strategy.update(spread(bound_window(33, 10ms))) == a_window{100, 150});
    REQUIRE(strategy.baseline() == 10ms);
    return strategy;
}

// A settled strategy whose calls waited for times that vary, so that the wanted queue is not below what it wants for
// varying service times. A twentieth of the calls took 192 ms, the others 2.1 ms: the waits vary by more than the mean
// RTT. Queue 85 · (1 − 10 / 12) = 14.2, slack 3 + 0.6 · √86 + 86 / 10 = 17.2: the limit stays. That window had a lower
// limit, so it does not tell that little queues with the present one.
inline flowguard::vegas_strategy settled_with_waits(flowguard::vegas_options options = {}) {
    using namespace std::chrono_literals;
    flowguard::vegas_strategy strategy = settled(options);
    flowguard::window w = bound_window(85, 12ms);
    w.all.histogram = {};
    w.all.histogram.add(2'100us, 95);
    w.all.histogram.add(192ms, 5);
    REQUIRE(strategy.update(w) == a_window{100, 150});
    return strategy;
}

// The window that an ordinary plan leads to if the limit is fully used.
inline flowguard::window window_after(const flowguard::plan& p, flowguard::duration rtt) {
    return p.spacing > flowguard::duration{} ? paced_window(p.spacing, rtt) : bound_window(p.limit, rtt);
}

// Plays the guard: gives a strategy the window that its latest plan leads to, which is that of the scheduled probe if
// the ordinary one would not be closed before that begins. `now` is the time on the clock that hosts share.
// `window_at(limit, spacing)` is a window under these, with its length.
template <class WindowAt>
void play_window(flowguard::vegas_strategy& strategy, flowguard::plan& next, flowguard::duration& now,
                 WindowAt window_at) {
    flowguard::window w = window_at(next.limit, next.spacing);
    if (next.then == 0 && next.scheduled.begins_in > flowguard::duration{} && w.length > next.scheduled.begins_in) {
        now += next.scheduled.begins_in;
        w = window_at(next.scheduled.limit, next.scheduled.spacing);
    }
    now += w.length;
    next = strategy.update(closed_at(now, w));
}

} // namespace support

#endif
