// limit_loop.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_LIMIT_LOOP_HPP
#define FLOWGUARD_DETAIL_CONTROL_LIMIT_LOOP_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/base/retirable.hpp"
#include "flowguard/detail/control/call_times.hpp"
#include "flowguard/detail/control/decision_trace.hpp"
#include "flowguard/detail/control/guard_policy.hpp"
#include "flowguard/detail/control/limit_override.hpp"
#include "flowguard/detail/control/membership.hpp"
#include "flowguard/detail/control/probe_watch.hpp"
#include "flowguard/detail/control/sample_window.hpp"
#include "flowguard/detail/control/standing_scale.hpp"
#include "flowguard/detail/control/turns.hpp"
#include "flowguard/detail/control/window_size.hpp"
#include "flowguard/detail/control/window_use.hpp"
#include "flowguard/detail/queue/rejections.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/window.hpp"

namespace flowguard::detail {

// Stands for the open window before a loop has windows: it has no slots, and nothing is due. Loops only read it.
inline constinit sample_window no_window;

// The loop that finds the limit: calls record samples in a window, the closed window goes to the strategy, and the
// strategy's answer is the semaphore's new limit. The loop is a member of the state that derives from that semaphore,
// and lives as long.
//
// One window is open at a time. The thread that closes it, the *closer*, is the only one to touch the strategy and the
// unused windows, until it opens the next one. The window itself makes one thread the closer. A thread that discards a
// window, since a scheduled probe is due or the epoch is over, is its closer, too; but it does not ask the strategy.
//
// *An operator's hand* changes the limit at once: see limit_override. It does not touch windows, which belong to the
// closer. A window that was open before the change, or is opened while the limit is pinned, never goes to the strategy.
// The next admission after the change discards it, even if none of its members ever ends; or its last member closes it.
// Then its closer opens another one under what is in force: the pinned limit, or the ordinary limit of the strategy's
// latest plan. To begin with, that is the first plan after a reset(), when the closer takes the new strategy into use.
//
// *Memory.* A guard that is not in use yet is small: the windows, the memory of the trace, and the strategy's copy for
// reset() are made when they are needed for the first time, and never again. The first admission makes the windows and
// the copy: see start(). If there is no memory, that call is no sample, and the next admission tries again. The first
// decision makes the memory of the trace: see decision_trace.
//
// *Windows* come from a pool. A window that was closed early is not opened again until its stragglers have left. If all
// windows have stragglers, the one that was closed first is opened again; its stragglers belong to an earlier
// generation, and have no effect on it.
//
// *What ends each state, even if no task completes any more.* Calls look at the states, since a guard has no thread.
//   - A window with free slots, under an ordinary limit, ends with its last admission. Until then the limit stays what
//     the strategy wants; without demand, nothing is lost by that.
//   - A probe, whose limit is lowered, ends with its last admission, or plan::within after it began. In the second case
//     look() ends it. Each call looks when it is admitted, fails to get a permit, or ends. In case no call does so
//     while callers wait, the executor of one of them keeps a timer: see watch().
//   - A probe that look() has ended is settled by the next call that is admitted or ends. Until then its window stays
//     open, but its limit has been raised again already.
//   - A full window is closed by its last member, or, once a member is done and the others straggle, by the next
//     admission. If no member is done, or no call is admitted, the limit stays as it is.
//   - If calls that never end hold all permits of an ordinary limit, no other call is admitted until one of them ends.
//   - If a plan has a spacing, the semaphore is barred until the next turn. look() ends that, as it ends a probe: any
//     call that fails to get a permit looks, and so does the timer for callers that wait. See turns.
//   - A scheduled probe begins with an admission. Without demand there is nothing to probe.
//   - A pinned limit stays until it is unpinned. No state above must end for that, or for any other change by hand.
template <class Strategy, class Clock>
class limit_loop {
public:
    limit_loop(semaphore_state& semaphore, Strategy strategy, guard_options& options)
        : semaphore_(semaphore),
          turns_(semaphore),
          override_(semaphore, turns_),
          scale_(standing_scale_of(options)),
          min_window_(check_range("guard_options::min_window", options.min_window, 1, max_limit)),
          control_(std::in_place, std::move(strategy), check_range("guard_options::trace", options.trace, 0, 1'000'000),
                   std::move(options.on_decision)) {
        first_ = first_plan();
        static_cast<void>(want(first_epoch, first_)); // no other thread knows of it yet
    }

