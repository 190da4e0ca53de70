// sample_windows.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Short forms of the steps of a sample_window, for its tests.

#ifndef FLOWGUARD_SUPPORT_SAMPLE_WINDOWS_HPP
#define FLOWGUARD_SUPPORT_SAMPLE_WINDOWS_HPP

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/control/sample_window.hpp"
#include "flowguard/window.hpp"

namespace support {

using flowguard::detail::sample_window;
using std::chrono::nanoseconds;

inline std::uint32_t generation = 0; // of the member that entered last

inline void open(sample_window& w, std::size_t size, std::size_t limit, std::size_t limit_after, nanoseconds now,
                 nanoseconds within = sample_window::unbounded) {
    w.open({.size = size, .limit = limit, .limit_after = limit_after, .within = within}, now);
}

// Enters the window. Returns which entry it was, and sets `low` if few were in flight.
inline sample_window::entry enter(sample_window& w, nanoseconds now, std::size_t in_flight, bool& low) {
    const sample_window::entry e = w.enter(now, in_flight, low, generation);
    if (e == sample_window::entry::last)
        w.fill(now);
    return e;
}

inline sample_window::entry enter(sample_window& w, nanoseconds now, std::size_t in_flight = 1) {
    bool low = false;
    return enter(w, now, in_flight, low);
}

// Enters the window, and returns whether few were in flight.
inline bool enters_low(sample_window& w, std::size_t in_flight) {
    bool low = false;
    REQUIRE(enter(w, {}, in_flight, low) != sample_window::entry::none);
    return low;
}

// Returns whether that closed the window.
inline bool leave(sample_window& w) {
    return w.leave(generation) == sample_window::leaving::last;
}

inline bool succeed_and_leave(sample_window& w, nanoseconds rtt, bool low = false) {
    w.succeed(rtt, low);
    return leave(w);
}

inline flowguard::window summary_of(sample_window& w, nanoseconds now) {
    flowguard::window summary;
    w.summarize(now, summary);
    return summary;
}

// Opens a window of `size`, and takes all of its slots, one ns apart; the last one at `last`.
inline void fill(sample_window& w, std::size_t size, nanoseconds last) {
    open(w, size, 10, 0, {});
    for (std::size_t i = 1; i <= size; ++i)
        REQUIRE(enter(w, last - nanoseconds{static_cast<std::int64_t>(size - i)}) != sample_window::entry::none);
}

} // namespace support

#endif
