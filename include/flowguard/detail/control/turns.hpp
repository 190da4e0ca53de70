// turns.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_TURNS_HPP
#define FLOWGUARD_DETAIL_CONTROL_TURNS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/split_mix.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// The turns of admissions whose plan has a spacing: see plan::spacing. After an admission the semaphore is barred, and
// the *turn*, the time from which the next call may be admitted, is *pending*. When the turn has come, any thread may
// end it: it takes the turn, and unbars the semaphore. The turns have no thread and no timer: see limit_loop.
//
// *The semaphore does not stay barred without a turn.* Three parties change the bar:
//   - begin(): the thread that bars the semaphore stores a turn afterwards. A thread that finds it barred stores none.
//   - end_if_due(): the thread that takes a turn unbars the semaphore afterwards.
//   - begin_limit(): without a spacing, it unbars the semaphore. A turn that is pending then ends without effect.
//     With a spacing, it leaves the bar as it is.
// So after each bar comes a store of a turn, and after each store an unbar, by the thread that takes that turn or a
// later one. If two threads store turns one after the other, because the semaphore was unbarred between their bars and
// their stores, the first turn is lost. The second one ends both bars: one of the two admissions is followed too early
// by the next, and no call waits for ever.
//
// Memory orders. All steps on `turn_at_` are read-modify-writes. So a thread that takes a turn, an acquire,
// synchronizes with all threads that have stored one since the turn before, a release. It therefore unbars the
// semaphore after them. All else is relaxed: a thread that sees an old spacing is one of the admissions just before the
// change.
class turns {
public:
    using time = std::chrono::nanoseconds; // as of time_now()

    explicit turns(semaphore_state& semaphore) noexcept : semaphore_(semaphore) {}

    // Sets the semaphore's limit, and the spacing of admissions; 0: none. Called by one thread at a time. The caller
    // passes the result to semaphore_state::finish_change().
    [[nodiscard]] bool begin_limit(std::size_t limit, duration spacing) noexcept {
        spacing = std::clamp(spacing, duration{}, longest);
        if (spacing == duration{}) {
            spacing_.store(0, std::memory_order_relaxed);
            return semaphore_.begin_limit(limit);
        }
        if (spacing_.load(std::memory_order_relaxed) == 0)
            latest_.store(none, std::memory_order_relaxed);
        spacing_.store(spacing.count(), std::memory_order_relaxed);
        return semaphore_.begin_limit_below_bar(limit);
    }

    // 0: none.
    duration spacing() const noexcept { return duration{spacing_.load(std::memory_order_relaxed)}; }

    // Called for an admission, which holds a permit. Returns true if a turn is pending then, and this call began it.
    bool begin(time admitted_at) noexcept {
        const time spacing{spacing_.load(std::memory_order_relaxed)};
        if (spacing == time{})
            return false;
        // An admission that is late by up to a spacing does not delay the next turn. If the latest turn is in the
        // future, because the clock was set back or a higher limit came between, the next turn counts from here.
        const time earliest = saturated_difference(admitted_at, spacing);
        const time from = std::clamp(time{latest_.load(std::memory_order_relaxed)}, earliest, admitted_at);
        const time turn = later(from, jittered(spacing, admitted_at));
        if (turn <= admitted_at) {
            latest_.store(turn.count(), std::memory_order_relaxed);
            return false; // the next call may come at once
        }
        if (!semaphore_.bar())
            return false;
        latest_.store(turn.count(), std::memory_order_relaxed);
        turn_at_.exchange(turn.count(), std::memory_order_release);
        return true;
    }

    // Whether end_if_due() may have something to do. Complexity: one load.
    bool is_pending() const noexcept { return turn_at_.load(std::memory_order_relaxed) != none; }

    // Ends the turn if its time has come. Returns true if this call did so, and permits may be free now. Any thread may
    // call it at any time. If another thread moves the turn meanwhile, this call looks again: the caller may be the
    // only one that ends it.
    bool end_if_due(time now) noexcept {
        std::int64_t turn = turn_at_.load(std::memory_order_relaxed);
        while (turn != none) {
            const time spacing{spacing_.load(std::memory_order_relaxed)};
            if (now < time{turn} && spacing != time{}) { // without a spacing, the turn is over
                if (saturated_difference(time{turn}, now) > reach(spacing)) // the clock was set back: count from here
                    turn_at_.compare_exchange_strong(turn, later(now, spacing).count(), std::memory_order_relaxed);
                return false;
            }
            if (turn_at_.compare_exchange_strong(turn, none, std::memory_order_acquire, std::memory_order_relaxed))
                return semaphore_.unbar();
        }
        return false;
    }

    // The time until the turn; empty if none is pending.
    std::optional<time> time_left(time now) const noexcept {
        const std::int64_t turn = turn_at_.load(std::memory_order_relaxed);
        if (turn == none)
            return std::nullopt;
        return std::clamp(saturated_difference(time{turn}, now), time{}, reach(spacing()));
    }

    // Makes the random numbers of this guard differ from those of others, by anything that it has measured.
    void stir(std::int64_t measured) noexcept { random_.store(next_random(measured), std::memory_order_relaxed); }

private:
    static constexpr std::int64_t none = (std::numeric_limits<std::int64_t>::max)();
    static constexpr duration longest = (duration::max)() / 4; // 73 years

    // Never `none`.
    static time later(time from, time by) noexcept { return (std::min)(saturated_sum(from, by), time{none - 1}); }

    // A turn is no further away.
    static time reach(time spacing) noexcept { return spacing + spacing / 2; }

    // Uniformly distributed in [0.5, 1.5) spacings.
    time jittered(time spacing, time admitted_at) noexcept {
        stir(admitted_at.count());
        const double uniform = in_unit_interval(random_.load(std::memory_order_relaxed));
        return spacing / 2 + time{static_cast<std::int64_t>(static_cast<double>(spacing.count()) * uniform)};
    }

    // The state depends on all that was measured before, so that two guards have the same numbers only if the same has
    // happened to both. The numbers do not depend on an address, nor on a random seed: an experiment can be repeated.
    std::uint64_t next_random(std::int64_t measured) const noexcept {
        return split_mix(random_.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(measured));
    }

    semaphore_state& semaphore_;
    std::atomic<std::int64_t> spacing_{0};
    std::atomic<std::int64_t> turn_at_{none};
    std::atomic<std::int64_t> latest_{none}; // the latest turn; none: the spacing has just begun
    std::atomic<std::uint64_t> random_{0};
};

} // namespace flowguard::detail

#endif