    // An operator's hand: see flow_guard. Any thread may call these at any time. They call no observer of decisions.
    void pin(std::size_t limit) noexcept { note(override_.pin(limit), limit_override::pinned_reason); }
    void unpin() noexcept { note(override_.unpin(), "unpinned by hand"); }
    void set_bounds(std::size_t least, std::size_t most) noexcept {
        note(override_.set_bounds(least, most), limit_override::bounds_reason);
    }

    // Throws what a copy of the strategy throws; then nothing has changed.
    void reset()
        requires std::copyable<Strategy>
    {
        const auto c = control_.enter(); // not empty: the guard exists
        if (const Strategy* initial = initial_of(*c)) {
            auto fresh = std::make_unique<Strategy>(*initial);
            const std::lock_guard lock(c->mutex);
            c->fresh.swap(fresh);
        } // else the strategy has learnt nothing yet
        // The new strategy is there before the new epoch begins. So a closer that finds the new epoch finds it, too,
        // and a closer that goes on with the old one cannot set a limit any more.
        reason_.store(reset_reason, std::memory_order_relaxed);
        note(override_.restart(after_of(first_)), reset_reason);
    }

    // Called when the guard is destroyed: destroys the strategy and the observer of decisions. If another thread is
    // inside them now, that thread destroys them as it leaves.
    void retire() noexcept {
        watch_.retire();
        control_.retire();
    }

    // Ends a probe that has lasted for plan::within, and the wait for a turn that has come. Returns true if this call
    // did so, and permits may be free now. Any thread may call it at any time. It calls no observer. If there is no
    // probe and no turn, it only loads atomics.
    bool look() noexcept {
        sample_window& w = *current_.load(std::memory_order_acquire);
        if (!w.needs_a_look() && !turns_.is_pending())
            return false;
        return look_at(w, now());
    }

    // Called by the queue's owner, through the first waiter: starts a timer on that waiter's executor, which looks as
    // look() does. Throws what a timer throws.
    template <class Executor>
    void watch(const Executor& executor) {
        if (const auto left = time_left())
            watch_.start<measuring>(executor,
                                    after<measuring>(saturated_cast<typename measuring::duration>(*left)).time,
                                    end_of_watch(*this));
    }

    // Makes, in the executor's context, the timers' services that watch() and later waits with a deadline need.
    template <class Executor>
    static void prepare_watch(const Executor& executor) {
        probe_watch::prepare<measuring>(executor);
        if constexpr (!std::is_same_v<measuring, Clock>)
            probe_watch::prepare<Clock>(executor); // for deadlines of later waits
    }

    // Called in place of watch() if no timer can be had: ends the probe, or the wait for a turn, at once, since nothing
    // else might ever end it.
    void watch_in_vain() noexcept {
        look_at(*current_.load(std::memory_order_acquire), (std::chrono::nanoseconds::max)());
    }

    // Looks when a watch has ended. If there is something left to watch, another waiter must do so.
    void look_or_watch() noexcept {
        look();
        if (time_left())
            semaphore_.want_watch();
    }

    // The time until look() may have something to do; empty if there is no probe with a bound, and no turn.
    std::optional<std::chrono::nanoseconds> time_left() const noexcept {
        const auto at = now();
        const auto bound = current_.load(std::memory_order_acquire)->time_left(at);
        const auto turn = turns_.time_left(at);
        return bound && (!turn || *bound <= *turn) ? bound : turn;
    }

    // Called for a call that has got its permit. It may call the observer of decisions, which may destroy the guard.
    // The same holds for end().
    membership admit() noexcept {
        const std::size_t in_flight = semaphore_.in_flight(); // first: the take has just moved its line to this core
        return admit(in_flight, in_flight);
    }

    // The same for a call with several permits. Its surplus is all but the first. If no other such call would find its
    // permits, the limit counts as reached: else a limit that is no multiple of what the calls weigh would never bind.
    FLOWGUARD_DETAIL_RARE membership admit_several(std::uint32_t permits) noexcept {
        const std::size_t in_flight = semaphore_.in_flight();
        const std::size_t limit = semaphore_.limit();
        membership m = admit(in_flight, in_flight + permits > limit ? (std::max)(in_flight, limit) : in_flight);
        m.permits = permits;
        if (m.window != nullptr && !m.window->hold_surplus(m.generation, permits - 1)) // closed meanwhile
            long_running_.fetch_add(permits - 1, std::memory_order_relaxed);
        return m;
    }

