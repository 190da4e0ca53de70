// waiting_lanes.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_WAITING_LANES_HPP
#define FLOWGUARD_DETAIL_QUEUE_WAITING_LANES_HPP

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/queue/flow_queue.hpp"
#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/partition_turns.hpp"
#include "flowguard/detail/queue/partitions.hpp"
#include "flowguard/detail/queue/standing_queue.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/wait_order.hpp"

namespace flowguard::detail {

// How many callers may wait, and the order in which they are served.
struct wait_policy {
    std::size_t max_waiters = (std::numeric_limits<std::size_t>::max)();

    wait_order order = wait_order::fifo;
    standing_times times{}; // for wait_order::adaptive
    bool adjusts_times = false; // `times` are only the first ones: see waiting_lanes::set_times()

    // What becomes of a waiter that wants more permits than the limit. It has its turn, and then runs alone, as soon as
    // no permit is held; or it waits aside: see wait_queue.
    bool runs_alone = false;

    // A waiter counts as one priority higher for each `ageing` that it has waited; max: waiters do not age.
    std::chrono::nanoseconds ageing = (std::chrono::nanoseconds::max)();
    std::vector<double> shares{}; // of the partitions; empty: there is one partition

    // The clock of waiter::enqueued_at; null: there is none. Needed if the order depends on the time.
    std::chrono::nanoseconds (*now)() noexcept = nullptr;

    std::function<void(rejection)> on_rejection{}; // called for each rejection, unless empty
};

// The waiters, in one lane for each priority of each partition, and whose turn it is. The next waiter is of the
// partition that is furthest below its share, and of the highest priority there. It is the first in its lane, or the
// last if the lane stands (see standing_queue). There, a waiter for several permits keeps its turn when it has come,
// while newer ones arrive: else it would never get its permits together. If waiters of a lane belong to flows, the
// flows have turns, and the next waiter is the first or the last of the flow whose turn it is: see flow_queue. Where no
// waiter belongs to a flow, this costs next to nothing.
class waiting_lanes {
public:
    explicit waiting_lanes(wait_policy policy)
        : max_waiters_(policy.max_waiters),
          ageing_(policy.ageing),
          now_(policy.now),
          adapts_(policy.order == wait_order::adaptive),
          ages_(ageing_ != (std::chrono::nanoseconds::max)()),
          plain_(!adapts_ && !ages_ && policy.shares.empty()),
          may_shed_(adapts_ || is_bounded()),
          runs_alone_(policy.runs_alone),
          estimate_(policy.times),
          target_(policy.adjusts_times ? unknown : policy.times.target.count()),
          interval_(policy.times.interval.count()),
          shares_(std::move(policy.shares)),
          turns_(shares_),
          lanes_(priority_count * (shares_.enabled() ? shares_.count() : 1)),
          sizes_(lanes_.size()) {}

    waiting_lanes(const waiting_lanes&) = delete;
    waiting_lanes& operator=(const waiting_lanes&) = delete;
    ~waiting_lanes() { delete[] flows_.load(std::memory_order_relaxed); }

    // Called before a waiter of a flow is pushed, by any thread: makes what the lanes need for flows, unless they have
    // it. May throw std::bad_alloc.
    void prepare_flows() {
        if (flows_.load(std::memory_order_acquire) != nullptr)
            return;
        auto made = std::make_unique<flow_queue[]>(lanes_.size());
        flow_queue* none = nullptr;
        // Release: a thread that finds them, and the owner that the thread sends a waiter, see them made. Acquire for
        // the thread that finds those of another one.
        if (flows_.compare_exchange_strong(none, made.get(), std::memory_order_acq_rel, std::memory_order_acquire))
            static_cast<void>(made.release());
    }

    bool empty() const noexcept { return occupied_ == 0; }
    bool has_only_one() const noexcept { return size_ == 1; }
    bool has_too_many() const noexcept { return size_ > max_waiters_; }

    // Whether a waiter can ever be shed.
    bool may_shed() const noexcept { return may_shed_; }

    // Whether the number of waiters is bounded.
    bool is_bounded() const noexcept {
        return max_waiters_ < (std::numeric_limits<std::size_t>::max)() - most_evictions;
    }

    // How many callers may be in line or on their way to it, with a newcomer to that lane. This exceeds max_waiters by
    // a few only if the owner may evict another waiter in favour of the newcomer. Any thread may call it.
    std::size_t most_waiters_with(lane_number newcomer) const noexcept {
        const bool may_evict = max_waiters_ != 0 && (adapts_ || shares_.enabled() || newcomer.in_flow() ||
                                                     flowing() != 0 || waits_below(newcomer.priority_index()));
        return max_waiters_ + (may_evict ? most_evictions : 0);
    }

