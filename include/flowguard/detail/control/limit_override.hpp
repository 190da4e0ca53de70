// limit_override.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_LIMIT_OVERRIDE_HPP
#define FLOWGUARD_DETAIL_CONTROL_LIMIT_OVERRIDE_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "flowguard/detail/control/turns.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"

namespace flowguard::detail {

// A limit, and the spacing of admissions if the limit is below one; 0: none.
struct limit_setting {
    std::size_t limit = 1;
    duration spacing{};

    friend bool operator==(const limit_setting&, const limit_setting&) = default;
};

// Stands between what the strategy wants and the semaphore. An operator may pin the limit, set bounds, or return to the
// first limit, on any thread and at any time.
//
// All changes of the semaphore's limit are made here, under a lock: each change writes down what one party wants, and
// then sets the limit that follows from all of that. So a thread that closes a window while another one pins the limit
// cannot set a limit over the pinned one, whichever of the two comes first. The lock is held for a few stores. The
// waiters that a higher limit admits are served after it is unlocked: that calls executors and observers, which may
// come back here.
//
// *Epochs.* A change by hand that concerns the limit in force begins an epoch, and ends a probe: the strategy's limit
// is then the one after the probe. The limit of the strategy's plan was in force all the time for a window only if the
// epoch did not change between want() and the end of the window. Only such a window goes to the strategy: see
// limit_loop.
class limit_override {
public:
    // What a window must know.
    struct state {
        std::uint64_t epoch = 0;
        std::size_t pinned = 0; // 0: the limit is the strategy's
    };

    // A change by hand, for the trace.
    struct change {
        std::size_t before;
        limit_setting now;
    };

    limit_override(semaphore_state& semaphore, turns& t) noexcept : semaphore_(semaphore), turns_(t) {}

    state look() const noexcept {
        const std::lock_guard lock(mutex_);
        return {epoch_.load(std::memory_order_relaxed), pinned_.load(std::memory_order_relaxed)};
    }

    // The same number as in look(), or an older one. Relaxed: for a thread that will look again.
    std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }

    // Sets what the strategy wants: `now`, and `after` when the probe has ended; the same if it is no probe. Returns
    // false, and changes nothing, if that epoch is over.
    [[nodiscard]] bool want(std::uint64_t epoch, const limit_setting& now, const limit_setting& after) noexcept {
        return set_if(epoch, [&] {
            wanted_ = now;
            after_ = after;
        });
    }

    // Ends the probe that was wanted in that epoch. Returns false, and changes nothing, if that epoch is over.
    bool end_probe(std::uint64_t epoch) noexcept {
        return set_if(epoch, [&] { wanted_ = after_; });
    }

    // These three return what they have changed, if they have changed the limit in force or who decides on it.
    std::optional<change> pin(std::size_t limit) noexcept {
        return change_by_hand([&] { pinned_.store(limit, std::memory_order_relaxed); });
    }
    std::optional<change> unpin() noexcept { return pin(0); }
    std::optional<change> set_bounds(std::size_t least, std::size_t most) noexcept {
        return change_by_hand([&] {
            least_.store(least, std::memory_order_relaxed);
            most_.store(most, std::memory_order_relaxed);
        });
    }

    // Begins an epoch with the limit of the strategy's first plan.
    change restart(const limit_setting& first) noexcept {
        return *change_by_hand([&] { wanted_ = after_ = first; }, true);
    }

    // What the bounds make of a limit. A limit below one is a limit of one: a higher lower bound takes the spacing
    // away.
    limit_setting bounded(const limit_setting& s) const noexcept {
        const std::size_t least = least_.load(std::memory_order_relaxed);
        return {std::clamp(s.limit, least, (std::max)(least, most_.load(std::memory_order_relaxed))),
                least > 1 ? duration{} : s.spacing};
    }

    // What is in force if the strategy wants that: bounds do not apply to a pinned limit.
    limit_setting in_force(const limit_setting& s) const noexcept {
        const std::size_t pinned = pinned_.load(std::memory_order_relaxed);
        return pinned != 0 ? limit_setting{pinned} : bounded(s);
    }

    // Fills in its part of the stats. Relaxed: each value is a fact of its own.
    void report(guard_stats& s) const noexcept {
        s.pinned = pinned_.load(std::memory_order_relaxed) != 0;
        s.min_limit = least_.load(std::memory_order_relaxed);
        s.max_limit = most_.load(std::memory_order_relaxed);
        if (s.pinned)
            s.limit_reason = pinned_reason;
        else if (is_bound_.load(std::memory_order_relaxed))
            s.limit_reason = bounds_reason;
    }

    static constexpr const char* pinned_reason = "pinned by hand";
    static constexpr const char* bounds_reason = "bounds set by hand";

private:
    // Sets the limit that follows from a change, if the epoch is still that one.
    template <class Change>
    bool set_if(std::uint64_t epoch, Change make) noexcept {
        bool callers_wait = false;
        {
            const std::lock_guard lock(mutex_);
            if (epoch_.load(std::memory_order_relaxed) != epoch)
                return false;
            make();
            callers_wait = set_limit();
        }
        semaphore_.finish_change(callers_wait);
        return true;
    }

    template <class Change>
    std::optional<change> change_by_hand(Change make, bool always = false) noexcept {
        change made{};
        bool callers_wait = false;
        {
            const std::lock_guard lock(mutex_);
            const std::size_t pinned = pinned_.load(std::memory_order_relaxed);
            const limit_setting now = bounded(wanted_);
            const limit_setting after = bounded(after_);
            made.before = in_force().limit;
            make();
            const bool is_same = pinned == pinned_.load(std::memory_order_relaxed) &&
                                 (pinned != 0 || (now == bounded(wanted_) && after == bounded(after_)));
            if (is_same && !always)
                return std::nullopt;
            // Relaxed: a thread that must not miss the new epoch looks under the lock.
            epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            wanted_ = after_;
            made.now = in_force();
            callers_wait = set_limit();
        }
        semaphore_.finish_change(callers_wait);
        return made;
    }

    limit_setting in_force() const noexcept { return in_force(wanted_); }

    // Returns what finish_change() needs, after the lock.
    bool set_limit() noexcept {
        const limit_setting s = in_force();
        is_bound_.store(s != wanted_, std::memory_order_relaxed);
        return turns_.begin_limit(s.limit, s.spacing);
    }

    semaphore_state& semaphore_;
    turns& turns_;
    mutable std::mutex mutex_;
    // What the strategy wants; under the lock.
    limit_setting wanted_;
    limit_setting after_;
    // Written under the lock, and read by any thread.
    std::atomic<std::uint64_t> epoch_{0};
    std::atomic<std::size_t> pinned_{0};
    std::atomic<std::size_t> least_{1};
    std::atomic<std::size_t> most_{max_limit};
    std::atomic<bool> is_bound_{false};
};

} // namespace flowguard::detail

#endif
