// guard_state.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_GUARD_STATE_HPP
#define FLOWGUARD_DETAIL_CONTROL_GUARD_STATE_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/control/call_counts.hpp"
#include "flowguard/detail/control/guard_policy.hpp"
#include "flowguard/detail/control/limit_loop.hpp"
#include "flowguard/detail/control/long_lived_calls.hpp"
#include "flowguard/detail/control/surplus_permits.hpp"
#include "flowguard/detail/control/ticket_issuer.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard::detail {

// Everything of a guard except its executor: a semaphore, the loop that finds its limit, and the counts of calls. It
// lives as long as the guard or any of its tickets, waiters and timers.
template <class Strategy, class Clock>
class guard_state : public ticket_issuer {
public:
    guard_state(Strategy strategy, guard_options options)
        : ticket_issuer(check_range("the strategy's initial limit", strategy.current_limit(), 1, max_limit),
                        wait_policy_of(options, &time_now<measuring_clock<Clock>>)),
          max_wait_(check_least("guard_options::max_wait", options.max_wait, 0)),
          timeout_(check_least("guard_options::timeout", options.timeout, 1)),
          loop_(*this, std::move(strategy), options),
          long_lived_(check_range("guard_options::max_long_lived", options.max_long_lived, 0, max_limit)) {}

    // Called when the guard is destroyed. Tickets may keep *this alive for long after that. May destroy *this.
    void orphan() noexcept {
        const keep_alive kept(*this);
        semaphore_state::orphan(); // ends the waiters: the observer that is told of that may use the loop
        loop_.retire();
    }

    // Takes the permits of a task, if they are free. Also takes a reference for it, unless the caller brings one.
    FLOWGUARD_DETAIL_EACH_CALL bool take_at_once(lane_number lane, std::uint32_t permits,
                                                 bool with_reference = true) noexcept {
        if (permits != 1) [[unlikely]]
            return take_several_at_once(lane, permits, with_reference);
        if (!try_take(1, with_reference))
            return false;
        if (partitioned_)
            shares().enter(lane.partition());
        return true;
    }

    // The same for a call that has just found too few permits. The caller holds a reference, because the look may shed
    // waiters, and the observer that is told of that may destroy the guard.
    FLOWGUARD_DETAIL_EACH_CALL bool take_after_look(lane_number lane, std::uint32_t permits,
                                                    bool with_reference = true) noexcept {
        return loop_.look() && take_at_once(lane, permits, with_reference);
    }

    // Both. The caller holds a reference.
    FLOWGUARD_DETAIL_EACH_CALL bool take(lane_number lane, std::uint32_t permits, bool with_reference = true) noexcept {
        return take_at_once(lane, permits, with_reference) || take_after_look(lane, permits, with_reference);
    }

    // The latest time at which a caller that begins to wait now may get its permit. `deadline` is the caller's.
    typename Clock::time_point end_of_wait(typename Clock::time_point deadline) const noexcept {
        return (std::min)(deadline, end_after<Clock>(max_wait_));
    }

    // How long a task may take, unless its call says otherwise.
    duration timeout() const noexcept { return timeout_; }

    // Returns a task's permits. May destroy *this.
    FLOWGUARD_DETAIL_EACH_CALL void release(std::size_t partition, std::size_t permits) noexcept {
        if (permits != 1) [[unlikely]]
            return release_several(partition, permits);
        if (partitioned_)
            shares().leave(partition); // first, so that the thread that grants the permit sees it
        release_with_reference(1);
    }

    // Called for a task that has got its permits.
    FLOWGUARD_DETAIL_EACH_CALL membership admit(std::size_t partition, std::size_t kind,
                                                std::uint32_t permits) noexcept {
        return permits == 1 ? admit(partition, kind) : admit_several(partition, kind, permits);
    }
    membership admit(std::size_t partition, std::size_t kind) noexcept {
        membership m = loop_.admit();
        m.partition = static_cast<std::uint8_t>(partition);
        m.kind = static_cast<std::uint8_t>(kind);
        return m;
    }