    // How many waiters of that priority there are. Any thread may call it.
    std::size_t waiting_of(priority p) const noexcept {
        std::size_t n = 0;
        for (std::size_t i = static_cast<std::size_t>(p); i < sizes_.size(); i += priority_count)
            n += waiting_in_lane(i);
        return n;
    }

    // Whether a waiter for more permits than the limit runs alone.
    bool lets_run_alone() const noexcept { return runs_alone_; }

    partitions& shares() noexcept { return shares_; }
    const partitions& shares() const noexcept { return shares_; }

    void push_back(waiter& w) noexcept {
        if (now_ != nullptr)
            w.enqueued_at = now_();
        if (!plain_)
            prepare(w);
        const std::size_t i = w.lane.index();
        if (w.lane.in_flow()) [[unlikely]]
            return push_to_flow(static_cast<flow_waiter&>(w), i);
        lanes_[i].waiters.push_back(w);
        enter(w, i);
        if (has_flows(i)) [[unlikely]]
            flows_of(i).push_to_rest(w);
    }

    // Puts a waiter at the front of its lane: it was in line before, and its turn has come.
    void push_front(waiter& w) noexcept {
        const std::size_t i = w.lane.index();
        lanes_[i].waiters.push_front(w);
        enter(w, i);
        if (has_flows(i)) [[unlikely]]
            flows_of(i).push_to_rest(w);
    }

    // The next waiter wants several permits, and only some of them are free: it keeps its turn.
    void keep_turn(waiter& w) noexcept { in_turn_ = &w; }

    void remove(waiter& w) noexcept {
        const std::size_t i = w.lane.index();
        if (in_turn_ == &w)
            in_turn_ = nullptr;
        if (has_flows(i)) [[unlikely]]
            return remove_beside_flows(w, i);
        lanes_[i].waiters.remove(w);
        count(i, -1);
        if (lanes_[i].waiters.empty())
            occupied_ &= ~bit(i);
        w.where = waiter::position::nowhere;
    }

    // From now on, these times tell which lanes stand. Any thread may call it.
    void set_times(const standing_times& t) noexcept {
        interval_.store(t.interval.count(), std::memory_order_relaxed);
        // Release: the owner that sees the first target sees its interval, too.
        target_.store(t.target.count(), std::memory_order_release);
    }

    // Decides anew which lanes stand. `estimate()` returns standing_times. It is called while set_times() is wanted,
    // and was not called yet.
    template <class Estimate>
    void look(Estimate estimate) noexcept {
        if (!adapts_)
            return;
        if (target_.load(std::memory_order_relaxed) == unknown) [[unlikely]]
            estimate_ = estimate();
        look_at_each();
    }

    // The waiter to be served next; null if there is none.
    waiter* next() const noexcept {
        if (empty())
            return nullptr;
        return plain_ && flowing() == 0 ? front() : next_by_policy();
    }

    // The same if only the priority and the order of arrival matter now, and no waiter can be shed; else null.
    FLOWGUARD_DETAIL_EACH_CALL waiter* next_if_plain() const noexcept {
        return plain_ && !may_shed_ && flowing() == 0 && !empty() ? front() : nullptr;
    }

    // A waiter that has waited too long in a lane that stands; null if there is none. It is never the waiter that is
    // served next, so that a released permit finds a waiter.
    waiter* overdue() const noexcept { return adapts_ && !empty() ? find_overdue() : nullptr; }

    // The waiter to evict when max_waiters is exceeded. It is of the partition that is furthest beyond its share,
    // counting its waiters, of the lowest priority there, and the last to be served. The waiter that is served next is
    // kept, unless it is the only one.
    waiter* least() const noexcept {
        waiter* const kept = next();
        waiter* found = kept;
        for_each_lane(shares_.enabled() ? lanes_of_most_filled(kept->lane) : occupied_, [&](std::size_t i) {
            waiter* last = last_of(i, kept);
            if (last != kept && last != nullptr)
                found = last; // of a lower priority than the one before
        });
        return found;
    }

    // Called when the next waiter has been granted its permits.
    void count_turn(const waiter& w) noexcept {
        count_flow_turn(w);
        if (shares_.enabled()) {
            shares_.enter(w.lane.partition(), w.wanted);
            turns_.take(w.lane.partition(), w.wanted);
        }
    }

