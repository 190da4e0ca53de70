// sample_window.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_SAMPLE_WINDOW_HPP
#define FLOWGUARD_DETAIL_CONTROL_SAMPLE_WINDOW_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/base/thread_stripe.hpp"
#include "flowguard/detail/control/window_surplus.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/rtt_histogram.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail {

// Collects the samples of one cohort, from any number of threads.
//
// A window has `size` slots. A request that gets one at its admission is a *member*, and leaves the window when it is
// done. The last member to leave closes the window, unless it ends early.
//
// *Early ends.* When members take far too long, another thread may close the window before they are done
// (close_if_straggling). If the slots of a bounded window are not all taken in time, another thread may take the
// remaining ones (end_if_overdue); the window is then smaller by that many. If the window is still open at an instant
// that was set for it, or if its epoch is over, another thread may discard it (discard_if_due); then it is closed, and
// nobody reads it.
//
// *Generations.* A window may be opened again as soon as it is closed, even while *stragglers* have not left: members
// without which it was closed. Each opening has a number, its *generation*. Members carry it, and leave only the
// opening that they belong to. So the count of members is exact. A straggler records nothing, because it was counted
// as unfinished when the window was closed. Nor does a member of a window that was discarded.
//
// *Several permits.* A member with several permits is one member, and one sample. Its *surplus*, the permits beyond the
// first, counts besides: in what the stragglers hold, and in the mean that is in flight. See window_surplus.
//
// Memory orders. The store to `slots_` publishes what open() wrote, and each member acquires it by taking a slot. A
// member publishes what it has recorded by leaving, a release, and the last member to leave acquires it. All other
// counters are relaxed, so two errors are possible:
//  - A window that is closed early is read while its stragglers may be leaving. A straggler that was just recording may
//    be missing, or count twice. That is one sample, and no strategy can notice it.
//  - A member may stall after it has checked its generation and before it records, while the window is closed early and
//    opened again. It then adds its one sample to a later cohort. In the same way, a member that stalls as it enters
//    adds its `in_flight` to a later cohort.
//
// *Cache lines.* Members on several cores take a line from each other whenever they write it. A member writes the line
// of the slots and the state as it enters and as it leaves, its own stripe of the sums, and a bucket. It only reads the
// line of what is constant while the window is open.
class alignas(64) sample_window {
public:
    using time = std::chrono::nanoseconds; // as of time_now()

    enum class entry : std::uint8_t { none, member, last };

    // The effect of a member's leaving.
    enum class leaving : std::uint8_t {
        one_of_many, // none: other members have yet to leave
        last, // the window is closed, by this member
        straggler // none: the window had been closed without this member
    };

    static constexpr time unbounded = (time::max)();

    struct opening {
        std::size_t size = 1;
        std::size_t limit = 1; // without the permits of `long_running`
        std::size_t limit_after = 0; // the limit once all slots are taken; 0: the same
        std::size_t long_running = 0; // permits of calls in flight that do not count
        time expected_rtt{}; // of earlier windows; 0: not known
        time slowest_kind{}; // RTT of the slowest kind, if there are several; 0: there are not
        time within = unbounded; // when it is over, another thread may take the remaining slots
        time spacing{}; // of admissions; 0: none
        time spacing_after{}; // with limit_after
        time discard_at = (time::max)(); // from then on, another thread may discard the window; not if it is bounded
        std::uint64_t epoch = 0; // of the limit: see limit_override
    };

