// limit_decision.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_LIMIT_DECISION_HPP
#define FLOWGUARD_LIMIT_DECISION_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "flowguard/limit_strategy.hpp"

namespace flowguard {

/// What a strategy answered to a window, and why: see flow_guard::trace().
struct limit_decision {
    duration at{};          ///< since the epoch of the guard's Clock, or the most that fits, 292 years
    std::size_t before = 0; ///< the limit of the window
    std::size_t limit = 0;  ///< the new one; in a dip, the one after it
    std::size_t dip = 0;    ///< the limit of the dip that comes first; 0 for none
    const char* reason = ""; ///< a strategy's `reason()`, if it has that

    // The window.
    std::size_t samples = 0;
    std::size_t dropped = 0;
    std::size_t ignored = 0;
    double mean_in_flight = 0;
    duration mean_rtt{};
    duration baseline_rtt{}; ///< a strategy's `baseline()`, if it has that
};

/// One line: "12.345 s: 20 -> 40, quick start; 100 samples, 0 dropped, 0 ignored, 19.2 in flight, RTT 10.100 ms,
/// baseline 10.000 ms".
inline std::string to_string(const limit_decision& d) {
    const auto milliseconds = [](duration t) { return static_cast<double>(t.count()) * 1e-6; };
    std::array<char, 320> text{};
    std::array<char, 48> dip{};
    if (d.dip != 0)
        std::snprintf(dip.data(), dip.size(), " after a dip to %zu", d.dip);
    std::snprintf(text.data(), text.size(),
                  "%.3f s: %zu -> %zu%s, %s; %zu samples, %zu dropped, %zu ignored, %.1f in flight, RTT %.3f ms, "
                  "baseline %.3f ms",
                  milliseconds(d.at) * 1e-3, d.before, d.limit, dip.data(), d.reason, d.samples, d.dropped, d.ignored,
                  d.mean_in_flight, milliseconds(d.mean_rtt), milliseconds(d.baseline_rtt));
    return text.data();
}

} // namespace flowguard

#endif
