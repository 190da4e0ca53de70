// guard_state.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GUARD_STATE_HPP
#define FLOWGUARD_DETAIL_GUARD_STATE_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <functional>
#include <utility>
#include <vector>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/check.hpp"
#include "flowguard/detail/deadline.hpp"
#include "flowguard/detail/decision_trace.hpp"
#include "flowguard/detail/lane_number.hpp"
#include "flowguard/detail/sample_window.hpp"
#include "flowguard/detail/semaphore_state.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard::detail {

// What an admitted task remembers of its admission.
struct membership {
    sample_window* window = nullptr; // none: came after the window was full, and is no sample
    std::chrono::nanoseconds admitted_at{};
    bool low = false;
    std::uint8_t partition = 0;
};

// Everything of a guard but its executor: the semaphore, the strategy, and the window between them.
//
// There is one window at a time. Whoever closes it is the only one to touch the strategy and the
// unused windows, until it opens the next one: to be the closer is handed on by the window itself.
template <class Strategy, class Clock>
class guard_state : public semaphore_state {
public:
    guard_state(Strategy strategy, guard_options options)
        : semaphore_state(check_range("the strategy's initial limit", strategy.current_limit(), 1, max_limit),
                          policy_of(options)),
          max_wait_(check_least("guard_options::max_wait", options.max_wait, 0)),
          strategy_(std::move(strategy)),
          min_window_(check_range("guard_options::min_window", options.min_window, 1, max_limit)),
          trace_(check_range("guard_options::trace", options.trace, 0, 1'000'000)),
          on_decision_(std::move(options.on_decision)) {
        windows_.emplace_front();
        open(windows_.front(), plan(limit()));
    }

    // A permit for a task, if one is free; with a reference of its own, unless the caller gives it one.
    bool take(lane_number lane, bool with_reference = true) noexcept {
        if (!try_take(1, with_reference))
            return false;
        if (partitioned_)
            shares().enter(lane.partition());
        return true;
    }

    // Returns a task's permit. May destroy *this.
    void give_back(std::size_t partition) noexcept {
        if (partitioned_)
            shares().leave(partition); // first, so that whoever hands the permit on knows of it
        give_with_reference(1);
    }

    // For a task that has got its permit.
    membership admit(std::size_t partition) noexcept {
        membership m;
        m.partition = static_cast<std::uint8_t>(partition);
        m.admitted_at = now();
        sample_window& w = *current_.load(std::memory_order_acquire); // sees the object, see sample_window
        switch (w.enter(m.admitted_at, in_flight(), m.low)) {
        case sample_window::place::last:
            if (const std::size_t after = w.limit_after(); after != 0)
                set_limit(after); // before the window can be closed, lest it overwrite the next one's limit
            w.fill(m.admitted_at);
            [[fallthrough]];
        case sample_window::place::member:
            m.window = &w;
            break;
        case sample_window::place::none:
            if (w.close_if_straggling(m.admitted_at))
                update(w, m.admitted_at);
            break;
        }
        return m;
    }

    // For a task that is done: records how, and gives its permit back. May destroy *this.
    void finish(const membership& m, outcome how) noexcept {
        if (m.window != nullptr)
            record(m, how);
        count_[static_cast<std::size_t>(how)].fetch_add(1, std::memory_order_relaxed);
        give_back(m.partition);
    }

    // The same for a task that was not started after all, for its deadline has passed: as if it had not been admitted.
    void withdraw(const membership& m) noexcept {
        if (!is_orphaned())
            refuse(refusal::timed_out);
        if (m.window != nullptr)
            record(m, outcome::ignored);
        give_back(m.partition);
    }

    // When whoever comes now and would be interested until `deadline` must have its permit.
    typename Clock::time_point end_of_wait(typename Clock::time_point deadline) const noexcept {
        if (max_wait_ == duration::max())
            return deadline;
        return std::min(deadline, after<Clock>(std::chrono::ceil<typename Clock::duration>(max_wait_)).time);
    }

    void count_bypass() noexcept { bypassed_.fetch_add(1, std::memory_order_relaxed); }

    std::vector<limit_decision> trace() const { return trace_.read(); }

    guard_stats stats() const noexcept {
        guard_stats s;
        s.limit = limit();
        s.limit_reason = reason_.load(std::memory_order_relaxed);
        s.available_permits = available();
        s.in_flight = in_flight();
        s.waiting = waiting();
        for (std::size_t i = 0; i < s.waiting_by_class.size(); ++i)
            s.waiting_by_class[i] = waiting_of(static_cast<priority>(i));
        s.succeeded = count_of(outcome::success);
        s.ignored = count_of(outcome::ignored);
        s.dropped = count_of(outcome::dropped);
        s.admitted = s.succeeded + s.ignored + s.dropped + s.in_flight;
        s.shed_at_once = refused().of(refusal::no_permit);
        s.shed_from_full = refused().of(refusal::queue_full);
        s.shed_as_overdue = refused().of(refusal::overdue);
        s.shed = s.shed_at_once + s.shed_from_full + s.shed_as_overdue;
        s.cancelled = refused().of(refusal::cancelled);
        s.closed = refused().of(refusal::closed);
        s.bypassed = bypassed_.load(std::memory_order_relaxed);
        s.timed_out = refused().of(refusal::timed_out);
        s.windows = updates_.load(std::memory_order_relaxed);
        s.rtt_mean = duration{rtt_mean_.load(std::memory_order_relaxed)};
        s.rtt_p50 = duration{rtt_p50_.load(std::memory_order_relaxed)};
        s.rtt_p99 = duration{rtt_p99_.load(std::memory_order_relaxed)};
        s.baseline_rtt = duration{baseline_.load(std::memory_order_relaxed)};
        return s;
    }

private:
    static wait_policy policy_of(const guard_options& o) {
        return {.max_waiters = o.max_waiters,
                .order = o.order,
                .target = check_least("guard_options::target", o.target, 0),
                .interval = check_least("guard_options::interval", o.interval, 0),
                .ageing = check_least("guard_options::ageing", o.ageing, 1),
                .shares = checked_shares(o.partitions),
                .now = &guard_state::now,
                .on_refusal = o.on_refusal};
    }