    // The same for a task whose caller may have waited: `enqueued_at` is that of its waiter.
    membership admit_waiter(lane_number lane, std::size_t kind, std::size_t permits,
                            std::chrono::nanoseconds enqueued_at) noexcept {
        const membership m = admit(lane.partition(), kind, static_cast<std::uint32_t>(permits));
        if (enqueued_at != waiter::never)
            loop_.count_wait(lane.priority_index(), saturated_difference(m.admitted_at, enqueued_at));
        return m;
    }

    // Takes a place for a long-lived task, and returns wait_result::granted; else returns why there is none. `is_over`
    // tells whether the call's deadline has passed. Also takes a reference for the task, unless the caller brings one.
    wait_result take_long_lived(bool is_over, bool with_reference = true) noexcept {
        if (is_over)
            return wait_result::timed_out;
        if (is_closed())
            return wait_result::closed;
        if (!long_lived_.try_enter())
            return is_closed() ? wait_result::closed : wait_result::no_permit; // closed meanwhile
        if (with_reference)
            add_reference();
        return wait_result::granted;
    }

    // The membership of a long-lived task: in no window, and in no partition.
    static membership long_lived() noexcept {
        membership m;
        m.partition = no_partition;
        return m;
    }

    // Called before finish() for a task that took longer than its time-out.
    void count_task_timeout() noexcept { counts_.count_task_timeout(); }

    // Called for a task that is done: records how it ended, and releases its permits. A long-lived task has only its
    // place to return. May destroy *this.
    void finish(const membership& m, outcome how) noexcept {
        if (m.partition >= no_partition) [[unlikely]]
            return finish_unusual(m, how);
        loop_.end(m, how);
        counts_.count(how);
        release(m.partition, 1);
    }

    // Called instead for a task that is not started, because its deadline has passed: its call counts as if it had not
    // been admitted. The observer is told when the permits are back, so that it does not see the call in flight.
    void withdraw(const membership& m) noexcept {
        const keep_alive kept(*this);
        const bool is_told = !is_orphaned();
        if (is_told)
            count_rejection(rejection::timed_out, partition_of(m));
        end_sample(m, outcome::ignored);
        release(partition_of(m), permits_of(m));
        if (is_told)
            tell_rejection(rejection::timed_out);
    }

    // Of the calls that began before, it misses none, long-lived ones included.
    bool is_idle() const noexcept { return semaphore_state::is_idle() && long_lived_.running() == 0; }

    void count_bypass() noexcept { counts_.count_bypass(); }

    // prepare_watch() is called for a wait that begins, the other two by the queue's owner: see limit_loop.
    template <class Executor>
    static void prepare_watch(const Executor& executor) {
        limit_loop<Strategy, Clock>::prepare_watch(executor);
    }
    template <class Executor>
    void watch(const Executor& executor) {
        loop_.watch(executor);
    }
    void watch_in_vain() noexcept { loop_.watch_in_vain(); }

    // For a waiter that is a blocked thread, which watches without a timer: see thread_waiter.
    class thread_watch {
    public:
        using clock = measuring_clock<Clock>;

        explicit thread_watch(guard_state& state) noexcept : state_(&state) {}
        std::optional<std::chrono::nanoseconds> time_left() const noexcept { return state_->loop_.time_left(); }
        void look() const noexcept { state_->loop_.look_or_watch(); }

    private:
        guard_state* state_;
    };

    // An operator's hand: see limit_loop. Each holds a reference, because a change of the limit may shed waiters, and
    // the observer that is told of that may destroy the guard.
    void pin_limit(std::size_t limit) noexcept {
        const keep_alive kept(*this);
        loop_.pin(limit);
    }
    void unpin_limit() noexcept {
        const keep_alive kept(*this);
        loop_.unpin();
    }
    void set_limit_bounds(std::size_t min, std::size_t max) noexcept {
        const keep_alive kept(*this);
        loop_.set_bounds(min, max);
    }
    void reset() {
        const keep_alive kept(*this);
        loop_.reset();
    }

    std::vector<limit_decision> trace() const { return loop_.trace(); }

