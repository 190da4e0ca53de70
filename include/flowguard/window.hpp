// window.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_WINDOW_HPP
#define FLOWGUARD_WINDOW_HPP

#include <array>
#include <cstddef>

#include "flowguard/limits.hpp"
#include "flowguard/rtt_histogram.hpp"

namespace flowguard {

/// The RTTs of the successes of one kind: see run_options::kind.
struct kind_summary {
    std::size_t samples = 0;
    duration mean{}; ///< exact; 0 without samples
};

/// The RTTs of one group of successes.
struct rtt_summary {
    std::size_t samples = 0;
    duration mean{}; ///< exact, not taken from the histogram; 0 without samples
    rtt_histogram histogram;
    std::array<kind_summary, max_kinds> kinds{}; ///< the same successes by their kind

    /// The shortest RTT, within 7 %; 0 without samples. Complexity: as quantile().
    duration(min)() const noexcept { return quantile(0); } // holds where min is a macro

    /// The RTT below which a share `q` in [0, 1] of the samples lies, with a relative error of at most 7 %; 0 without
    /// samples. Complexity: linear in the number of buckets (320).
    duration quantile(double q) const noexcept { return histogram.quantile(q); }

    /// Standard deviation over mean, within a few per cent; 0 with fewer than two samples. Complexity: as quantile().
    double variation() const noexcept { return histogram.variation(); }
};

/// One window of samples, as a strategy sees it.
///
/// A window is a *cohort*: the first `admitted` requests that were admitted after it was opened. It
/// is closed when all of them are done. A window of the requests that *completed* in some interval
/// would be biased towards short ones, most of all just after the limit changed.
struct window {
    std::size_t admitted = 0; ///< size of the cohort; less than planned, even 0, for a probe that plan::within ended
    std::size_t dropped = 0; ///< ended with outcome::dropped
    std::size_t ignored = 0; ///< ended with outcome::ignored

    /// Stragglers: still running when the window was closed without them. How they end is not known, so they are
    /// neither successes nor drops.
    std::size_t unfinished = 0;

    /// All successes.
    rtt_summary all;

    /// The successes admitted while at most a third of the limit (or one) was in flight: the RTT
    /// with little queueing at the guarded resource.
    rtt_summary low;

    duration dropped_mean_rtt{}; ///< mean time from admission to being dropped; 0 if none was

    // The next three are in permits, of which a heavy call holds several: see run_options::permits. They do not count
    // calls that run so long that their window was closed without them, such as streams: the rest of the limit is what
    // the cohort could use.
    /// The limit under which the cohort was admitted; in a probe, that of the plan. It is higher than planned if an
    /// operator has set a lower bound, and not lower than planned for an upper bound: see
    /// flow_guard::set_limit_bounds().
    std::size_t limit = 0;
    /// The most permits held at an admission of the cohort, its own included. If no other call with as many permits
    /// would have fitted, it is at least the limit. It may be more than the limit, for a call that is heavier than
    /// that.
    std::size_t max_in_flight = 0;
    /// By Little's law: rate of admission × mean time in flight, where a call's time counts for each of its permits.
    double mean_in_flight = 0;

    duration spacing{}; ///< that of the plan under which the cohort was admitted; 0 if it had none: see plan::spacing

    /// When the window was closed: the time since the epoch of a clock that hosts share. That is
    /// std::chrono::system_clock if the guard's Clock is std::chrono::steady_clock, `Clock::shared_clock` if the Clock
    /// names one, and otherwise the Clock itself. Guards that plan probes for the same instants of that clock probe
    /// together: see plan::scheduled.
    duration closed_at{};

    duration length{}; ///< from opening to closing
    duration admitting{}; ///< from the first admission of the cohort to its last
};

} // namespace flowguard

#endif