    // Called by the thread that closed the window before this one, or before this one is shared. If this window was
    // discarded and has members that have not left, returns how many permits these hold: they are stragglers from now
    // on.
    std::size_t open(const opening& o, time now) noexcept {
        limit_ = o.limit;
        limit_after_ = o.limit_after;
        spacing_ = o.spacing;
        spacing_after_ = o.spacing_after;
        discard_at_.store(o.discard_at.count(), std::memory_order_relaxed);
        epoch_.store(o.epoch, std::memory_order_relaxed);
        opened_at_ = now;
        stragglers_ = 0;
        straggling_surplus_ = 0;
        surplus_time_.store(0, std::memory_order_relaxed);
        within_.store(o.within.count(), std::memory_order_relaxed);
        ends_at_.store(o.within == unbounded ? never : saturated_sum(now, o.within).count(), std::memory_order_relaxed);
        long_running_.store(o.long_running, std::memory_order_relaxed);
        low_threshold_.store(std::max<std::size_t>(o.limit / 3, 1), std::memory_order_relaxed);
        expected_rtt_.store(std::clamp(o.expected_rtt, time{}, longest_rtt).count(), std::memory_order_relaxed);
        slowest_kind_.store(std::clamp(o.slowest_kind, time{}, longest_rtt).count(), std::memory_order_relaxed);
        most_rtt_.store(most_rtt_of(o.size).count(), std::memory_order_relaxed);
        size_.store(static_cast<std::int64_t>(o.size), std::memory_order_relaxed);
        untaken_.store(0, std::memory_order_relaxed);
        first_at_.store(not_yet, std::memory_order_relaxed);
        last_at_.store(not_yet, std::memory_order_relaxed);
        max_in_flight_.store(0, std::memory_order_relaxed);
        ignored_.store(0, std::memory_order_relaxed);
        ignored_sum_.store(0, std::memory_order_relaxed);
        dropped_.store(0, std::memory_order_relaxed);
        dropped_sum_.store(0, std::memory_order_relaxed);
        for (sum_stripe& sums : success_sums_)
            for (std::atomic<std::int64_t>& sum : sums.of)
                sum.store(0, std::memory_order_relaxed);
        for (tally& t : successes_)
            t.reset(first_used_, end_used_);
        first_used_ = 0;
        end_used_ = rtt_buckets::count;
        if (has_kinds_.load(std::memory_order_relaxed)) {
            has_kinds_.store(false, std::memory_order_relaxed);
            for (kind_tally& t : kinds_)
                t.reset();
        }
        const std::uint32_t generation = next(generation_of(state_.load(std::memory_order_relaxed)));
        // An exchange: a member that leaves a discarded window counts either there, or among the stragglers.
        const std::uint64_t before = state_.exchange(generation * generation_unit | o.size, std::memory_order_release);
        const std::size_t surplus = surplus_.end_before(generation);
        slots_.store(slots(generation, static_cast<std::int64_t>(o.size)), std::memory_order_release);
        return surplus + ((before & discarded_bit) != 0 ? static_cast<std::size_t>(before & members_mask) : 0);
    }

    // Enters a request at its admission. `in_flight` is the number of permits held, its own and those of long-running
    // calls included; `reached` is the same, or more: see window::max_in_flight. Sets `low` to whether few are in
    // flight, and `generation` to what the member must pass to leave(). The caller that gets the last slot calls fill()
    // next.
    entry enter(time now, std::size_t in_flight, bool& low, std::uint32_t& generation) noexcept {
        return enter(now, in_flight, in_flight, low, generation);
    }
    FLOWGUARD_DETAIL_EACH_CALL entry enter(time now, std::size_t in_flight, std::size_t reached, bool& low,
                                           std::uint32_t& generation) noexcept {
        if (count_of(slots_.load(std::memory_order_relaxed)) <= 0)
            return entry::none;
        const std::uint64_t found = slots_.fetch_sub(1, std::memory_order_acquire);
        const std::int64_t count = count_of(found);
        if (count <= 0)
            return entry::none;
        generation = static_cast<std::uint32_t>(found >> 32);
        if (count == size_.load(std::memory_order_relaxed))
            first_at_.store(now.count(), std::memory_order_relaxed);
        const auto without = [](std::size_t long_running, std::size_t permits) { // some of these may have ended
            permits = std::max<std::size_t>(permits, 1);
            return permits - (std::min)(long_running, permits - 1);
        };
        const std::size_t long_running = long_running_.load(std::memory_order_relaxed);
        in_flight = without(long_running, in_flight);
        reached = without(long_running, reached);
        std::size_t most = max_in_flight_.load(std::memory_order_relaxed);
        while (reached > most && !max_in_flight_.compare_exchange_weak(most, reached, std::memory_order_relaxed)) {
        }
        low = in_flight <= low_threshold_.load(std::memory_order_relaxed);
        if (count > 1)
            return entry::member;
        if (ends_at_.load(std::memory_order_relaxed) != never)
            ends_at_.store(never, std::memory_order_relaxed);
        return entry::last;
    }