    guard_stats stats() const noexcept {
        guard_stats s;
        s.limit = limit();
        s.available_permits = available();
        s.waiting = waiting();
        for (std::size_t i = 0; i < s.waiting_by_priority.size(); ++i)
            s.waiting_by_priority[i] = waiting_of(static_cast<priority>(i));
        s.in_flight = in_flight();
        counts_.report(s, [this] { return surplus_.calls([this] { return in_flight(); }); });
        s.shed_at_once = rejected().of(rejection::no_permit);
        s.shed_from_full = rejected().of(rejection::queue_full);
        s.shed_as_overdue = rejected().of(rejection::overdue);
        s.shed = s.shed_at_once + s.shed_from_full + s.shed_as_overdue;
        s.timed_out = rejected().of(rejection::timed_out);
        s.cancelled = rejected().of(rejection::cancelled);
        s.closed = rejected().of(rejection::closed);
        report_by_partition(s);
        long_lived_.report(s);
        loop_.report(s);
        return s;
    }

private:
    // What membership::partition is besides an index: that of a long-lived task, and a bit for several permits. So a
    // task with one permit pays nothing for either.
    static constexpr std::uint8_t no_partition = max_partitions;
    static constexpr std::uint8_t has_several = 0x80;
    static_assert((no_partition & has_several) == 0);

    static std::size_t partition_of(const membership& m) noexcept {
        return m.partition & static_cast<std::uint8_t>(~has_several);
    }
    static std::size_t permits_of(const membership& m) noexcept {
        return (m.partition & has_several) != 0 ? m.permits : 1;
    }

    FLOWGUARD_DETAIL_RARE bool take_several_at_once(lane_number lane, std::uint32_t permits,
                                                    bool with_reference) noexcept {
        surplus_.count(permits);
        if (!try_take<true>(permits, with_reference)) {
            surplus_.discount(permits);
            return false;
        }
        if (partitioned_)
            shares().enter(lane.partition(), permits);
        return true;
    }

    void will_hold_several(std::size_t permits) noexcept override { surplus_.count(permits); }
    void has_put_back_several(std::size_t permits) noexcept override { surplus_.discount(permits); }

    FLOWGUARD_DETAIL_RARE membership admit_several(std::size_t partition, std::size_t kind,
                                                   std::uint32_t permits) noexcept {
        membership m = loop_.admit_several(permits);
        m.partition = static_cast<std::uint8_t>(partition | has_several);
        m.kind = static_cast<std::uint8_t>(kind);
        return m;
    }

    FLOWGUARD_DETAIL_RARE void finish_unusual(const membership& m, outcome how) noexcept {
        if (m.partition == no_partition) {
            if (long_lived_.leave())
                tell_owner();
            drop_references(1);
            return;
        }
        loop_.end_several(m, how);
        counts_.count(how);
        release_several(partition_of(m), m.permits);
    }

    void end_sample(const membership& m, outcome how) noexcept {
        if (permits_of(m) == 1)
            loop_.end(m, how);
        else
            loop_.end_several(m, how);
    }

    FLOWGUARD_DETAIL_RARE void release_several(std::size_t partition, std::size_t permits) noexcept {
        if (partitioned_)
            shares().leave(partition, permits);
        const keep_alive kept(*this);
        release_with_reference(permits);
        surplus_.discount(permits);
    }

    void report_by_partition(guard_stats& s) const noexcept {
        s.partitions = partitioned_ ? shares().count() : 1;
        for (std::size_t p = 0; p < s.partitions; ++p)
            for (std::size_t i = 0; i < rejection_count; ++i) {
                const auto why = static_cast<rejection>(i);
                s.rejected_by_partition[p][i] = partitioned_ ? rejected().of(why, p) : rejected().of(why);
            }
    }

    void finish_ticket(const membership& m, outcome how) noexcept override { finish(m, how); }
    void has_left(const asio::execution_context* context) noexcept override { loop_.leave(context); }
    standing_times estimate_times() const noexcept override { return loop_.estimate_times(); }

    // A drain waits for long-lived calls, too.
    bool is_idle_beside() noexcept override { return long_lived_.seal(); }
    void has_reopened() noexcept override { long_lived_.unseal(); }

    const duration max_wait_;
    const duration timeout_;
    limit_loop<Strategy, Clock> loop_;
    const bool partitioned_ = shares().enabled(); // here, in memory that every admission reads anyway
    long_lived_calls long_lived_;

    // Every completion writes these, so they are not in a cache line that every admission reads.
    alignas(64) call_counts counts_;
    surplus_permits surplus_;
};

} // namespace flowguard::detail

#endif