    // `reached`: what counts as in flight for whether the limit binds.
    FLOWGUARD_DETAIL_EACH_CALL membership admit(std::size_t in_flight, std::size_t reached) noexcept {
        membership m;
        m.admitted_at = now();
        if (current_.load(std::memory_order_acquire)->needs_a_look())
            settle_if_overdue(m.admitted_at);
        if (m.admitted_at.count() >= acts_from_.load(std::memory_order_relaxed) && !act(m.admitted_at))
            return m;
        sample_window& w = *current_.load(std::memory_order_acquire); // sees what the closer did before
        switch (w.enter(m.admitted_at, in_flight, reached, m.low, m.generation)) {
        case sample_window::entry::last:
            if (w.limit_after() != 0)
                end_probe(w); // before the window can be closed: later it could replace a newer limit
            w.fill(m.admitted_at);
            [[fallthrough]];
        case sample_window::entry::member:
            m.window = &w;
            break;
        case sample_window::entry::none:
            if (w.close_if_straggling(m.admitted_at) != 0) {
                long_running_.fetch_add(static_cast<std::int64_t>(w.straggling_permits()), std::memory_order_relaxed);
                update(w, m.admitted_at);
            }
            break;
        }
        return m;
    }

    // Called for a call that has ended, before its permit is released.
    void end(const membership& m, outcome how) noexcept {
        if (m.window != nullptr) {
            const auto done_at = now();
            if ((m.kind != 0 || times_->kinds.are_used()) && how == outcome::success)
                record_kind(m, done_at);
            record(m, how, done_at);
            if (current_.load(std::memory_order_acquire)->needs_a_look())
                settle_if_overdue(done_at);
        } else {
            end_of_no_window(m, how);
        }
    }

    // The same for a call with several permits.
    FLOWGUARD_DETAIL_RARE void end_several(const membership& m, outcome how) noexcept {
        if (m.window != nullptr) {
            if (m.window->is_open(m.generation))
                m.window->add_surplus(m.permits - 1, saturated_difference(now(), m.admitted_at));
            if (!m.window->release_surplus(m.generation, m.permits - 1)) // the window was closed without it
                long_running_.fetch_sub(m.permits - 1, std::memory_order_relaxed);
        }
        end(m, how);
    }

    // The same for a call that was in no window.
    FLOWGUARD_DETAIL_RARE void end_of_no_window(const membership& m, outcome how) noexcept {
        const auto done_at = now();
        if (how == outcome::success)
            count_rtt(m, done_at);
        if (current_.load(std::memory_order_acquire)->needs_a_look())
            settle_if_overdue(done_at);
    }

    // Called when a context is being destroyed, or the waits there were cancelled, since no thread may run it any more.
    // If the timer is in it, the timer is destroyed, too, and another waiter must watch.
    void leave(const asio::execution_context* context) noexcept {
        if (watch_.leave(context))
            look_or_watch();
    }

    // The times of the queue before the first window is closed, from the calls that have ended already. So a burst of
    // long calls at the start does not look like a queue that stands, once one of them has ended. Called by the queue's
    // owner.
    standing_times estimate_times() const noexcept {
        return scale_.times({.mean_rtt = current_.load(std::memory_order_acquire)->mean_so_far(),
                             .limit = semaphore_.limit(),
                             .spacing = turns_.spacing()});
    }

    // Counts how long a caller of that priority has waited for the permit that it got.
    void count_wait(std::size_t priority_index, std::chrono::nanoseconds waited) noexcept {
        if (call_times* t = times())
            t->waits[priority_index].add(waited);
    }

    // Called while the guard exists.
    std::vector<limit_decision> trace() const { return control_.enter()->trace.read(); }

    // Fills in its part of the stats.
    void report(guard_stats& s) const noexcept {
        s.spacing = turns_.spacing();
        s.limit_reason = reason_.load(std::memory_order_relaxed);
        override_.report(s);
        s.windows = updates_.load(std::memory_order_relaxed);
        if (const call_times* t = times())
            t->report(s);
    }

private:
    using measuring = measuring_clock<Clock>;

    // What is destroyed with the guard, even if tickets keep *this alive.
    struct control {
        control(Strategy s, std::size_t traced, std::function<void(const limit_decision&)> observer)
            : strategy(std::move(s)), trace(traced), on_decision(std::move(observer)) {}

