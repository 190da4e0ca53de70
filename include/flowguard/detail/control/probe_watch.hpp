// probe_watch.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_PROBE_WATCH_HPP
#define FLOWGUARD_DETAIL_CONTROL_PROBE_WATCH_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/completion_executor.hpp"

namespace flowguard::detail {

// A timer that looks at a probe when its time is over, in case no call does: all calls in flight hang, all others wait,
// and no new one arrives. It looks in the same way at the turn of the next admission: see plan::spacing. The timer runs
// on the executor of a waiting caller. The context of that executor does not run out of work until the time is over, or
// the probe ends.
//
// *Thread safety.* All members but the constructor and the destructor: safe. A lock is held while a timer is started or
// destroyed, which takes a lock of Asio's as well. That happens once or twice in a probe, or for a turn.
class probe_watch {
public:
    probe_watch() = default;
    probe_watch(const probe_watch&) = delete;
    probe_watch& operator=(const probe_watch&) = delete;

    // Makes what a timer needs in the executor's context, so that start() adds no service to it: when start() is
    // called, the context may be about to be destroyed. Called when a caller begins to wait there, before its context
    // is linked.
    template <class Clock, class Executor>
    static void prepare(const Executor& executor) {
        timer_of<Clock, Executor>{executor};
    }

    // Starts a timer, unless there is one that ends no later; a timer that ends later is cancelled. `on_end()` is
    // called once, when the time is over or the timer's context is destroyed, unless the timer is cancelled before.
    // What `on_end` owns keeps *this alive. Throws what a timer throws, such as std::bad_alloc; no timer was started
    // then.
    template <class Clock, class Executor, class F>
    void start(const Executor& executor, typename Clock::time_point end, F on_end) {
        const std::lock_guard lock(mutex_);
        // Seconds in floating point, because the times of any clock fit. The error is no more than a timer's.
        const std::chrono::duration<double> ends_at = end.time_since_epoch();
        if (is_retired_ || (timer_ != nullptr && ends_at_ <= ends_at))
            return;
        auto timer = std::make_shared<timer_of<Clock, Executor>>(executor, end);
        timer->async_wait(expiry<F>(*this, number_ + 1, std::move(on_end)));
        timer_ = std::move(timer);
        context_ = detail::context_of(executor);
        ends_at_ = ends_at;
        ++number_;
    }

    // Called when a context is being destroyed, or may not run any more. If the timer is in it, cancels the timer and
    // returns true.
    bool leave(const asio::execution_context* context) noexcept {
        const std::lock_guard lock(mutex_);
        if (timer_ == nullptr || context_ != context)
            return false;
        timer_.reset();
        return true;
    }

    // Called when the probe has ended. Destroying the timer cancels it. Idempotent.
    void cancel() noexcept {
        const std::lock_guard lock(mutex_);
        timer_.reset(); // under the lock, so that leave() does not return before
    }

    // Called when the guard is destroyed: as cancel(), and no timer is started any more. Otherwise a thread that serves
    // the queue just now could start one, and keep a context running until the next turn.
    void retire() noexcept {
        const std::lock_guard lock(mutex_);
        is_retired_ = true;
        timer_.reset();
    }

private:
    template <class Clock, class Executor>
    using timer_of = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

    // The timer's handler. The watch ends when it is called, or destroyed uncalled with its context.
    template <class F>
    class expiry {
    public:
        expiry(probe_watch& watch, std::uint64_t number, F on_end)
            : watch_(&watch), number_(number), on_end_(std::move(on_end)) {}
        expiry(expiry&& other) noexcept
            : watch_(std::exchange(other.watch_, nullptr)), number_(other.number_), on_end_(std::move(other.on_end_)) {}
        expiry& operator=(expiry&&) = delete;
        ~expiry() { end(); }

        void operator()(const error_code&) { end(); }

    private:
        void end() noexcept {
            probe_watch* const watch = std::exchange(watch_, nullptr);
            if (watch != nullptr && watch->take(number_))
                on_end_();
        }

        probe_watch* watch_;
        std::uint64_t number_; // of the timer
        F on_end_;
    };

    // Destroys the timer if it is still the one with that number; returns whether it was. Numbers identify timers,
    // because a later timer may have the same address.
    bool take(std::uint64_t number) noexcept {
        const std::lock_guard lock(mutex_);
        if (timer_ == nullptr || number_ != number)
            return false;
        timer_.reset();
        return true;
    }

    std::recursive_mutex mutex_; // recursive: a start() that fails destroys the handler while it holds the lock
    std::shared_ptr<void> timer_;
    bool is_retired_ = false;
    asio::execution_context* context_ = nullptr; // of the latest timer, as are the end and the number
    std::chrono::duration<double> ends_at_{};
    std::uint64_t number_ = 0;
};

} // namespace flowguard::detail

#endif
