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
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/check.hpp"
#include "flowguard/detail/clock_time.hpp"
#include "flowguard/detail/deadline.hpp"
#include "flowguard/detail/decision_trace.hpp"
#include "flowguard/detail/lane_number.hpp"
#include "flowguard/detail/probe_watch.hpp"
#include "flowguard/detail/retirable.hpp"
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
    std::uint32_t generation = 0; // of the window
    bool low = false;
    std::uint8_t partition = 0;
};

// Everything of a guard but its executor: the semaphore, the strategy, and the window between them.
//
// There is one window at a time. The thread that closes it is the only one to touch the strategy and the unused
// windows, until it opens the next one: to be the closer is handed on by the window itself.
//
// *Windows* come from a pool that is made with the guard. A window that was closed early is not used again until its
// stragglers have left, unless each is in that state; then the one that was closed first is opened again, and its
// stragglers, being of an earlier generation, leave nothing.
//
// *What ends each state, even if nothing completes any more.* States are looked at by calls.
//   - A window with slots left, under an ordinary limit, ends with its last admission. Its limit is the one that the
//     strategy wants, and stands meanwhile: without demand nothing is missed.
//   - A dip, whose limit is lowered, ends with its last admission, or plan::within after it began: look() ends it then,
//     and each call does that which is admitted, fails to get a permit, begins to wait, or ends. In case none of that
//     happens while callers wait, the executor of one of them keeps a timer: see watch().
//   - A dip that look() has ended is settled by the next call that is admitted or ends. Its limit is back already.
//   - A full window is closed by its last member, or, once a member is done and the others straggle, by the next
//     admission. Without a member done, or without an admission, the limit stands.
//   - If calls that never end hold all permits of an ordinary limit, only the end of one of them admits another.
template <class Strategy, class Clock>
class guard_state : public semaphore_state {
public:
    guard_state(Strategy strategy, guard_options options)
        : semaphore_state(check_range("the strategy's initial limit", strategy.current_limit(), 1, max_limit),
                          policy_of(options)),
          max_wait_(check_least("guard_options::max_wait", options.max_wait, 0)),
          min_window_(check_range("guard_options::min_window", options.min_window, 1, max_limit)),
          control_(std::in_place, std::move(strategy),
                   check_range("guard_options::trace", options.trace, 0, 1'000'000), std::move(options.on_decision)) {
        open(windows_.front(), plan(limit()), limit(), window{});
    }

    // The guard is gone. So are its strategy and its observer of decisions, though tickets may keep *this for long; if
    // another thread is inside them now, it destroys them as it leaves. May destroy *this.
    void orphan() noexcept {
        watch_.cancel();
        control_.retire();
        semaphore_state::orphan();
    }

    // A permit for a task, if one is free; with a reference of its own, unless the caller gives it one.
    bool take(lane_number lane, bool with_reference = true) noexcept {
        if (!try_take(1, with_reference) && !(look() && try_take(1, with_reference)))
            return false;
        if (partitioned_)
            shares().enter(lane.partition());
        return true;
    }

    // Ends a dip that has lasted for plan::within: true if this call did, and so has raised the limit. From any thread,
    // at any time; calls no observer; a load where there is no dip.
    bool look() noexcept {
        sample_window& w = *current_.load(std::memory_order_acquire);
        return w.needs_a_look() && end_if_overdue(w, now());
    }

    // For the queue's owner, by way of the first waiter: keeps a timer on that waiter's executor, which ends a dip as
    // look() does. Throws what a timer throws.
    template <class Executor>
    void watch(const Executor& executor) {
        const sample_window& w = *current_.load(std::memory_order_acquire);
        if (const auto left = w.time_left(now()))
            watch_.start<measuring>(executor,
                                    after<measuring>(saturated_cast<typename measuring::duration>(*left)).time,
                                    end_of_watch(*this));
    }

    template <class Executor>
    static void prepare_watch(const Executor& executor) {
        probe_watch::prepare<measuring>(executor);
        if constexpr (!std::is_same_v<measuring, Clock>)
            probe_watch::prepare<Clock>(executor); // for deadlines of later waits
    }

    // The same where no timer can be had: rather no dip than one without an end.
    void watch_in_vain() noexcept {
        end_if_overdue(*current_.load(std::memory_order_acquire), std::chrono::nanoseconds::max());
    }

