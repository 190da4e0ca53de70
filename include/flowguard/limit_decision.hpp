// limit_decision.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_LIMIT_DECISION_HPP
#define FLOWGUARD_LIMIT_DECISION_HPP

#include <array>
#include <charconv>
#include <cstddef>
#include <string>

#include "flowguard/limits.hpp"

namespace flowguard {

/// A strategy's answer to a window, and the reason for it: see flow_guard::trace(). Its limits are those that the
/// strategy wants, before the bounds of flow_guard::set_limit_bounds(). Or a change by hand, as by
/// flow_guard::pin_limit(): `before` and `limit` are then the limits in force, and there is no window.
struct limit_decision {
    duration at{};          ///< time since the epoch of the guard's Clock, at most 292 years
    std::size_t before = 0; ///< the limit of the window
    std::size_t limit = 0;  ///< the new limit; for a probe, the limit after it
    std::size_t probe = 0;    ///< the limit of the probe that comes first; 0: none, or a scheduled one
    duration spacing{};       ///< with the new limit: see plan::spacing; 0: none
    const char* reason = ""; ///< the strategy's `reason()`, if it has one

    // The window that the strategy was asked about.
    std::size_t samples = 0;
    std::size_t dropped = 0;
    std::size_t ignored = 0;
    double mean_in_flight = 0;
    duration mean_rtt{};
    duration baseline_rtt{}; ///< the strategy's `baseline()`, if it has one
};

/// One line: "12.345 s: 20 -> 40, quick start; 100 samples, 0 dropped, 0 ignored, 19.2 in flight, RTT 10.100 ms,
/// baseline 10.000 ms". A limit below one reads "1 every 25.000 ms".
inline std::string to_string(const limit_decision& d) {
    // Unlike printf(), the same in each locale. The longest double has 309 digits before the point.
    const auto fixed = [](double value, int decimals) {
        std::array<char, 320> text{};
        return std::string(
            text.data(),
            std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals).ptr);
    };
    const auto milliseconds = [&](duration t) { return fixed(static_cast<double>(t.count()) * 1e-6, 3) + " ms"; };
    std::string text = fixed(static_cast<double>(d.at.count()) * 1e-9, 3) + " s: ";
    text.append(std::to_string(d.before)).append(" -> ").append(std::to_string(d.limit));
    if (d.spacing > duration{})
        text.append(" every ").append(milliseconds(d.spacing));
    if (d.probe != 0)
        text.append(" after a probe to ").append(std::to_string(d.probe));
    text.append(", ").append(d.reason).append("; ").append(std::to_string(d.samples)).append(" samples, ");
    text.append(std::to_string(d.dropped)).append(" dropped, ").append(std::to_string(d.ignored)).append(" ignored, ");
    text.append(fixed(d.mean_in_flight, 1)).append(" in flight, RTT ").append(milliseconds(d.mean_rtt));
    return text.append(", baseline ").append(milliseconds(d.baseline_rtt));
}

} // namespace flowguard

#endif