    // Called when all slots are taken. The window is closed only after this, and after what the caller did before it:
    // the caller has yet to leave, and straggling is measured from here.
    void fill(time now) noexcept {
        last_at_.store(now.count(), std::memory_order_release); // publishes what the caller did
    }

    // Whether end_if_overdue() or settle() may have something to do. Complexity: one load.
    bool needs_a_look() const noexcept { return ends_at_.load(std::memory_order_relaxed) != never; }

    // The time until the bound; empty if there is no bound, or it has taken effect.
    std::optional<time> time_left(time now) const noexcept {
        const std::int64_t ends_at = ends_at_.load(std::memory_order_relaxed);
        if (ends_at == never || ends_at == unsettled)
            return std::nullopt;
        return (std::max)(saturated_difference(time{ends_at}, now), time{});
    }

    // If the bound has passed, takes all remaining slots. Returns true to one caller. Until settle() is called, one of
    // these slots counts as a member: so the window stays open and as it is.
    [[nodiscard]] bool end_if_overdue(time now) noexcept {
        // Acquire: the bound that is read next belongs to this opening, which stays open while it has slots.
        std::uint64_t found = slots_.load(std::memory_order_acquire);
        do {
            if (count_of(found) <= 0 || !is_overdue(now))
                return false;
        } while (!slots_.compare_exchange_weak(found, slots(generation_of_slots(found), 0), std::memory_order_acquire,
                                               std::memory_order_acquire));
        const std::int64_t taken = count_of(found);
        untaken_.store(taken, std::memory_order_relaxed);
        // All of these slots but one leave at once. One stays, so that the window is not closed here.
        state_.fetch_sub(static_cast<std::uint64_t>(taken - 1), std::memory_order_relaxed);
        return true;
    }

    // Called by the thread for which end_if_overdue() returned true, when it has done what must precede closing. From
    // here on any thread may settle.
    void leave_to_settle() noexcept { ends_at_.store(unsettled, std::memory_order_release); }

    // Completes what end_if_overdue() began, if leave_to_settle() was called: the window counts as filled, and its last
    // slot leaves.
    leaving settle(time now) noexcept {
        std::int64_t due = unsettled;
        // Acquire: this comes after what was done before leave_to_settle().
        if (!ends_at_.compare_exchange_strong(due, never, std::memory_order_acquire, std::memory_order_relaxed))
            return leaving::one_of_many;
        // The last slot has not left yet, and a window is discarded only after fill(). So the window is not closed, and
        // has this generation. After fill(), another thread may discard it because its epoch is over. leave() finds
        // that by the generation: if the window was opened again, open() has counted the last slot as a straggler.
        const std::uint32_t generation = generation_of(state_.load(std::memory_order_relaxed));
        fill(now);
        return leave(generation);
    }

    // Whether a member of that generation is a sample: true unless the window was closed without it.
    bool is_open(std::uint32_t generation) const noexcept {
        return (state_.load(std::memory_order_relaxed) & ~members_mask) == generation * generation_unit;
    }

    // Whether the window was discarded with a member of that generation, and was not opened again.
    bool is_discarded(std::uint32_t generation) const noexcept {
        const std::uint64_t state = state_.load(std::memory_order_relaxed);
        return generation_of(state) == generation && (state & discarded_bit) != 0;
    }

    void succeed(time rtt, bool low) noexcept {
        const time recorded = within_reach(rtt);
        success_sums_[thread_stripe()].of[low ? 1 : 0].fetch_add(recorded.count(), std::memory_order_relaxed);
        successes_[low ? 1 : 0].add(recorded);
    }

    // Called besides, for a success of another kind than 0. Kind 0 is the rest, so that it costs nothing.
    void succeed_of_kind(time rtt, bool low, std::size_t kind) noexcept {
        kinds_[low ? 1 : 0].add(within_reach(rtt), kind);
        if (!has_kinds_.load(std::memory_order_relaxed)) // a load is cheaper
            has_kinds_.store(true, std::memory_order_relaxed);
    }
    void drop(time rtt) noexcept {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        dropped_sum_.fetch_add(within_reach(rtt).count(), std::memory_order_relaxed);
    }
    void ignore(time held) noexcept {
        ignored_.fetch_add(1, std::memory_order_relaxed);
        ignored_sum_.fetch_add(within_reach(held).count(), std::memory_order_relaxed);
    }