        Strategy strategy;
        std::mutex mutex; // of the next three, for writers
        std::unique_ptr<const Strategy> initial; // a copy as the guard was made with it, for reset(); set by start()
        std::unique_ptr<Strategy> fresh; // to be taken into use by the closer
        decision_trace trace;
        const std::function<void(const limit_decision&)> on_decision;
    };

    // The handler of a watch's timer: called when the timer has expired, or its context is being destroyed. If a probe
    // goes on, or a turn is pending, because it is a later one or the clock was set, another waiter must watch.
    class end_of_watch {
    public:
        explicit end_of_watch(limit_loop& loop) noexcept : loop_(&loop) { loop.semaphore_.add_reference(); }
        end_of_watch(end_of_watch&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)) {}
        end_of_watch& operator=(end_of_watch&&) = delete;
        ~end_of_watch() {
            if (loop_ != nullptr)
                loop_->semaphore_.drop_references(1);
        }

        void operator()() const noexcept { loop_->look_or_watch(); }

    private:
        limit_loop* loop_;
    };

    FLOWGUARD_DETAIL_RARE bool look_at(sample_window& w, std::chrono::nanoseconds at) noexcept {
        const bool probe_ended = w.needs_a_look() && end_if_overdue(w, at);
        return turns_.end_if_due(at) || probe_ended;
    }

    static std::chrono::nanoseconds now() noexcept { return time_now<measuring>(); }

    bool end_if_overdue(sample_window& w, std::chrono::nanoseconds at) noexcept {
        if (semaphore_.is_orphaned() || !w.end_if_overdue(at))
            return false;
        end_probe(w); // before the window can be closed
        w.leave_to_settle();
        return true;
    }

    // Sets the limit and the spacing that follow a probe. Called by the thread that took the last slots of its window,
    // before the window can be closed. Has no effect if an operator has ended the probe already.
    FLOWGUARD_DETAIL_RARE void end_probe(const sample_window& w) noexcept {
        if (override_.end_probe(w.epoch()))
            act_from(w.spacing_after() > duration{} ? at_once : never, w.epoch());
    }

    // Admissions from that time on act(). If the epoch is over, all do. A thread that begins an epoch stores `at_once`
    // afterwards. So if this thread does not see the new epoch under the lock, its own store comes before that one.
    void act_from(std::int64_t time, std::uint64_t epoch) noexcept {
        acts_from_.store(time, std::memory_order_relaxed);
        if (override_.look().epoch != epoch)
            acts_from_.store(at_once, std::memory_order_relaxed);
    }

    // What an admission does besides, under a plan with a spacing or a scheduled probe, or after a change by hand.
    // Returns false if the call must not be a member of the window.
    FLOWGUARD_DETAIL_RARE bool act(std::chrono::nanoseconds at) noexcept {
        // Acquire: this thread sees the window that start() has opened.
        bool is_member = use_.load(std::memory_order_acquire) == use::started || start();
        sample_window& w = *current_.load(std::memory_order_acquire);
        if (!semaphore_.is_orphaned() && w.discard_if_due(at, override_.epoch())) {
            count_rtts(w, at);
            // If the call has begun a probe, it is a member only if no more is in flight than in the probe.
            if (begin_scheduled(w, at))
                is_member = semaphore_.in_flight() <= semaphore_.limit();
            else if (const auto c = control_.enter())
                begin_again(*c, w, at);
        }
        if (turns_.begin(at))
            semaphore_.want_watch();
        return is_member;
    }

    // Called for the first admission: makes what a guard needs only when it is used, and opens the first window. One
    // thread does so. Returns false to others meanwhile, and if there is no memory, or the strategy cannot be copied
    // now; then the next admission tries again.
    bool start() noexcept {
        const auto c = control_.enter();
        use idle = use::none;
        // Acquire, and release below: a thread that tries again sees what the one before it has made.
        if (!c ||
            !use_.compare_exchange_strong(idle, use::starting, std::memory_order_acquire, std::memory_order_relaxed))
            return false;
        try {
            if (own_ == nullptr)
                own_ = std::make_unique<closers_own>();
            if (times_ == nullptr)
                times_ = std::make_unique<call_times>();
            keep_initial(*c);
        } catch (...) {
            use_.store(use::none, std::memory_order_release);
            return false;
        }
        own_->in_force = first_;
        sample_window& first = own_->windows.front();
        if (override_.look().epoch == first_epoch)
            open_next(first, first_, first_epoch, made_at_);
        else
            begin_again(*c, first, now());
        use_.store(use::started, std::memory_order_release);
        return true;
    }

