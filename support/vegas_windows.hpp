// vegas_windows.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the tests of vegas_strategy share.

#ifndef FLOWGUARD_SUPPORT_VEGAS_WINDOWS_HPP
#define FLOWGUARD_SUPPORT_VEGAS_WINDOWS_HPP

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

// A plan for a probe, however long that may last.
struct a_probe {
    std::size_t limit;
    std::size_t admissions;
    std::size_t then;

    friend bool operator==(const flowguard::plan& p, const a_probe& d) {
        return p.limit == d.limit && p.admissions == d.admissions && p.then == d.then;
    }
};

// A window in which the limit was fully used and each of 100 requests took `rtt`.
inline flowguard::window bound_window(std::size_t limit, flowguard::duration rtt, flowguard::duration length) {
    flowguard::window w = bound_window(limit, rtt);
    w.length = w.admitting = length;
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
struct Catch::StringMaker<support::a_probe> {
    static std::string convert(const support::a_probe& d) {
        return "a_probe{" + std::to_string(d.limit) + ", " + std::to_string(d.admissions) + ", " +
               std::to_string(d.then) + "}";
    }
};

template <>
struct Catch::StringMaker<flowguard::plan> {
    static std::string convert(const flowguard::plan& p) {
        return "plan{" + std::to_string(p.limit) + ", " + std::to_string(p.admissions) + ", " + std::to_string(p.then) +
               "}";
    }
};

namespace support {

// A strategy that has just left its quick start: limit 100, baseline 10 ms of RTTs with this spread, nothing usually
// dropped, and a probe that has just ended. Its probes are from 100 to 33, 99 admissions, 30 ms; so it may look again
// after 240 ms. With wide RTTs slack is 3 + 0.6 · √busy + busy / 10.
inline flowguard::vegas_strategy settled(flowguard::vegas_options options = {},
                                         flowguard::window (*spread)(flowguard::window) = wide) {
    using namespace std::chrono_literals;
    using flowguard::plan;
    options.initial_limit = 200;
    flowguard::vegas_strategy strategy{options};
    REQUIRE(strategy.update(spread(bound_window(20, 10ms))) == plan{80, 120});
    REQUIRE(strategy.update(spread(bound_window(80, 10ms))) == plan{200, 300});
    REQUIRE(strategy.update(spread(with_drops(bound_window(200, 10ms), 50, 10ms))) == a_probe{33, 99, 100});
    REQUIRE(strategy.update(spread(bound_window(33, 10ms))) == plan{100, 150});
    REQUIRE(strategy.baseline() == 10ms);
    return strategy;
}

} // namespace support

#endif