    // For a member with several permits, after enter(). Returns false if the window has ended for it meanwhile: then
    // its surplus is long-running, as that of a straggler.
    [[nodiscard]] bool hold_surplus(std::uint32_t generation, std::uint32_t surplus) noexcept {
        return surplus_.hold(generation, surplus);
    }

    // The same before leave(). Returns false if its surplus is long-running.
    [[nodiscard]] bool release_surplus(std::uint32_t generation, std::uint32_t surplus) noexcept {
        return surplus_.release(generation, surplus);
    }

    // Called besides, for a member with several permits that is a sample. `held`: how long it has held them.
    FLOWGUARD_DETAIL_RARE void add_surplus(std::uint32_t surplus, time held) noexcept {
        // The sum of all members does not overflow: each of them adds at most its part.
        const double most =
            static_cast<double>(INT64_MAX) / 2 / static_cast<double>(size_.load(std::memory_order_relaxed));
        const double added = static_cast<double>(surplus) * static_cast<double>(within_reach(held).count());
        surplus_time_.fetch_add(static_cast<std::int64_t>((std::min)(added, most)), std::memory_order_relaxed);
    }

    // Leaving is one step, because the window may be opened again as soon as no member remains. It is a
    // compare-exchange, because a member of an earlier opening must not change this one.
    leaving leave(std::uint32_t generation) noexcept {
        std::uint64_t state = state_.load(std::memory_order_relaxed);
        do {
            if (generation_of(state) != generation)
                return leaving::straggler;
        } while (!state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel, std::memory_order_relaxed));
        if ((state & closed_bit) != 0)
            return (state & discarded_bit) != 0 ? leaving::one_of_many : leaving::straggler;
        return (state & members_mask) == 1 ? leaving::last : leaving::one_of_many;
    }

    // Closes the window early if all slots are taken and the remaining members take absurdly long: ten times the mean
    // RTT of the members that were timed, and as much again for each per cent of the window that remains. (If many
    // remain, they are not stragglers but slower requests, and belong in the mean.) If no member was timed, because all
    // that are done were ignored, the RTT of earlier windows counts. If there are several kinds of calls, the RTT of
    // the slowest counts instead, unless it is more than a thousand times as long: then it is work that no window can
    // wait for. At least 1 ms, and a second if no RTT is known.
    // Returns the number of remaining members to one caller, and 0 to any other.
    [[nodiscard]] std::size_t close_if_straggling(time now) noexcept {
        // Acquire: what is read next belongs to this opening, or the last step fails.
        std::uint64_t state = state_.load(std::memory_order_acquire);
        const std::uint64_t this_one = state & ~members_mask;
        std::int64_t last = last_at_.load(std::memory_order_acquire); // pairs with fill()
        if ((state & closed_bit) != 0 || last == not_yet)
            return 0;
        if (now.count() < last) {
            // The clock was set back: measure from here. Relaxed: a reader of this value sees what fill() published,
            // because an exchange continues its release sequence. The exchange fails if another thread has just done
            // the same, or has opened the window again.
            last_at_.compare_exchange_strong(last, now.count(), std::memory_order_relaxed, std::memory_order_relaxed);
            return 0;
        }
        const std::int64_t size = members_at_most();
        const auto left = static_cast<std::int64_t>(state & members_mask);
        const std::int64_t done = size - left;
        if (done <= 0)
            return 0;
        const std::int64_t timed = done - ignored_.load(std::memory_order_relaxed);
        const std::int64_t total = sum_of(0) + sum_of(1) + dropped_sum_.load(std::memory_order_relaxed);
        const std::int64_t expected = expected_rtt_.load(std::memory_order_relaxed);
        std::int64_t usual = timed > 0 ? std::clamp<std::int64_t>(total / timed, 0, longest_rtt.count()) : expected;
        if (const std::int64_t slowest = slowest_kind_.load(std::memory_order_relaxed); slowest / 1000 <= usual)
            usual = (std::max)(usual, slowest);
        const std::int64_t least = timed > 0 || expected > 0 ? 1'000'000 : 1'000'000'000;
        const time straggler_timeout{std::max<std::int64_t>(10 * usual + 1000 * usual / size * left, least)};
        if (saturated_difference(now, time{last}) <= straggler_timeout)
            return 0;
        while ((state & ~members_mask) == this_one && (state & members_mask) != 0)
            // Acquire: this thread must see what the members that are done have recorded. Opening the next window
            // publishes what this thread does next.
            if (state_.compare_exchange_weak(state, state | closed_bit, std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
                straggling_surplus_ = surplus_.end_before(next(generation_of(state)));
                return stragglers_ = static_cast<std::size_t>(state & members_mask);
            }
        return 0;
    }

    // The permits of the members without which it was closed early. For the thread that closed it.
    std::size_t straggling_permits() const noexcept { return stragglers_ + straggling_surplus_; }

    // Closes the window if opening::discard_at has come, or if it is of an older epoch: nobody reads it, and its
    // members only leave. Returns true to one caller, which then is the thread that closed the window. Fails if the
    // window is closed, and while the last slot is taken and fill() was not called: a later call may succeed.
    [[nodiscard]] bool discard_if_due(time now, std::uint64_t epoch) noexcept {
        // Acquire: what is read next belongs to this opening, or a step below fails. The thread that discards the
        // window sees what the one did that opened it.
        std::uint64_t found = state_.load(std::memory_order_acquire);
        const std::uint64_t this_one = found & ~members_mask;
        const std::int64_t due = discard_at_.load(std::memory_order_relaxed);
        const bool is_due = due != never && now.count() >= due;
        if ((found & closed_bit) != 0 || (!is_due && epoch_.load(std::memory_order_relaxed) >= epoch))
            return false;
        // Take the remaining slots, so that no call enters. They count as members until the window is closed. So if
        // there are any, only this thread can close it: the last member does not leave, and fill() is not called.
        std::uint64_t free = slots_.load(std::memory_order_relaxed);
        std::uint64_t taken = 0;
        do {
            if (generation_of_slots(free) != generation_of(found))
                return false; // the window is being opened
            if (count_of(free) <= 0) {
                // Relaxed: what precedes fill(), the end of a probe, has no effect any more if the epoch is over. No
                // other probe is discarded.
                if (last_at_.load(std::memory_order_relaxed) == not_yet)
                    return false;
                taken = 0;
                break;
            }
            taken = static_cast<std::uint64_t>(count_of(free));
        } while (!slots_.compare_exchange_weak(free, slots(generation_of_slots(free), 0), std::memory_order_relaxed,
                                               std::memory_order_relaxed));
        // Acquire: this thread must see what the members that are done have recorded: it may count their RTTs. Opening
        // the next window publishes what it does.
        while ((found & ~members_mask) == this_one && (found & members_mask) != 0)
            if (state_.compare_exchange_weak(found, (found - taken) | closed_bit | discarded_bit,
                                             std::memory_order_acquire, std::memory_order_relaxed))
                return true;
        return false;
    }

    // The mean RTT of the successes until now; 0 if there is none. An estimate, for any thread: it is wrong by a few
    // samples while members leave, and by more while another thread opens the window again.
    time mean_so_far() const noexcept {
        const auto left = static_cast<std::int64_t>(state_.load(std::memory_order_relaxed) & members_mask);
        const std::int64_t others = dropped_.load(std::memory_order_relaxed) + ignored_.load(std::memory_order_relaxed);
        const std::int64_t successes = std::max<std::int64_t>(members_at_most() - left - others, 0);
        return mean(sum_of(0) + sum_of(1), static_cast<std::size_t>(successes));
    }

    // For the thread that opens the next window: whether every member has left this one.
    bool is_left() const noexcept { return (state_.load(std::memory_order_acquire) & members_mask) == 0; }

    std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }
    std::size_t limit_after() const noexcept { return limit_after_; }
    time spacing_after() const noexcept { return spacing_after_; }

    // Called by the thread that closed it. Members that had not left when it was closed are unfinished, and held their
    // permits at least until now.
    void summarize(time now, window& w) noexcept {
        w.admitted = static_cast<std::size_t>(members_at_most());
        w.limit = limit_;
        w.spacing = spacing_;
        w.length = (std::max)(saturated_difference(now, opened_at_), time{});
        const time last{last_at_.load(std::memory_order_relaxed)};
        if (const std::int64_t first = first_at_.load(std::memory_order_relaxed); first != not_yet)
            w.admitting = (std::max)(saturated_difference(last, time{first}), time{});
        w.ignored = static_cast<std::size_t>(ignored_.load(std::memory_order_relaxed));
        w.max_in_flight = max_in_flight_.load(std::memory_order_relaxed);

        count_buckets(w.low.histogram, w.all.histogram);
        const auto& high_kinds = kinds_[0]; // no structured binding: clang before 16 cannot capture one
        const auto& low_kinds = kinds_[1];
        const std::int64_t low_sum = sum_of(1);
        summarize(
            low_sum, [&](std::size_t kind) { return std::pair(low_kinds.samples(kind), low_kinds.sum(kind)); }, w.low);

        const std::int64_t sum = low_sum + sum_of(0);
        summarize(
            sum,
            [&](std::size_t kind) {
                return std::pair(high_kinds.samples(kind) + low_kinds.samples(kind),
                                 high_kinds.sum(kind) + low_kinds.sum(kind));
            },
            w.all);

        const std::int64_t dropped_sum = dropped_sum_.load(std::memory_order_relaxed);
        w.dropped = static_cast<std::size_t>(dropped_.load(std::memory_order_relaxed));
        w.dropped_mean_rtt = mean(dropped_sum, w.dropped);

        w.unfinished = stragglers_;
        const std::int64_t unfinished = within_reach(saturated_difference(now, last)).count();
        const std::int64_t unfinished_sum = unfinished * static_cast<std::int64_t>(stragglers_);

        const std::int64_t held = sum + dropped_sum + ignored_sum_.load(std::memory_order_relaxed) + unfinished_sum;
        const std::size_t members = w.all.samples + w.dropped + w.ignored + w.unfinished;
        const double surplus = static_cast<double>(surplus_time_.load(std::memory_order_relaxed)) +
                               static_cast<double>(unfinished) * static_cast<double>(straggling_surplus_);
        w.mean_in_flight = littles_law(w, static_cast<double>(mean(held, members).count()) +
                                              (members > 0 ? surplus / static_cast<double>(members) : 0));
    }