    static void keep_initial(control& c) {
        if constexpr (std::copyable<Strategy>) {
            auto copy = std::make_unique<const Strategy>(std::as_const(c.strategy));
            const std::lock_guard lock(c.mutex);
            c.initial.swap(copy);
        }
    }

    // Null before start().
    static const Strategy* initial_of(control& c) noexcept {
        const std::lock_guard lock(c.mutex);
        return c.initial.get();
    }

    // Null before start(). Acquire: this thread sees what start() has made.
    call_times* times() const noexcept {
        return use_.load(std::memory_order_acquire) == use::started ? times_.get() : nullptr;
    }

    // Counts a success that no window counts.
    FLOWGUARD_DETAIL_RARE void count_rtt(const membership& m, std::chrono::nanoseconds done_at) noexcept {
        if (call_times* t = times())
            t->rtts.add(saturated_difference(done_at, m.admitted_at));
    }

    // Counts the RTTs of a discarded window. Called by the thread that discarded it.
    void count_rtts(sample_window& discarded, std::chrono::nanoseconds at) noexcept {
        window w;
        discarded.summarize(at, w);
        times_->rtts.add(w.all);
    }

    // Begins the scheduled probe of the plan in force. Called by the thread that discarded the window. Returns false,
    // and changes nothing, if the epoch is over: then the window may have been discarded for that.
    bool begin_scheduled(sample_window& discarded, std::chrono::nanoseconds at) noexcept {
        const scheduled_probe& scheduled = own_->in_force.scheduled;
        plan probe(scheduled.limit, scheduled.admissions, limit_of(own_->in_force), scheduled.within);
        probe.spacing = scheduled.spacing;
        probe.then_spacing = own_->in_force.spacing;
        if (!want(discarded.epoch(), probe))
            return false;
        open_after(discarded, probe, discarded.epoch(), at);
        return true;
    }

    // Like look(), but also settles the window, and closes it if no member is left. The caller holds a reference,
    // because an observer of the decision may destroy the guard.
    void settle_if_overdue(std::chrono::nanoseconds at) noexcept {
        sample_window& w = *current_.load(std::memory_order_acquire);
        end_if_overdue(w, at);
        after_leaving(w, w.settle(at), at);
    }

    // For successes, if there are kinds. It is apart from record(), so that the compiler inlines that one.
    FLOWGUARD_DETAIL_RARE void record_kind(const membership& m, std::chrono::nanoseconds done_at) noexcept {
        const auto rtt = saturated_difference(done_at, m.admitted_at);
        if (m.window->is_open(m.generation)) {
            if (m.kind != 0)
                m.window->succeed_of_kind(rtt, m.low, m.kind);
        } else if (!m.window->is_discarded(m.generation)) {
            times_->kinds.see_straggler(m.kind, rtt);
        }
    }