    // Called when the next waiter leaves the line, with its permits or to wait aside for them: it has had the turn of
    // its flow. When it comes back from aside, it has had it already.
    void count_flow_turn(const waiter& w) noexcept {
        if (has_flows(w.lane.index()) && w.where != waiter::position::back_in_line) [[unlikely]]
            flows_of(w.lane.index()).count_turn(w);
    }

    // `visit(w)` may remove w, and no other waiter.
    template <class F>
    void for_each(F visit) {
        for_each_lane(occupied_, [&](std::size_t i) {
            for (waiter* w = lanes_[i].waiters.front(); w != nullptr;) {
                waiter* next = w->next;
                visit(*w);
                w = next;
            }
        });
        for_each_lane(flowing(), [&](std::size_t i) { flows_of(i).for_each(visit); });
    }

private:
    struct lane {
        waiter_list waiters;
        standing_queue standing;
    };

    static constexpr std::uint64_t bit(std::size_t lane) noexcept { return std::uint64_t{1} << lane; }
    static constexpr std::uint64_t lanes_of_partition = 0xF; // of the first partition
    static constexpr std::int64_t unknown = -1;
    static constexpr std::size_t most_evictions = 64; // callers on their way at a time that may evict another waiter

    standing_times times() const noexcept {
        const std::int64_t target = target_.load(std::memory_order_acquire); // pairs with set_times()
        if (target == unknown)
            return estimate_;
        return {std::chrono::nanoseconds(target), std::chrono::nanoseconds(interval_.load(std::memory_order_relaxed))};
    }

    std::size_t waiting_in_lane(std::size_t i) const noexcept { return sizes_[i].load(std::memory_order_relaxed); }

    // Whether a waiter of lower priority than that waits.
    bool waits_below(std::size_t index) const noexcept {
        for (std::size_t i = 0; i < sizes_.size(); ++i)
            if (i % priority_count > index && waiting_in_lane(i) != 0)
                return true;
        return false;
    }

    void enter(waiter& w, std::size_t lane_index) noexcept {
        count(lane_index, 1);
        occupied_ |= bit(lane_index);
        w.where = waiter::position::in_line;
    }

    void count(std::size_t lane_index, int one) noexcept {
        size_ += static_cast<std::size_t>(one);
        sizes_[lane_index].store(waiting_in_lane(lane_index) + static_cast<std::size_t>(one),
                                 std::memory_order_relaxed); // written by one thread at a time
    }

    // Relaxed: written by the owner alone; other threads take it for a hint.
    std::uint64_t flowing() const noexcept { return flowing_.load(std::memory_order_relaxed); }
    bool has_flows(std::size_t i) const noexcept { return (flowing() & bit(i)) != 0; }

    // Relaxed: the message that brought the first waiter of a flow has published them.
    flow_queue& flows_of(std::size_t i) const noexcept { return flows_.load(std::memory_order_relaxed)[i]; }

    FLOWGUARD_DETAIL_RARE void push_to_flow(flow_waiter& w, std::size_t i) noexcept {
        flows_of(i).push_back(w, lanes_[i].waiters, waiting_in_lane(i), lanes_[i].standing.stands());
        flowing_.store(flowing() | bit(i), std::memory_order_relaxed);
        enter(w, i);
    }

    FLOWGUARD_DETAIL_RARE void remove_beside_flows(waiter& w, std::size_t i) noexcept {
        const bool newest_first = lanes_[i].standing.stands();
        if (w.lane.in_flow() && w.where != waiter::position::back_in_line) {
            flows_of(i).remove(static_cast<flow_waiter&>(w), newest_first);
        } else {
            lanes_[i].waiters.remove(w);
            flows_of(i).remove_from_rest(lanes_[i].waiters, newest_first);
        }
        if (flows_of(i).empty())
            flowing_.store(flowing() & ~bit(i), std::memory_order_relaxed);
        count(i, -1);
        if (waiting_in_lane(i) == 0)
            occupied_ &= ~bit(i);
        w.where = waiter::position::nowhere;
    }

    // The first waiter of the highest priority, if any waits.
    waiter* front() const noexcept {
        return lanes_[static_cast<std::size_t>(std::countr_zero(occupied_))].waiters.front();
    }

    // The waiter of a lane that has waited longest.
    const waiter* oldest_of(std::size_t i) const noexcept {
        return has_flows(i) ? flows_of(i).oldest(lanes_[i].waiters) : lanes_[i].waiters.front();
    }

