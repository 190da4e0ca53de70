// thread_wait.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_THREAD_WAIT_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_THREAD_WAIT_HPP

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"

namespace flowguard::detail {

// A waiter that is a blocked thread. It lives on that thread's stack, and has no handler, no executor and no timer: the
// thread itself wakes up at the end of its wait.
//
// The owner of the queue completes it under its mutex. So the thread cannot destroy it before the owner has let go.
class thread_waiter final : public flow_waiter {
public:
    // `of_flow` is the waiter's flow, if the lane says that it belongs to one.
    thread_waiter(std::size_t permits, lane_number waits_in, std::uint64_t of_flow) : flow_waiter(permits) {
        lane = waits_in;
        flow = of_flow;
    }

    void complete() noexcept override {
        const std::lock_guard lock(mutex_);
        is_done_ = true;
        changed_.notify_one();
    }

    void destroy() noexcept override { complete(); } // it has no context: no context takes it along

    void watch() noexcept override {
        const std::lock_guard lock(mutex_);
        watches_ = true;
        changed_.notify_one();
    }

    asio::execution_context* context() override { return nullptr; }

    // Blocks until the waiter is completed. After `end`, it takes itself out of line, unless it is being granted its
    // permits just now: then it has them. The caller holds a reference to the state.
    template <class Clock, class Watch>
    void block(semaphore_state& state, typename Clock::time_point end, const Watch& watch) {
        bool has_end = end != (Clock::time_point::max)();
        std::unique_lock lock(mutex_);
        while (!is_done_) {
            std::chrono::nanoseconds longest = most_at_once;
            if (has_end) {
                const auto left = saturated_difference(end.time_since_epoch(), Clock::now().time_since_epoch());
                if (left <= Clock::duration::zero()) {
                    has_end = false;
                    unlocked(lock, [&] {
                        if (claim())
                            state.cancel_claimed(*this, wait_result::timed_out);
                    });
                    continue;
                }
                longest = (std::min)(longest, real_time<Clock>(left));
            }
            if (watches_) {
                const std::optional<std::chrono::nanoseconds> left = watch.time_left();
                if (!left || left->count() <= 0) {
                    watches_ = false;
                    unlocked(lock, [&] { watch.look(); });
                    continue;
                }
                longest = (std::min)(longest, real_time<typename Watch::clock>(*left));
            }
            changed_.wait_until(lock, std::chrono::steady_clock::now() + longest);
        }
        if (std::exchange(watches_, false))
            unlocked(lock, [&] { watch.look(); }); // from now on another waiter must watch
    }

private:
    static constexpr std::chrono::nanoseconds most_at_once = std::chrono::hours(1); // no sum overflows

    // How long a thread waits before it looks at the clock again, as a timer of Asio does. A clock that is set by hand
    // is asked every millisecond.
    template <class Clock>
    static std::chrono::nanoseconds real_time(const auto& left) {
        const auto length = saturated_cast<typename Clock::duration>(left);
        const auto real = asio::wait_traits<Clock>::to_wait_duration(length);
        return (std::max)(saturated_cast<std::chrono::nanoseconds>(real),
                          std::chrono::nanoseconds(std::chrono::milliseconds(real < length ? 1 : 0)));
    }

    template <class F>
    static void unlocked(std::unique_lock<std::mutex>& lock, F f) {
        lock.unlock();
        f();
        lock.lock();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_done_ = false;
    bool watches_ = false; // the owner has asked this waiter to look at a probe or a turn when its time has come
};

// A semaphore without probes and turns needs no look.
struct nothing_to_watch {
    using clock = std::chrono::steady_clock;
    static std::optional<std::chrono::nanoseconds> time_left() noexcept { return std::nullopt; }
    static void look() noexcept {}
};

// Puts the calling thread in line and blocks it. If the result is wait_result::granted, the caller has the permits,
// with a reference. `watch` looks at what the owner of the queue asks a waiter to watch. The caller holds a reference.
// If the thread is not queued, sets `why_not`, which nobody has counted; else the queue counts what it rejects. May
// throw std::bad_alloc for a call that belongs to a flow; then nothing has happened.
template <class Clock, class Watch>
wait_result wait_in_thread(semaphore_state& state, std::size_t permits, lane_number lane, std::uint64_t flow,
                           typename Clock::time_point end, const Watch& watch, std::optional<wait_start>& why_not,
                           std::chrono::nanoseconds& enqueued_at) {
    if (lane.in_flow())
        state.prepare_flows();
    thread_waiter w(permits, lane, flow);
    w.make_cancellable();
    if (const wait_start started = state.wait(w); started != wait_start::queued) {
        why_not = started;
        return wait_result::aborted;
    }
    w.template block<Clock>(state, end, watch);
    enqueued_at = w.enqueued_at;
    return w.result;
}

} // namespace flowguard::detail

#endif
