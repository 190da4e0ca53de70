// limit_strategy.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_LIMIT_STRATEGY_HPP
#define FLOWGUARD_LIMIT_STRATEGY_HPP

#include <concepts>
#include <cstddef>

#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// A probe that begins at an instant, without a question to the strategy: see plan::scheduled.
struct scheduled_probe {
    duration begins_in{}; ///< from now; 0: there is no such probe
    std::size_t limit = 0; ///< as in plan
    std::size_t admissions = 0; ///< as in plan
    duration within{}; ///< as in plan
    duration spacing{}; ///< as in plan

    friend constexpr bool operator==(const scheduled_probe&, const scheduled_probe&) = default;
};

/// What a strategy wants next. A plain limit converts to a plan.
struct plan {
    std::size_t limit = 0; ///< from now on; clamped to [1, max_limit]

    /// The size of the next window: this number of requests, from now on, are admitted to it. Ignored requests are no
    /// samples, so the guard makes the window larger by their share of the window before, up to twenty times this size.
    /// 0 leaves the size to the guard: see guard_options::min_window.
    std::size_t admissions = 0;

    /// The limit as soon as `admissions` requests have been admitted, without waiting for them to complete; 0 keeps
    /// `limit`. If it is not 0, the plan is a *probe*: the limit is lowered to `limit` for a short time, to see the RTT
    /// with less in flight. Calls that run for very long must not stop a probe, so the guard adds those that it knows
    /// of to `limit`, up to `then`.
    std::size_t then = 0;

    /// How long a probe may last, from when it begins. If calls in flight hold all permits of the probe, no call is
    /// admitted, and only this bound ends the probe. The limit is then `then`, and the window has fewer members,
    /// perhaps none: see window::admitted. 0 leaves the bound to the guard: ten times what `admissions` should take by
    /// the 90th percentile of the RTTs in the window before, and at least a second. duration::max() means no bound.
    duration within{};

    /// The least mean time between two admissions while `limit` is 1; 0: none. A limit of one with a spacing is a limit
    /// below one: on average, RTT ÷ spacing requests are in flight. After an admission, the next one has its *turn*
    /// 0.5 to 1.5 spacings later, at random, so that guards of one server do not fall in step. A call before its turn
    /// waits, or is shed, as if a permit were missing. A call that is late, by a spacing at most, does not delay the
    /// turns after it. A call with several permits has one turn. Has no effect for a higher limit.
    duration spacing{};

    /// The spacing that goes with `then`; only for a probe.
    duration then_spacing{};

    /// A probe that begins at an instant, so that several guards of one server can probe together. If the window is
    /// still open when `begins_in` has passed, the next admission *discards* it: its calls are no samples any more, and
    /// end as usual. The limit and the spacing are those of the probe until it ends, and come back after it. The limit
    /// of such a probe may also be higher than the one before. The strategy is asked again when the probe's window is
    /// closed. If this window is closed before that instant, the strategy is asked as usual, and plans again. Has no
    /// effect in a plan that is a probe itself. See window::closed_at.
    scheduled_probe scheduled{};

    constexpr plan(std::size_t new_limit) noexcept : limit(new_limit) {} // NOLINT(google-explicit-constructor)
    constexpr plan(std::size_t new_limit, std::size_t next_admissions, std::size_t limit_after = 0,
                   duration longest = {}) noexcept
        : limit(new_limit), admissions(next_admissions), then(limit_after), within(longest) {}

    friend constexpr bool operator==(const plan&, const plan&) = default;
};

/// What a strategy may answer: a plan, or a limit alone.
template <class T>
concept convertible_to_plan = std::convertible_to<T, plan>;

/// An algorithm that finds a limit: a plain object, which the guard asks once per window, on one thread at a time.
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
/// *Requirements.* Movable. If it is copyable, a guard keeps a copy for flow_guard::reset(). `current_limit()` is the
/// limit before any window, in [1, max_limit]. `update(w)` returns a new limit, or a `plan`.
///
/// A strategy may have four more members:
/// - `duration baseline() const`: the RTT without queueing, for guard_stats;
/// - `const char* reason() const`: why the latest update() answered as it did, for limit_decision: a string that is
///   never destroyed, or null;
/// - `plan first_plan() const`: the plan before any window. The guard asks for it once, when it is made. Without this
///   member, it takes `plan{current_limit()}`;
/// - `S part(std::size_t index, std::size_t parts) const`: the strategy of one part of a split_guard, whose limits are
///   that part's share.
///
/// *Thread safety.* None is needed. Each call happens before the next one, though not always on the same thread.
///
/// *Liveness.* A window is closed when its members are done, and `update` is called only then. So an ordinary limit
/// must be higher than the number of calls that never end. Otherwise it admits no call, and nothing raises it again.
/// For that reason a probe is bounded in time: plan::within.
///
/// *Changes by hand.* While an operator has pinned the limit, the strategy is not asked. The first window after that,
/// and after other changes by hand, has the ordinary limit of the latest plan, even if that plan was a probe. So a
/// strategy must look at window::limit to know whether a window is that of its probe. See flow_guard::pin_limit().
///
/// *Exceptions.* `update`, `baseline`, `reason` and a move assignment must not throw: they run when some caller's task
/// completes, and that caller could not handle the exception. If one of them throws, std::terminate is called. What
/// `current_limit` and `first_plan` throw, the guard's constructor throws.
template <class S>
concept limit_strategy = std::movable<S> && requires(S s, const S cs, const window& w) {
    { cs.current_limit() } -> std::same_as<std::size_t>;
    { s.update(w) } -> convertible_to_plan;
};

namespace detail {

// Whether a strategy has each of the four members that it may have.
template <class S>
concept tells_baseline = requires(const S& s) { duration{s.baseline()}; };
template <class S>
concept tells_reason = requires(const S& s, const char*& reason) { reason = s.reason(); };
template <class S>
concept has_first_plan = requires(const S& s) { plan{s.first_plan()}; };
template <class S>
concept has_parts = requires(const S& s, std::size_t number) {
    { s.part(number, number) } -> std::same_as<S>;
};

} // namespace detail

} // namespace flowguard

#endif
