// deadline.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_DEADLINE_HPP
#define FLOWGUARD_DETAIL_ASIO_DEADLINE_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/base/rare.hpp"

namespace flowguard::detail {

// How long a wait may take.
struct without_deadline {};

template <class Clock>
struct until {
    typename Clock::time_point time;
};

template <class Clock>
until<Clock> after(typename Clock::duration length) noexcept {
    return {typename Clock::time_point(saturated_sum(Clock::now().time_since_epoch(), length))};
}

// The end of a wait that starts now, and takes that long at most. With the longest length, it has no end, and the clock
// is not read.
template <class Clock>
typename Clock::time_point end_after(std::chrono::nanoseconds longest) noexcept {
    if (longest == (std::chrono::nanoseconds::max)())
        return (Clock::time_point::max)();
    return after<Clock>(saturated_cast<typename Clock::duration>(longest)).time;
}

// Whether that end has come. If there is no end, the clock is not read.
template <class Clock>
FLOWGUARD_DETAIL_EACH_CALL inline bool has_passed(typename Clock::time_point end) noexcept {
    return end != (Clock::time_point::max)() && end <= Clock::now();
}

// Calls `start(timing)` for a wait until then.
template <class Clock, class Start>
void with_timing(typename Clock::time_point end, Start start) {
    if (end == (Clock::time_point::max)())
        start(without_deadline{});
    else
        start(until<Clock>{end});
}

// Counts from the start of the wait, which may be later than the call that made it.
template <class Clock>
struct within {
    typename Clock::duration length;
};

// The timing of a wait that starts now.
template <class Timing>
Timing timing_from_now(const Timing& timing) noexcept {
    return timing;
}
template <class Clock>
until<Clock> timing_from_now(const within<Clock>& timing) noexcept {
    return after<Clock>(timing.length);
}

// The timer of a wait with a deadline, part of its operation.
//
// Three parties use the operation, on threads of their own: the initiating call, the timer's handler, and the thread
// that completes the wait, for a time-out or another reason. Each party reports when it is *through*. The last one, in
// whatever order they report, is told so, and has the operation to itself.
//
// The initiating call touches the timer itself until the wait is published, the completing thread touches it once, and
// then the last party does. The timer's handler does not touch it.
template <class Timing, class Executor>
class deadline;

template <class Clock, class Executor>
class deadline<until<Clock>, Executor> {
public:
    deadline(const until<Clock>& when, const Executor& executor) : timer_(executor, when.time) {}

    Executor get_executor() noexcept { return timer_.get_executor(); }

    bool has_passed() const { return timer_.expiry() <= Clock::now(); }

    // Called before the wait is published, so that a failure (no memory) concerns the initiating call alone.
    template <class Handler>
    void start(Handler&& on_expiry) {
        timer_.async_wait(std::forward<Handler>(on_expiry));
    }

    // Called when the wait was published. When the timer's handler has run, too, `time_out()` is called, by this
    // function or by timer_through(), whichever is later. Returns true to the last party.
    template <class TimeOut>
    [[nodiscard]] bool start_through(TimeOut time_out) noexcept {
        return meet(started, expired, time_out);
    }

    // Called when the timer's handler has run, or was destroyed. Returns true to the last party.
    template <class TimeOut>
    [[nodiscard]] bool timer_through(TimeOut time_out) noexcept {
        return meet(expired, started, time_out);
    }

    // Called when the wait has its result. Returns true to the last party.
    [[nodiscard]] bool completion_through() {
        timer_.cancel();
        // Release: the last party must see what this one did. Acquire: if this is the last one, it must see what the
        // others did.
        return (through_.fetch_or(completed, std::memory_order_acq_rel) | completed) == all;
    }

private:
    static constexpr std::uint8_t started = 1;
    static constexpr std::uint8_t expired = 2;
    static constexpr std::uint8_t completed = 4;
    static constexpr std::uint8_t all = started | expired | completed;

    // Acquire: this party must see what the others did before they were through. Release: the last party must see what
    // this one did.
    template <class F>
    bool meet(std::uint8_t mine, std::uint8_t other, F& when_both) noexcept {
        bool done = false;
        std::uint8_t through = through_.load(std::memory_order_acquire);
        do {
            if ((through & other) != 0 && !std::exchange(done, true))
                when_both(); // before this party is through: until then the operation exists
        } while (!through_.compare_exchange_weak(through, static_cast<std::uint8_t>(through | mine),
                                                 std::memory_order_acq_rel, std::memory_order_acquire));
        return (through | mine) == all;
    }

    asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor> timer_;
    std::atomic<std::uint8_t> through_{0};
};

template <class Executor>
class deadline<without_deadline, Executor> {
public:
    deadline(const without_deadline&, const Executor&) noexcept {}

    [[nodiscard]] bool completion_through() const noexcept { return true; }
};

} // namespace flowguard::detail

#endif