    // The waiter of a lane that would be served last. In a lane with flows, it is not the one that is kept.
    waiter* last_of(std::size_t i, const waiter* kept) const noexcept {
        const bool newest_first = lanes_[i].standing.stands();
        if (has_flows(i)) [[unlikely]]
            return flows_of(i).last(lanes_[i].waiters, newest_first, kept);
        return newest_first ? oldest_but(kept, i) : lanes_[i].waiters.back();
    }

    // The waiter of a lane without flows that has waited longest, but not the one that is kept, unless that is alone.
    waiter* oldest_but(const waiter* kept, std::size_t i) const noexcept {
        waiter* const front = lanes_[i].waiters.front();
        return front == kept && front->next != nullptr ? front->next : front;
    }

    // For a waiter that is about to be pushed.
    void prepare(waiter& w) noexcept {
        lane& l = lanes_[w.lane.index()];
        if (adapts_ && (occupied_ & bit(w.lane.index())) == 0)
            l.standing.look(std::chrono::nanoseconds(0), w.enqueued_at, times());
        if (shares_.enabled() && waiting_in(w.lane.partition()) == 0)
            turns_.join(w.lane.partition());
        if (w.wanted > 1)
            has_weights_ = true;
    }

    // How long a waiter has waited. At least 0: a clock may be set back.
    static std::chrono::nanoseconds waited(const waiter& w, std::chrono::nanoseconds now) noexcept {
        return (std::max)(saturated_difference(now, w.enqueued_at), std::chrono::nanoseconds::zero());
    }

    void look_at_each() noexcept {
        const auto now = now_();
        const standing_times t = times();
        for_each_lane(occupied_, [&](std::size_t i) { lanes_[i].standing.look(waited(*oldest_of(i), now), now, t); });
    }

    waiter* next_by_policy() const noexcept {
        return next_of(!shares_.enabled() ? occupied_
                       : has_weights_     ? lanes_of_least_filled_by_weight()
                                          : lanes_of_least_filled());
    }

    // The next waiter of a partition, or, without partitions, of all.
    FLOWGUARD_DETAIL_EACH_CALL waiter* next_of(std::uint64_t lanes) const noexcept {
        if (ages_)
            return oldest_for_its_priority(lanes);
        return first_of(static_cast<std::size_t>(std::countr_zero(lanes)));
    }

    waiter* find_overdue() const noexcept {
        const waiter* const kept = next();
        const auto now = now_();
        const std::chrono::nanoseconds target = times().target;
        waiter* found = nullptr;
        for_each_lane(occupied_, [&](std::size_t i) {
            if (!lanes_[i].standing.stands())
                return;
            waiter* oldest = has_flows(i) ? flows_of(i).oldest(lanes_[i].waiters, kept) : oldest_but(kept, i);
            if (oldest != nullptr && oldest != kept && waited(*oldest, now) > target)
                found = oldest;
        });
        return found;
    }

    template <class F>
    static void for_each_lane(std::uint64_t lanes, F visit) {
        for (; lanes != 0; lanes &= lanes - 1)
            visit(static_cast<std::size_t>(std::countr_zero(lanes)));
    }

    waiter* first_of(std::size_t i) const noexcept {
        const lane& l = lanes_[i];
        waiter* const keeps =
            l.standing.stands() && in_turn_ != nullptr && in_turn_->lane.index() == i ? in_turn_ : nullptr;
        if (has_flows(i)) [[unlikely]] {
            waiter* const front = l.waiters.front();
            return front != nullptr && front->where == waiter::position::back_in_line
                       ? front
                       : flows_of(i).next(l.waiters, l.standing.stands(), keeps);
        }
        if (!l.standing.stands())
            return l.waiters.front();
        return keeps != nullptr ? keeps : l.waiters.back();
    }

    std::uint64_t lanes_in(std::size_t partition) const noexcept {
        return occupied_ & (lanes_of_partition << (partition * priority_count));
    }

    std::size_t waiting_in(std::size_t partition) const noexcept {
        std::size_t n = 0;
        for_each_lane(lanes_in(partition), [&](std::size_t i) { n += waiting_in_lane(i); });
        return n;
    }

    // The lanes of the partition that has the least in flight in relation to its share. Among equals, it is the one
    // with the fewest turns in relation to its share: if there are more partitions than permits, they are all equal
    // whenever a permit comes back.
    std::uint64_t lanes_of_least_filled() const noexcept {
        return least_filled([](std::size_t) { return true; });
    }