    FLOWGUARD_DETAIL_EACH_CALL void record(const membership& m, outcome how,
                                           std::chrono::nanoseconds done_at) noexcept {
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
                w.ignore(rtt);
                break;
            }
        } else if (how == outcome::success) {
            count_rtt(m, done_at); // its window was closed without it
        }
        after_leaving(w, w.leave(m.generation), done_at);
    }

    void after_leaving(sample_window& w, sample_window::leaving how, std::chrono::nanoseconds at) noexcept {
        if (how == sample_window::leaving::last)
            update(w, at);
        else if (how == sample_window::leaving::straggler)
            long_running_.fetch_sub(1, std::memory_order_relaxed);
    }

    // Called by the thread that closed the window. The caller holds a reference, because an observer may destroy the
    // guard. Does not allocate.
    void update(sample_window& closed, std::chrono::nanoseconds at) noexcept {
        const auto c = control_.enter();
        if (!c)
            return;
        window w;
        closed.summarize(at, w);
        times_->rtts.add(w.all);
        w.closed_at = saturated_cast<duration>(shared_clock_of<Clock>::now().time_since_epoch());
        times_->note_latest(w.all);
        if (w.all.samples > 0)
            own_->expected_rtt = w.all.mean;
        const limit_override::state found = override_.look();
        if (found.pinned != 0 || found.epoch != closed.epoch())
            return begin_again(*c, closed, at);

        const plan next = c->strategy.update(std::as_const(w));
        const std::uint64_t number = updates_.load(std::memory_order_relaxed) + 1;
        updates_.store(number, std::memory_order_relaxed);
        if constexpr (tells_baseline<Strategy>)
            times_->baseline.store(duration{std::as_const(c->strategy).baseline()}.count(), std::memory_order_relaxed);
        const limit_decision decision = decision_on(std::as_const(c->strategy), w, next);
        add_to_trace(*c, decision);
        reason_.store(decision.reason, std::memory_order_relaxed);
        remember(w, next);
        own_->in_force = next;
        const bool is_in_force = want(found.epoch, next);
        if (c->on_decision)
            call_observer(c->on_decision, decision); // before the next window is opened, so one at a time
        if (is_in_force)
            open_after(closed, next, found.epoch, at);
        else
            begin_again(*c, closed, at);
    }

    // Opens a window after a change by hand: under the pinned limit, or under the ordinary limit of the plan in force.
    // Probes of that plan are over: the strategy sees by window::limit that this is none. Called by the closer. If
    // another change comes meanwhile, it starts over.
    void begin_again(control& c, sample_window& closed, std::chrono::nanoseconds at) noexcept {
        for (;;) {
            const limit_override::state found = override_.look(); // before the look for a new strategy: see reset()
            take_fresh_strategy(c);
            own_->in_force = ordinary(own_->in_force);
            if (want(found.epoch, own_->in_force))
                return open_after(closed, found.pinned != 0 ? plan(found.pinned) : own_->in_force, found.epoch, at);
        }
    }

    // Completes reset(). Facts about calls that are in flight stay.
    void take_fresh_strategy(control& c) noexcept {
        if constexpr (std::copyable<Strategy>) {
            std::unique_ptr<Strategy> fresh;
            {
                const std::lock_guard lock(c.mutex);
                fresh.swap(c.fresh);
            }
            if (fresh == nullptr)
                return;
            c.strategy = std::move(*fresh);
            own_->in_force = first_;
            own_->expected_rtt = own_->usual_rtt = {};
            own_->ignored_times = 1;
            times_->kinds.forget();
            times_->baseline.store(0, std::memory_order_relaxed);
            reason_.store(reset_reason, std::memory_order_relaxed);
        }
    }

    // The plan without its probes.
    static plan ordinary(const plan& p) noexcept {
        plan without = p;
        if (p.then != 0) {
            without = plan(p.then);
            without.spacing = p.then_spacing;
        }
        without.scheduled = {};
        return without;
    }

    // After a change by hand: the next admission must not enter the window that is open, and the trace tells of it.
    void note(const std::optional<limit_override::change>& made, const char* reason) noexcept {
        if (!made)
            return;
        acts_from_.store(at_once, std::memory_order_relaxed); // after the epoch has begun: see act_from()
        if (const auto c = control_.enter())
            add_to_trace(*c, {.at = saturated_cast<duration>(Clock::now().time_since_epoch()),
                              .before = made->before,
                              .limit = made->now.limit,
                              .spacing = made->now.spacing,
                              .reason = reason});
    }

    static void add_to_trace(control& c, const limit_decision& d) noexcept {
        const std::lock_guard lock(c.mutex);
        c.trace.add(d);
    }

    // Called while the guard is made, whose constructor throws what the strategy throws.
    plan first_plan() const {
        if constexpr (has_first_plan<Strategy>)
            return std::as_const(control_.enter()->strategy).first_plan();
        else
            return {semaphore_.limit()};
    }

    static std::size_t limit_of(const plan& p) noexcept { return std::clamp<std::size_t>(p.limit, 1, max_limit); }

    // The spacing of admissions under a plan, and under the limit after it.
    static duration spacing_of(const plan& p) noexcept {
        return limit_of(p) == 1 ? (std::max)(p.spacing, duration{}) : duration{};
    }
    static duration spacing_after(const plan& p) noexcept {
        return p.then == 1 ? (std::max)(p.then_spacing, duration{}) : duration{};
    }

    // The ordinary limit of a plan: for a probe, the one after it.
    static limit_setting after_of(const plan& p) noexcept {
        return p.then == 0 ? limit_setting{limit_of(p), spacing_of(p)}
                           : limit_setting{(std::min)(p.then, max_limit), spacing_after(p)};
    }

    // Puts a plan in force, unless the epoch is over.
    [[nodiscard]] bool want(std::uint64_t epoch, const plan& next) noexcept {
        const limit_setting after = after_of(next);
        return override_.want(
            epoch, next.then == 0 ? after : limit_setting{probe_limit(limit_of(next), next.then), spacing_of(next)},
            after);
    }

    // The limit of a probe. It is raised by the permits that long-running calls hold, so that they cannot hold all of
    // the probe's permits.
    std::size_t probe_limit(std::size_t limit, std::size_t after) const noexcept {
        return (std::max)(limit, (std::min)({limit + long_running(), after, max_limit}));
    }

    // How many permits the stragglers of windows hold. There may be more long-running calls, which were admitted to no
    // window.
    std::size_t long_running() const noexcept {
        // The count is negative for a moment if a straggler leaves before it was counted.
        return static_cast<std::size_t>(std::max<std::int64_t>(long_running_.load(std::memory_order_relaxed), 0));
    }

    limit_decision decision_on(const Strategy& strategy, const window& w, const plan& next) const noexcept {
        const limit_setting after = after_of(next);
        limit_decision d{.at = saturated_cast<duration>(Clock::now().time_since_epoch()),
                         .before = w.limit,
                         .limit = after.limit,
                         .probe = next.then != 0 ? limit_of(next) : 0,
                         .spacing = after.spacing,
                         .samples = w.all.samples,
                         .dropped = w.dropped,
                         .ignored = w.ignored,
                         .mean_in_flight = w.mean_in_flight,
                         .mean_rtt = w.all.mean,
                         .baseline_rtt = duration{times_->baseline.load(std::memory_order_relaxed)}};
        if constexpr (tells_reason<Strategy>)
            if (const char* reason = strategy.reason())
                d.reason = reason;
        return d;
    }

    // A window without stragglers, preferably this one; if all windows have stragglers, the one that was closed first.
    sample_window& unused_window(sample_window& preferred) noexcept {
        if (preferred.is_left())
            return preferred;
        for (sample_window& w : own_->windows)
            if (w.is_left())
                return w;
        const auto first = std::min_element(own_->closed_as.begin(), own_->closed_as.end());
        return own_->windows[static_cast<std::size_t>(first - own_->closed_as.begin())];
    }

    std::size_t index_of(const sample_window& w) const noexcept {
        return static_cast<std::size_t>(&w - own_->windows.data());
    }

    // Notes what later windows need of one that was closed, and of the plan that follows it.
    void remember(const window& closed, const plan& next) noexcept {
        times_->kinds.see(closed.all);
        turns_.stir(closed.all.mean.count());
        own_->ignored_times = static_cast<double>(closed.admitted) /
                              static_cast<double>(std::max<std::size_t>(telling_members(closed), 1));
        if (next.then != 0 || next.scheduled.begins_in > duration{})
            own_->usual_rtt = closed.all.quantile(0.9);
    }

    // Opens the next window.
    void open_after(sample_window& closed, const plan& next, std::uint64_t epoch,
                    std::chrono::nanoseconds at) noexcept {
        own_->closed_as[index_of(closed)] = ++own_->closings;
        if (closed.limit_after() != 0)
            watch_.cancel();
        if (scale_.adjusts())
            set_times(next);
        open_next(unused_window(closed), next, epoch, at);
    }

    // If a probe has begun, or a turn is pending, a waiter must watch: the watch of the window before may have been
    // cancelled.
    void open_next(sample_window& w, const plan& next, std::uint64_t epoch, std::chrono::nanoseconds at) noexcept {
        open(w, next, epoch, at);
        if (next.then != 0 || turns_.is_pending())
            semaphore_.want_watch();
    }

    // Fits the queue to the service, and to the limit of a plan. Relaxed: a baseline is a fact of its own.
    void set_times(const plan& p) noexcept {
        if (own_->expected_rtt <= duration{})
            return;
        const limit_setting ordinary = override_.in_force(after_of(p));
        semaphore_.set_times(scale_.times({.baseline = duration{times_->baseline.load(std::memory_order_relaxed)},
                                           .mean_rtt = own_->expected_rtt,
                                           .limit = ordinary.limit,
                                           .spacing = ordinary.spacing}));
    }

    // The plan was put in force in that epoch, and made at that time.
    //
    // A strategy sees a lower bound as the limit of the window. An upper bound is to it as if fewer callers came: then
    // a strategy that raises its limit only while that binds does not raise it on and on beyond the bound.
    void open(sample_window& w, const plan& next, std::uint64_t epoch, std::chrono::nanoseconds at) noexcept {
        const limit_setting in_force = override_.in_force({limit_of(next), spacing_of(next)});
        const std::size_t limit = in_force.limit;
        // Small if the limit is low, because a window takes longest then.
        const std::size_t usual = window_size((std::min)(min_window_, 10 * limit), limit);
        const std::size_t size = with_ignored(next.admissions != 0 ? (std::min)(next.admissions, max_limit) : usual);
        sample_window::opening o{.size = size,
                                 .limit = (std::max)(limit, limit_of(next)),
                                 .long_running = long_running(),
                                 .expected_rtt = own_->expected_rtt,
                                 .slowest_kind = times_->kinds.slowest(),
                                 .spacing = in_force.spacing,
                                 .epoch = epoch};
        if (next.then != 0) {
            const limit_setting after = after_of(next);
            o.limit_after = after.limit;
            o.spacing_after = after.spacing;
            o.within = next.within > duration{} ? next.within
                                                : usual_bound(size, limit, (std::max)(own_->usual_rtt, o.spacing));
        } else {
            o.limit -= (std::min)(o.long_running, o.limit - 1); // not for a probe, whose limit was raised by as many
            if (next.scheduled.begins_in > duration{})
                o.discard_at = saturated_sum(at, next.scheduled.begins_in);
        }
        act_from(o.spacing > duration{} ? at_once : o.discard_at.count(), epoch);
        // Open the window before publishing it: until then no thread finds a slot in it. Release: a thread that finds
        // it sees what the closer did.
        if (const std::size_t stragglers = w.open(o, now()); stragglers != 0)
            long_running_.fetch_add(static_cast<std::int64_t>(stragglers), std::memory_order_relaxed);
        current_.store(&w, std::memory_order_release);
    }

    // Calls that are ignored tell a strategy nothing. So the window is larger by their share of the window before, up
    // to twenty times.
    std::size_t with_ignored(std::size_t size) const noexcept {
        const double times = std::clamp(own_->ignored_times, 1.0, 20.0);
        return (std::min)(static_cast<std::size_t>(static_cast<double>(size) * times), max_limit);
    }

    // The bound of a probe whose plan leaves it to the guard: see plan::within.
    static duration usual_bound(std::size_t admissions, std::size_t limit, duration rtt) noexcept {
        const double rounds = static_cast<double>(admissions) / static_cast<double>(limit);
        const std::chrono::duration<double, std::nano> expected = rounds * rtt;
        return (std::max)(saturated_cast<duration>(10 * expected), duration{std::chrono::seconds(1)});
    }

    // How many windows there are, of 3.5 KB each. There are several, so that a window that is opened again with
    // stragglers was closed some windows ago: see sample_window.
    static constexpr std::size_t pool = 4;

    // What only the closer touches, but for the open window.
    struct closers_own {
        std::array<sample_window, pool> windows;
        plan in_force{1}; // the strategy's latest
        duration expected_rtt{}; // of the latest window that had a success
        duration usual_rtt{}; // the 90th percentile of the latest window before a plan with a probe
        double ignored_times = 1; // of the latest window: its members for each that was not ignored
        std::uint64_t closings = 0;
        std::array<std::uint64_t, pool> closed_as{}; // the number of the closing that closed each one last
    };

    // Whether the guard has what start() makes.
    enum class use : std::uint8_t { none, starting, started };

    // Values of acts_from_.
    static constexpr std::int64_t never = (std::numeric_limits<std::int64_t>::max)();
    static constexpr std::int64_t at_once = (std::numeric_limits<std::int64_t>::min)();

    static constexpr std::uint64_t first_epoch = 0;
    static constexpr const char* reset_reason = "reset by hand";

    semaphore_state& semaphore_;
    turns turns_;
    limit_override override_;
    plan first_{1}; // constant after construction
    const standing_scale scale_;
    const std::size_t min_window_;
    const duration made_at_ = now();
    mutable retirable<control> control_;
    std::unique_ptr<closers_own> own_; // made by start()
    std::unique_ptr<call_times> times_; // made by start()
    std::atomic<sample_window*> current_{&no_window};
    std::atomic<use> use_{use::none};
    std::atomic<std::int64_t> acts_from_{at_once}; // admissions from this time on have more to do: see act()
    probe_watch watch_;
    std::atomic<std::int64_t> long_running_{0}; // permits: see long_running()
    std::atomic<std::uint64_t> updates_{0};
    std::atomic<const char*> reason_{""};
};

} // namespace flowguard::detail

#endif