    // Returns a task's permit. May destroy *this.
    void give_back(std::size_t partition) noexcept {
        if (partitioned_)
            shares().leave(partition); // first, so that the thread that grants the permit knows of it
        give_with_reference(1);
    }

    // For a task that has got its permit.
    membership admit(std::size_t partition) noexcept {
        membership m;
        m.partition = static_cast<std::uint8_t>(partition);
        m.admitted_at = now();
        if (current_.load(std::memory_order_acquire)->needs_a_look())
            settle_if_overdue(m.admitted_at);
        sample_window& w = *current_.load(std::memory_order_acquire); // sees what the closer did before
        switch (w.enter(m.admitted_at, in_flight(), m.low, m.generation)) {
        case sample_window::place::last:
            if (const std::size_t after = w.limit_after(); after != 0)
                set_limit(after); // before the window can be closed, else it could overwrite the next window's limit
            w.fill(m.admitted_at);
            [[fallthrough]];
        case sample_window::place::member:
            m.window = &w;
            break;
        case sample_window::place::none:
            if (const std::size_t stragglers = w.close_if_straggling(m.admitted_at); stragglers != 0) {
                long_running_.fetch_add(static_cast<std::int64_t>(stragglers), std::memory_order_relaxed);
                update(w, m.admitted_at);
            }
            break;
        }
        return m;
    }

    // For a task that is done: records how, and gives its permit back. May destroy *this.
    void finish(const membership& m, outcome how) noexcept {
        end(m, how);
        count_[static_cast<std::size_t>(how)].fetch_add(1, std::memory_order_relaxed);
        give_back(m.partition);
    }

    // The same for a task that was not started after all, for its deadline has passed: as if it had not been admitted.
    void withdraw(const membership& m) noexcept {
        if (!is_orphaned())
            refuse(refusal::timed_out);
        end(m, outcome::ignored);
        give_back(m.partition);
    }

    // A caller begins to wait that is interested until `deadline`. Returns the latest time for its permit.
    typename Clock::time_point end_of_wait(typename Clock::time_point deadline) noexcept {
        look();
        if (max_wait_ == duration::max())
            return deadline;
        return std::min(deadline, after<Clock>(saturated_cast<typename Clock::duration>(max_wait_)).time);
    }

    void count_bypass() noexcept { bypassed_.fetch_add(1, std::memory_order_relaxed); }

    std::vector<limit_decision> trace() const {
        const auto c = control_.enter();
        return c ? c->trace.read() : std::vector<limit_decision>();
    }