private:
    static constexpr std::int64_t not_yet = INT64_MIN;
    static constexpr std::int64_t never = INT64_MAX;
    static constexpr std::int64_t unsettled = INT64_MIN;
    static constexpr std::uint64_t members_mask = (std::uint64_t{1} << 32) - 1;
    static constexpr std::uint64_t closed_bit = std::uint64_t{1} << 32; // closed before all had left, or discarded
    static constexpr std::uint64_t discarded_bit = std::uint64_t{1} << 33;
    static constexpr std::uint64_t generation_unit = std::uint64_t{1} << 34;
    static constexpr std::uint32_t most_generations = std::uint32_t{1} << 30;
    static constexpr std::int64_t no_slots = std::int64_t{1} << 31; // so that calls that come too late borrow no bit
    static constexpr time longest_rtt{std::int64_t{1} << 42}; // 73 minutes, where the histogram ends

    static std::uint32_t generation_of(std::uint64_t state) noexcept {
        return static_cast<std::uint32_t>(state / generation_unit);
    }
    // Wraps around after 2³⁰ openings: no straggler stays that long.
    static std::uint32_t next(std::uint32_t generation) noexcept { return (generation + 1) % most_generations; }

    static std::uint64_t slots(std::uint32_t generation, std::int64_t count) noexcept {
        return std::uint64_t{generation} << 32 | static_cast<std::uint64_t>(no_slots + count);
    }
    static std::uint32_t generation_of_slots(std::uint64_t slots) noexcept {
        return static_cast<std::uint32_t>(slots >> 32);
    }
    static std::int64_t count_of(std::uint64_t slots) noexcept {
        return static_cast<std::int64_t>(slots & 0xffff'ffff) - no_slots;
    }

    // The longest RTT that is recorded: so short that the sum of `size` of them does not overflow.
    static time most_rtt_of(std::size_t size) noexcept {
        return (std::min)(longest_rtt, time{INT64_MAX / static_cast<std::int64_t>(std::max<std::size_t>(size, 1))});
    }

    // Clamps an RTT. A clock may be set back, or ahead by years. The RTT is then wrong, but does not spoil the sums.
    FLOWGUARD_DETAIL_EACH_CALL time within_reach(time rtt) const noexcept {
        return std::clamp(rtt, time{}, time{most_rtt_.load(std::memory_order_relaxed)});
    }

    bool is_overdue(time now) noexcept {
        std::int64_t ends_at = ends_at_.load(std::memory_order_relaxed);
        if (ends_at == never || ends_at == unsettled)
            return false;
        if (now.count() >= ends_at)
            return true;
        const time within{within_.load(std::memory_order_relaxed)};
        if (saturated_difference(time{ends_at}, now) > within) // the clock was set back: the bound counts from here
            ends_at_.compare_exchange_strong(ends_at, saturated_sum(now, within).count(), std::memory_order_relaxed);
        return false;
    }

    // The size, minus the slots that no request took.
    std::int64_t members_at_most() const noexcept {
        return size_.load(std::memory_order_relaxed) - untaken_.load(std::memory_order_relaxed);
    }

    // One thread's part of the sums of the RTTs of the successes.
    struct alignas(64) sum_stripe {
        std::array<std::atomic<std::int64_t>, 2> of{}; // ns; [1]: admitted while few were in flight
    };

    std::int64_t sum_of(std::size_t group) const noexcept {
        std::int64_t sum = 0;
        for (const sum_stripe& sums : success_sums_)
            sum += sums.of[group].load(std::memory_order_relaxed);
        return sum;
    }

    class tally {
    public:
        // Counts that are not in [first, end) are 0 already.
        void reset(std::size_t first, std::size_t end) noexcept {
            for (std::size_t i = first; i < end; ++i)
                if (count(i) != 0) // most are 0, and a load is cheaper
                    counts_[i].store(0, std::memory_order_relaxed);
        }

        void add(time rtt) noexcept { counts_[rtt_buckets::index_of(rtt)].fetch_add(1, std::memory_order_relaxed); }

        std::uint32_t count(std::size_t bucket) const noexcept {
            return counts_[bucket].load(std::memory_order_relaxed);
        }

    private:
        std::array<std::atomic<std::uint32_t>, rtt_buckets::count> counts_{};
    };

    // The successes of each kind but kind 0. Kind 0 is the rest, so that calls without a kind cost nothing.
    class kind_tally {
    public:
        void reset() noexcept {
            for (counter& k : counters_) {
                k.samples.store(0, std::memory_order_relaxed);
                k.sum.store(0, std::memory_order_relaxed);
            }
        }

        void add(time rtt, std::size_t kind) noexcept {
            counters_[kind - 1].sum.fetch_add(rtt.count(), std::memory_order_relaxed);
            counters_[kind - 1].samples.fetch_add(1, std::memory_order_relaxed);
        }

        std::int64_t samples(std::size_t kind) const noexcept {
            return counters_[kind - 1].samples.load(std::memory_order_relaxed);
        }
        std::int64_t sum(std::size_t kind) const noexcept {
            return counters_[kind - 1].sum.load(std::memory_order_relaxed);
        }

    private:
        struct counter {
            std::atomic<std::int64_t> samples{0};
            std::atomic<std::int64_t> sum{0}; // ns
        };

        std::array<counter, max_kinds - 1> counters_{};
    };

    // Fills the histograms of both summaries. Notes which counts may be other than 0 now.
    void count_buckets(rtt_histogram& low, rtt_histogram& all) noexcept {
        std::size_t first = rtt_buckets::count;
        std::size_t end = 0;
        for (std::size_t i = 0; i < rtt_buckets::count; ++i) {
            const std::uint32_t few = successes_[1].count(i);
            const std::uint32_t total = few + successes_[0].count(i);
            if (total == 0)
                continue;
            if (few != 0)
                low.add_to_bucket(i, few);
            all.add_to_bucket(i, total);
            first = (std::min)(first, i);
            end = i + 1;
        }
        // A member that has not left may just be recording a success, in any bucket.
        const bool has_members = stragglers_ != 0 || (state_.load(std::memory_order_relaxed) & discarded_bit) != 0;
        first_used_ = has_members ? 0 : first;
        end_used_ = has_members ? rtt_buckets::count : end;
    }

    // Completes a summary that has its histogram. `sum` is that of its RTTs. `counted(kind)` returns the samples of a
    // kind and the sum of their RTTs. A sample that was just being recorded may be in only one of the counters; so
    // the rest may be less than nothing.
    template <class Counted>
    void summarize(std::int64_t sum, Counted counted, rtt_summary& s) const noexcept {
        s.samples = static_cast<std::size_t>(s.histogram.total());
        s.mean = mean(sum, s.samples);
        auto rest = static_cast<std::int64_t>(s.samples);
        if (has_kinds_.load(std::memory_order_relaxed))
            for (std::size_t kind = 1; kind < max_kinds; ++kind) {
                const auto [samples, of_kind] = counted(kind);
                s.kinds[kind] = {static_cast<std::size_t>(samples), mean(of_kind, static_cast<std::size_t>(samples))};
                rest -= samples;
                sum -= of_kind;
            }
        const auto samples = static_cast<std::size_t>(std::max<std::int64_t>(rest, 0));
        s.kinds[0] = {samples, mean(sum, samples)};
    }

    static time mean(std::int64_t sum, std::size_t count) noexcept {
        return time{count > 0 ? std::max<std::int64_t>(sum / static_cast<std::int64_t>(count), 0) : 0};
    }

    // J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9(3), 1961. The time is that of a
    // member in flight, in ns, times its permits.
    static double littles_law(const window& w, double mean_time_in_flight) noexcept {
        const auto most = static_cast<double>(w.max_in_flight);
        if (w.admitting <= time{} || w.admitted < 2)
            return most;
        const double rate = static_cast<double>(w.admitted - 1) / static_cast<double>(w.admitting.count());
        return (std::min)(rate * mean_time_in_flight, most);
    }

    // Bits 0..31: no_slots, plus the remaining slots, minus the calls that came too late. Above: the generation.
    std::atomic<std::uint64_t> slots_{static_cast<std::uint64_t>(no_slots)};
    // Bits 0..31: members that have not left yet. Bit 32: closed early. Bit 33: discarded. Above: the generation.
    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::size_t> max_in_flight_{0};
    std::atomic<std::int64_t> first_at_{not_yet};
    std::atomic<std::int64_t> last_at_{not_yet};
    std::atomic<std::int64_t> untaken_{0}; // slots that end_if_overdue() took
    // Constant while the window is open, but for ends_at_, which ends a probe.
    alignas(64) std::atomic<std::int64_t> size_{0};
    std::atomic<std::int64_t> ends_at_{never}; // when the remaining slots may be taken; or unsettled
    std::atomic<std::int64_t> within_{never};
    std::atomic<std::size_t> low_threshold_{0};
    std::atomic<std::size_t> long_running_{0};
    std::atomic<std::int64_t> most_rtt_{0};
    std::atomic<std::int64_t> expected_rtt_{0};
    std::atomic<std::int64_t> slowest_kind_{0};
    std::size_t limit_ = 0;
    std::size_t limit_after_ = 0;
    time spacing_{};
    time spacing_after_{};
    std::atomic<std::int64_t> discard_at_{never};
    std::atomic<std::uint64_t> epoch_{0};
    time opened_at_{};
    std::size_t stragglers_ = 0; // when it was closed early; for the thread that closed it
    std::size_t straggling_surplus_ = 0; // of these
    window_surplus surplus_;
    std::atomic<std::int64_t> surplus_time_{0}; // ns × permits
    std::atomic<std::int64_t> ignored_{0};
    std::atomic<std::int64_t> ignored_sum_{0}; // ns
    std::atomic<std::int64_t> dropped_{0};
    std::atomic<std::int64_t> dropped_sum_{0}; // ns
    std::array<sum_stripe, stripes> success_sums_;
    std::array<tally, 2> successes_; // [1]: admitted while few were in flight
    std::size_t first_used_ = 0; // and
    std::size_t end_used_ = rtt_buckets::count; // the counts that may be other than 0; for the thread that closed it
    std::array<kind_tally, 2> kinds_; // the same successes
    std::atomic<bool> has_kinds_{false}; // a success was of another kind than 0
};

} // namespace flowguard::detail

#endif