    // The same if callers have wanted several permits. While such a waiter has the turn, none else is served until its
    // permits are free. In a partition with nothing else in flight, it would always have the turn, and most permits
    // would stay unused. So it lets a partition go first that has had fewer turns, and has no more in flight than its
    // own partition would have, if all of the waiter's permits but one were in flight. A partition with more in flight
    // does not count: else, while it waits for its own long calls, it would keep the heavy waiter from its turn.
    FLOWGUARD_DETAIL_RARE std::uint64_t lanes_of_least_filled_by_weight() const noexcept {
        std::uint64_t found = lanes_of_least_filled();
        for (std::uint64_t first = found; first != 0;) {
            found = first;
            const waiter& w = *next_of(found);
            const std::size_t heavy = w.lane.partition();
            const double most = shares_.fill(heavy, w.wanted - 1);
            first = w.wanted == 1 ? 0 : least_filled([&](std::size_t p) {
                return turns_.of(p) < turns_.of(heavy) && shares_.fill(p) <= most;
            });
        }
        return found;
    }

    // Of the partitions that have a waiter and for which `counts(p)`. 0: there is none.
    template <class F>
    std::uint64_t least_filled(F counts) const noexcept {
        std::uint64_t found = 0;
        std::pair<double, double> least;
        for (std::size_t p = 0; p < shares_.count(); ++p) {
            if (lanes_in(p) == 0 || !counts(p))
                continue;
            const std::pair<double, double> filled{shares_.fill(p), turns_.of(p)};
            if (found == 0 || filled < least) {
                found = lanes_in(p);
                least = filled;
            }
        }
        return found;
    }

    // The lanes of the partition that is furthest beyond its share, counting its waiters except the one that is kept.
    std::uint64_t lanes_of_most_filled(lane_number kept) const noexcept {
        std::uint64_t found = 0;
        double most = 0;
        for (std::size_t p = 0; p < shares_.count(); ++p) {
            const std::size_t waiting = waiting_in(p) - (p == kept.partition() ? 1 : 0);
            if (waiting > 0 && (found == 0 || shares_.fill(p, waiting) > most)) {
                found = lanes_in(p);
                most = shares_.fill(p, waiting);
            }
        }
        return found;
    }

    // A lane's oldest waiter is promoted by one priority for each `ageing` that it has waited. Among equals, the one
    // that has waited longest is next. A lane that stands does not age: it serves its newest waiter, and sheds the old
    // ones.
    waiter* oldest_for_its_priority(std::uint64_t lanes) const noexcept {
        const auto now = now_();
        waiter* found = nullptr;
        std::int64_t best = 0;
        std::chrono::nanoseconds since{};
        for_each_lane(lanes, [&](std::size_t i) {
            const waiter* oldest = oldest_of(i);
            const std::int64_t steps = lanes_[i].standing.stands() ? 0 : waited(*oldest, now) / ageing_;
            const std::int64_t promoted = static_cast<std::int64_t>(i % priority_count) - steps;
            if (found == nullptr || promoted < best || (promoted == best && oldest->enqueued_at < since)) {
                found = first_of(i);
                best = promoted;
                since = oldest->enqueued_at;
            }
        });
        return found;
    }

    // As in wait_policy.
    const std::size_t max_waiters_;
    const std::chrono::nanoseconds ageing_;
    std::chrono::nanoseconds (*const now_)() noexcept;
    const bool adapts_;
    const bool ages_;
    const bool plain_; // only the priority and the order of arrival matter
    const bool may_shed_;
    const bool runs_alone_;
    bool has_weights_ = false; // a caller has wanted several permits
    standing_times estimate_; // while target_ is unknown
    std::atomic<std::int64_t> target_; // ns
    std::atomic<std::int64_t> interval_; // ns
    partitions shares_;
    partition_turns turns_;
    std::vector<lane> lanes_;
    std::vector<std::atomic<std::size_t>> sizes_; // of the lanes
    std::atomic<flow_queue*> flows_{nullptr}; // of the lanes; made by prepare_flows()
    std::atomic<std::uint64_t> flowing_{0}; // a bit for each lane that has a waiter of a flow
    waiter* in_turn_ = nullptr; // a waiter that keeps its turn
    std::uint64_t occupied_ = 0; // a bit for each lane that has a waiter
    std::size_t size_ = 0;
};

} // namespace flowguard::detail

#endif