    guard_stats stats() const noexcept {
        guard_stats s;
        s.limit = limit();
        s.limit_reason = reason_.load(std::memory_order_relaxed);
        s.available_permits = available();
        s.waiting = waiting();
        for (std::size_t i = 0; i < s.waiting_by_class.size(); ++i)
            s.waiting_by_class[i] = waiting_of(static_cast<priority>(i));
        s.succeeded = count_of(outcome::success);
        s.ignored = count_of(outcome::ignored);
        s.dropped = count_of(outcome::dropped);
        s.in_flight = in_flight(); // after the counts, so that a call which ends in between is not counted twice
        s.admitted = never_less(s.succeeded + s.ignored + s.dropped + s.in_flight);
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
    using measuring = measuring_clock<Clock>;

    // The timer of a watch has expired, or its context is being destroyed. Where the dip goes on, because it is another
    // one or the clock was set, another waiter shall watch.
    class end_of_watch {
    public:
        explicit end_of_watch(guard_state& state) noexcept : state_(&state) { state.add_reference(); }
        end_of_watch(end_of_watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
        end_of_watch& operator=(end_of_watch&&) = delete;
        ~end_of_watch() {
            if (state_ != nullptr)
                state_->drop_references(1);
        }

        void operator()() const noexcept { state_->look_or_watch(); }

    private:
        guard_state* state_;
    };

    void look_or_watch() noexcept {
        if (!look() && current_.load(std::memory_order_acquire)->time_left(now()))
            want_watch();
    }

    void has_abandoned(const asio::execution_context& context) noexcept override {
        if (watch_.leave(context))
            look_or_watch();
    }

    static wait_policy policy_of(const guard_options& o) {
        return {.max_waiters = o.max_waiters,
                .order = o.order,
                .target = check_least("guard_options::target", o.target, 0),
                .interval = check_least("guard_options::interval", o.interval, 0),
                .ageing = check_least("guard_options::ageing", o.ageing, 1),
                .shares = checked_shares(o.partitions),
                .now = &time_now<measuring>,
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

    static std::chrono::nanoseconds now() noexcept { return time_now<measuring>(); }

    std::uint64_t count_of(outcome how) const noexcept {
        return count_[static_cast<std::size_t>(how)].load(std::memory_order_relaxed);
    }

    // The most that `admitted` has been. Relaxed: a number to look at.
    std::uint64_t never_less(std::uint64_t admitted) const noexcept {
        std::uint64_t most = most_admitted_.load(std::memory_order_relaxed);
        while (most < admitted && !most_admitted_.compare_exchange_weak(most, admitted, std::memory_order_relaxed)) {
        }
        return std::max(most, admitted);
    }

    bool end_if_overdue(sample_window& w, std::chrono::nanoseconds at) noexcept {
        if (is_orphaned() || !w.end_if_overdue(at))
            return false;
        set_limit(w.limit_after()); // before the window can be closed
        w.leave_to_settle();
        return true;
    }

    // Like look(), and closes the window if that is all it waited for. The caller holds a reference, for an observer of
    // the decision may destroy the guard.
    void settle_if_overdue(std::chrono::nanoseconds at) noexcept {
        sample_window& w = *current_.load(std::memory_order_acquire);
        end_if_overdue(w, at);
        after_leaving(w, w.settle(at), at);
    }

    // What a task's end says, before its permit goes back.
    void end(const membership& m, outcome how) noexcept {
        if (m.window != nullptr) {
            const auto done_at = now();
            record(m, how, done_at);
            if (current_.load(std::memory_order_acquire)->needs_a_look())
                settle_if_overdue(done_at);
        } else if (current_.load(std::memory_order_acquire)->needs_a_look()) {
            settle_if_overdue(now());
        }
    }

    void record(const membership& m, outcome how, std::chrono::nanoseconds done_at) noexcept {
        sample_window& w = *m.window;
        if (w.is_open(m.generation)) {
            const auto rtt = saturated_difference(done_at, m.admitted_at);
            switch (how) {
            case outcome::success:
                w.succeed(rtt, m.low);
                break;
            case outcome::dropped:
                w.drop(rtt);
                break;
            case outcome::ignored:
                w.ignore();
                break;
            }
        }
        after_leaving(w, w.leave(m.generation), done_at);
    }

    void after_leaving(sample_window& w, sample_window::leaving how, std::chrono::nanoseconds at) noexcept {
        if (how == sample_window::leaving::last)
            update(w, at);
        else if (how == sample_window::leaving::straggler)
            long_running_.fetch_sub(1, std::memory_order_relaxed);
    }

    // For the thread that closed the window, with a reference: an observer may destroy the guard. Does not allocate.
    void update(sample_window& closed, std::chrono::nanoseconds at) noexcept {
        const auto c = control_.enter();
        if (!c)
            return;
        window w;
        closed.summarize(at, w);
        const plan next = c->strategy.update(std::as_const(w));
        const std::uint64_t number = updates_.load(std::memory_order_relaxed) + 1;
        updates_.store(number, std::memory_order_relaxed);
        rtt_mean_.store(w.mean_rtt.count(), std::memory_order_relaxed);
        rtt_p50_.store(w.quantile(0.5).count(), std::memory_order_relaxed);
        rtt_p99_.store(w.quantile(0.99).count(), std::memory_order_relaxed);
        if constexpr (requires(const Strategy& s) { duration{s.baseline()}; })
            baseline_.store(duration{std::as_const(c->strategy).baseline()}.count(), std::memory_order_relaxed);
        const limit_decision decision = decision_on(std::as_const(c->strategy), w, next);
        c->trace.add(decision);
        reason_.store(decision.reason, std::memory_order_relaxed);
        const std::size_t limit = std::clamp<std::size_t>(next.limit, 1, max_limit);
        set_limit(next.then == 0 ? limit : dip_limit(limit, next.then));
        if (c->on_decision)
            call_observer(c->on_decision, decision); // before the next window, so one at a time
        closed_as_[index_of(closed)] = number;
        if (closed.limit_after() != 0)
            watch_.cancel();
        open(unused_window(closed), next, limit, w);
        if (next.then != 0)
            want_watch();
    }

    // Long-running calls hold some permits, and must not hold all of a dip.
    std::size_t dip_limit(std::size_t limit, std::size_t after) const noexcept {
        return std::max(limit, std::min({limit + long_running(), after, max_limit}));
    }

    // Calls in flight whose window was closed without them. There may be more, that were admitted to no window.
    std::size_t long_running() const noexcept {
        // A straggler may leave before it was counted.
        return static_cast<std::size_t>(std::max<std::int64_t>(long_running_.load(std::memory_order_relaxed), 0));
    }

    limit_decision decision_on(const Strategy& strategy, const window& w, const plan& next) const noexcept {
        limit_decision d{.at = saturated_cast<duration>(Clock::now().time_since_epoch()),
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
            if (const char* reason = strategy.reason())
                d.reason = reason;
        return d;
    }

    // Its stragglers keep a window that was closed early, unless all are kept: then the one closed first is taken.
    sample_window& unused_window(sample_window& preferred) noexcept {
        if (preferred.is_left())
            return preferred;
        for (sample_window& w : windows_)
            if (w.is_left())
                return w;
        const auto first = std::min_element(closed_as_.begin(), closed_as_.end());
        return windows_[static_cast<std::size_t>(first - closed_as_.begin())];
    }

    std::size_t index_of(const sample_window& w) const noexcept {
        return static_cast<std::size_t>(&w - windows_.data());
    }

    void open(sample_window& w, const plan& next, std::size_t limit, const window& before) noexcept {
        // At least 1.5 × the limit, so that a cohort outlives the one before it; little where the limit is low,
        // for there it takes longest.
        const std::size_t usual = std::max(std::min(min_window_, 10 * limit), limit + limit / 2);
        const std::size_t size = next.admissions != 0 ? std::min(next.admissions, max_limit) : usual;
        sample_window::opening o{.size = size, .limit = limit, .long_running = long_running()};
        if (next.then != 0) {
            o.limit_after = std::min(next.then, max_limit);
            o.within = next.within > duration{} ? next.within : usual_bound(size, limit, before.quantile(0.9));
        } else {
            o.limit -= std::min(o.long_running, limit - 1); // a dip's was raised by as many
        }
        // Opened first: until then no thread finds a slot in it. Release: a thread that finds it sees what the closer
        // did.
        w.open(o, now());
        current_.store(&w, std::memory_order_release);
    }

    // For a dip whose plan has no bound. See plan::within.
    static duration usual_bound(std::size_t admissions, std::size_t limit, duration rtt) noexcept {
        const double rounds = static_cast<double>(admissions) / static_cast<double>(limit);
        const std::chrono::duration<double, std::nano> expected = rounds * rtt;
        return std::max(saturated_cast<duration>(10 * expected), duration{std::chrono::seconds(1)});
    }

    // What goes with the guard.
    struct control {
        control(Strategy s, std::size_t traced, std::function<void(const limit_decision&)> observer)
            : strategy(std::move(s)), trace(traced), on_decision(std::move(observer)) {}

        Strategy strategy;
        decision_trace trace;
        const std::function<void(const limit_decision&)> on_decision;
    };

    // At 2.7 KB each. More than one, so that stragglers of a window that is opened again have had the time of some
    // windows since they were let go of: see sample_window.
    static constexpr std::size_t pool = 4;

    const duration max_wait_;
    const std::size_t min_window_;
    mutable retirable<control> control_;
    std::array<sample_window, pool> windows_;
    std::array<std::uint64_t, pool> closed_as_{}; // the number of the update that closed each last; the closer's
    std::atomic<sample_window*> current_{nullptr};
    probe_watch watch_;
    const bool partitioned_ = shares().enabled(); // here, where every admission looks anyway

    // Written by every completion: not in the line that every admission reads current_ from.
    alignas(64) std::array<std::atomic<std::uint64_t>, 3> count_{};
    mutable std::atomic<std::uint64_t> most_admitted_{0};
    std::atomic<std::int64_t> long_running_{0};
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
