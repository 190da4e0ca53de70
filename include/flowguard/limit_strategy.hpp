// limit_strategy.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_LIMIT_STRATEGY_HPP
#define FLOWGUARD_LIMIT_STRATEGY_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/rtt_histogram.hpp"

namespace flowguard {

/// Round-trip times (RTTs) and window lengths, whatever clock measured them.
using duration = std::chrono::nanoseconds;

/// The highest limit that a semaphore or guard can have, some 268 million. (Permits are counted in 32 bits, signed.
/// Even if several threads add or take as many at once, the count does not overflow.)
inline constexpr std::size_t max_limit = (std::size_t{1} << 28) - 1;

/// How a guarded task ended, and so what it says of the load.
enum class outcome : std::uint8_t {
    success, ///< The task succeeded. Its RTT is a sample.
    ignored, ///< Its end says nothing of the load: the caller cancelled, or the request was bad.
    dropped  ///< Overload: it timed out, or was rejected, or answered 503. Its RTT is a lower bound.
};

/// The RTTs of one group of samples.
struct rtt_summary {
    std::size_t samples = 0;
    duration mean{}; ///< exact, not taken from the histogram; 0 without samples
    detail::rtt_histogram histogram;

    /// The RTT below which a share `q` in [0, 1] of the samples lies, with a relative error of at
    /// most 7 %; 0 without samples. Linear in the number of buckets (320).
    duration quantile(double q) const noexcept { return histogram.quantile(q); }

    /// Standard deviation over mean, within a few per cent; 0 with fewer than two samples.
    double variation() const noexcept { return histogram.variation(); }
};

/// One window of samples, as a strategy sees it.
///
/// A window is a *cohort*: the first `admitted` requests that were admitted after it was opened. It
/// is closed when all of them are done. A window of the requests that *completed* in some interval
/// would be biased towards short ones, most of all just after the limit changed.
struct window {
    std::size_t admitted = 0;  ///< size of the cohort; less than planned, even 0, for a dip that plan::within ended
    std::size_t samples = 0;   ///< successes, with an RTT each; stragglers, with their age, included
    std::size_t dropped = 0;   ///< ended with outcome::dropped
    std::size_t ignored = 0;   ///< ended with outcome::ignored

    duration min_rtt{};        ///< shortest RTT of the successes, within 7 %
    duration mean_rtt{};       ///< mean RTT of the successes
    duration dropped_mean_rtt{}; ///< mean time from admission to being dropped

    // The next two do not count calls that run so long that their window was closed without them, such as streams: the
    // rest of the limit is what the cohort could use.
    std::size_t limit = 0;         ///< the limit under which the cohort was admitted; in a dip, that of the plan
    std::size_t max_in_flight = 0; ///< most permits held at any admission of the cohort, itself included
    double mean_in_flight = 0;     ///< by Little's law: rate of admission × mean time in flight

    duration length{};     ///< from opening to closing
    duration admitting{};  ///< from the first admission of the cohort to its last

    /// The successes admitted while at most a third of the limit (or one) was in flight: the RTT
    /// with little queueing at the guarded resource.
    rtt_summary low;

    /// All successes.
    detail::rtt_histogram rtts;

    /// The RTT below which a share `q` in [0, 1] of the successes lies, with a relative error of at
    /// most 7 %; 0 without samples.
    duration quantile(double q) const noexcept { return rtts.quantile(q); }
};

/// What a strategy wants next. Made implicitly from a plain limit.
struct plan {
    std::size_t limit = 0; ///< from now on; clamped to [1, max_limit]

    /// The size of the next window: it is the first so many requests admitted from now on.
    /// 0 leaves it to the guard: see guard_options::min_window.
    std::size_t admissions = 0;

    /// The limit as soon as `admissions` requests have been admitted, without waiting for them to
    /// complete; 0 keeps `limit`. With it, `limit` is a *dip*: a short lowering, to see the RTT with
    /// less in flight. Calls that run for very long are not to stop a dip: the guard adds those that it knows
    /// of to `limit`, up to `then`.
    std::size_t then = 0;

    /// How long a dip may last, from when it begins. If calls in flight hold all permits of the dip, nothing is
    /// admitted, and only this ends it. Then the limit is `then`, and the window has fewer members, perhaps none: see
    /// window::admitted. 0 leaves it to the guard: ten times what `admissions` should take by the 90th percentile of
    /// the RTTs in the window before, and at least a second. duration::max(): no bound.
    duration within{};

    constexpr plan(std::size_t new_limit) noexcept : limit(new_limit) {} // NOLINT(google-explicit-constructor)
    constexpr plan(std::size_t new_limit, std::size_t next_admissions, std::size_t limit_after = 0,
                   duration longest = {}) noexcept
        : limit(new_limit), admissions(next_admissions), then(limit_after), within(longest) {}

    friend constexpr bool operator==(const plan&, const plan&) = default;
};

template <class T>
concept convertible_to_plan = std::convertible_to<T, plan>;

/// An algorithm that finds a limit: a plain object, asked once a window, by one thread at a time.
///
///     struct halve_on_drops {
///         std::size_t limit = 10;
///         std::size_t current_limit() const { return limit; }
///         std::size_t update(const flowguard::window& w) {
///             return limit = w.dropped > 0 ? limit / 2 : limit + 1;
///         }
///     };
///     flowguard::flow_guard guard{halve_on_drops{}};
///
/// *Requirements.* Movable. `current_limit()` is the limit before any window, in [1, max_limit].
/// `update(w)` returns a new limit, or a `plan`.
///
/// It may have `duration baseline() const`, the RTT without queueing, for guard_stats, and
/// `const char* reason() const`, a text that lives for ever, for limit_decision.
///
/// *Thread safety.* None is needed: calls are sequenced, each happens before the next, though not
/// always on the same thread.
///
/// *Liveness.* A window is closed when its members are done, and `update` is called only then. So an ordinary limit
/// must not be below the number of calls that never end: it would admit nothing, and nothing would raise it again. A
/// dip has a bound in time for that reason: plan::within.
///
/// *Exceptions.* `update` must not throw: it runs when some caller's task completes, and that caller could not handle
/// the exception. If it throws, std::terminate is called.
template <class S>
concept limit_strategy = std::movable<S> && requires(S s, const S cs, const window& w) {
    { cs.current_limit() } -> std::same_as<std::size_t>;
    { s.update(w) } -> convertible_to_plan;
};

} // namespace flowguard

#endif