    static const std::vector<double>& checked_shares(const std::vector<double>& shares) {
        if (!shares.empty())
            check_range("the number of guard_options::partitions", shares.size(), 1, lane_number::most_partitions);
        double sum = 0;
        for (const double share : shares)
            sum += check_real("a share in guard_options::partitions", share, 0, 1);
        if (sum > 1 + 1e-9) // 0.1 ten times over comes to a little more than 1
            check_real("the sum of guard_options::partitions", sum, 0, 1);
        return shares;
    }

    static std::chrono::nanoseconds now() noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch());
    }

    std::uint64_t count_of(outcome how) const noexcept {
        return count_[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
    }

    void record(const membership& m, outcome how) noexcept {
        const auto done_at = now();
        const auto rtt = std::max(done_at - m.admitted_at, std::chrono::nanoseconds{}); // clocks may step back
        switch (how) {
        case outcome::success:
            m.window->succeed(rtt, m.low);
            break;
        case outcome::dropped:
            m.window->drop(rtt);
            break;
        case outcome::ignored:
            m.window->ignore();
            break;
        }
        if (m.window->leave())
            update(*m.window, done_at);
    }

    // For the one who closed the window.
    void update(sample_window& closed, std::chrono::nanoseconds at) noexcept {
        if (is_orphaned())
            return;
        window w;
        closed.summarize(at, w);
        const plan next = strategy_.update(std::as_const(w));
        updates_.store(updates_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        rtt_mean_.store(w.mean_rtt.count(), std::memory_order_relaxed);
        rtt_p50_.store(w.quantile(0.5).count(), std::memory_order_relaxed);
        rtt_p99_.store(w.quantile(0.99).count(), std::memory_order_relaxed);
        if constexpr (requires(const Strategy& s) { duration{s.baseline()}; })
            baseline_.store(duration{std::as_const(strategy_).baseline()}.count(), std::memory_order_relaxed);
        const limit_decision decision = decision_on(w, next, at);
        trace_.add(decision);
        reason_.store(decision.reason, std::memory_order_relaxed);
        set_limit(std::clamp<std::size_t>(next.limit, 1, max_limit));
        if (on_decision_)
            on_decision_(decision); // before the next window, so one at a time
        open(unused_window(closed), next);
    }

    limit_decision decision_on(const window& w, const plan& next, std::chrono::nanoseconds at) const noexcept {
        limit_decision d{.at = at,
                         .before = w.limit,
                         .limit = std::clamp<std::size_t>(next.then != 0 ? next.then : next.limit, 1, max_limit),
                         .dip = next.then != 0 ? std::clamp<std::size_t>(next.limit, 1, max_limit) : 0,
                         .samples = w.samples,
                         .dropped = w.dropped,
                         .ignored = w.ignored,
                         .mean_in_flight = w.mean_in_flight,
                         .mean_rtt = w.mean_rtt,
                         .baseline_rtt = duration{baseline_.load(std::memory_order_relaxed)}};
        if constexpr (requires(const Strategy& s, const char*& reason) { reason = s.reason(); })
            if (const char* reason = std::as_const(strategy_).reason())
                d.reason = reason;
        return d;
    }

    // Stragglers hold on to their window, so there is another one for each of those: few.
    sample_window& unused_window(sample_window& preferred) {
        if (preferred.is_left())
            return preferred;
        for (sample_window& w : windows_)
            if (w.is_left())
                return w;
        return windows_.emplace_front();
    }

    void open(sample_window& w, const plan& next) noexcept {
        const std::size_t limit = std::clamp<std::size_t>(next.limit, 1, max_limit);
        // At least 1.5 × the limit, so that a cohort outlives the one before it; little where the limit is low,
        // for there it takes longest.
        const std::size_t usual = std::max(std::min(min_window_, 10 * limit), limit + limit / 2);
        const std::size_t size = next.admissions != 0 ? std::min(next.admissions, max_limit) : usual;
        // Opened first: until then nobody finds a place in it. Release publishes a new object.
        w.open(size, limit, next.then == 0 ? 0 : std::min(next.then, max_limit), now());
        current_.store(&w, std::memory_order_release);
    }

    const duration max_wait_;
    Strategy strategy_;
    const std::size_t min_window_;
    std::forward_list<sample_window> windows_;
    decision_trace trace_;
    const std::function<void(const limit_decision&)> on_decision_;
    std::atomic<sample_window*> current_{nullptr};
    const bool partitioned_ = shares().enabled(); // here, where every admission looks anyway

    // Written by every completion: not in the line that every admission reads current_ from.
    alignas(64) std::array<std::atomic<std::uint64_t>, 3> count_{};
    std::atomic<std::uint64_t> bypassed_{0};
    std::atomic<std::uint64_t> updates_{0};
    std::atomic<std::int64_t> rtt_mean_{0};
    std::atomic<std::int64_t> rtt_p50_{0};
    std::atomic<std::int64_t> rtt_p99_{0};
    std::atomic<std::int64_t> baseline_{0};
    std::atomic<const char*> reason_{""};
};

} // namespace flowguard::detail

#endif
