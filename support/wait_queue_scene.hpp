// wait_queue_scene.hpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Steps through a wait_queue: callers come, are cancelled and are served, and a test reads what the queue decided.

#ifndef FLOWGUARD_SUPPORT_WAIT_QUEUE_SCENE_HPP
#define FLOWGUARD_SUPPORT_WAIT_QUEUE_SCENE_HPP

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/wait_queue.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace support {

// Its flow, if it has one, is set by set_flow().
class caller : public flowguard::detail::flow_waiter {
public:
    explicit caller(char called, std::size_t permits = 1) : flow_waiter(permits), name(called) { make_cancellable(); }
    caller(char called, flowguard::priority rank, std::size_t partition = 0) : caller(called) {
        lane = flowguard::detail::lane_number(partition, rank);
    }
    virtual ~caller() = default;

    void complete() noexcept override {}
    void destroy() noexcept override {}
    void watch() noexcept override {}
    asio::execution_context* context() override { return home; }

    flowguard::detail::enqueue_message& arrival() { return *this; }
    flowguard::detail::cancel_message& withdrawal() { return *this; }

    const char name;
    asio::io_context* home = nullptr;
};

// A caller that waits until the semaphore is idle. The queue completes it at once.
class drain_caller final : public flowguard::detail::waiter {
public:
    drain_caller() : waiter(0, flowguard::detail::queue_message::kind::drain) { make_cancellable(); }

    void complete() noexcept override { ++completions; }
    void destroy() noexcept override {}
    void watch() noexcept override {}
    asio::execution_context* context() override { return home; }

    flowguard::detail::enqueue_message& arrival() { return *this; }
    flowguard::detail::cancel_message& withdrawal() { return *this; }

    int completions = 0;
    asio::io_context* home = nullptr;
};

// The permits, in place of the owner's.
struct permits {
    std::size_t free = 0;
    std::size_t in_hand = 0;
    std::size_t limit = 1'000'000;
    int aside_noted = 0;
    flowguard::detail::standing_times estimate; // for a queue whose times are not known yet
    int estimates = 0;
    std::string asked; // what take() was asked for: "2", or "2!" for the only waiter in line

    bool take(std::size_t n, bool last) {
        asked += std::to_string(n) + (last ? "! " : " ");
        free += in_hand;
        in_hand = 0;
        if (free < n)
            return false;
        free -= n;
        in_hand = n;
        return true;
    }
    void grant() { in_hand = 0; }
    flowguard::detail::standing_times estimate_times() {
        ++estimates;
        return estimate;
    }
    std::size_t reach() const { return std::max(limit, free + in_hand); }
    bool has_some() const { return free + in_hand != 0; }
    void note_aside() { ++aside_noted; }
};

struct scene {
    explicit scene(const flowguard::detail::wait_policy& policy = {}) : queue(policy) {}

    flowguard::detail::wait_queue queue;
    permits hand;
    flowguard::detail::waiter_list done;

    void arrive(caller& c) { queue.apply(c.arrival(), done); }
    void arrive(drain_caller& d) { queue.apply(d.arrival(), done); }
    void withdraw(caller& c) { queue.apply(c.withdrawal(), done); }
    void withdraw(drain_caller& d) { queue.apply(d.withdrawal(), done); }
    void cancel(const asio::execution_context& context) {
        queue.apply(*new flowguard::detail::cancel_context_message(context), done); // the queue deletes it
    }
    void serve() { CHECK_FALSE(queue.serve(hand, done, 1'000'000)); }

    bool shed() { return queue.shed(done); }

    // Destroys a context. Its waiters are added to those decided on, so that decided() tells them, too.
    void abandon(const asio::execution_context& context) {
        flowguard::detail::abandon_message message(context);
        queue.apply(message, done);
        CHECK_FALSE(message.applied.load()); // the waiters decided on before are not completed yet
        queue.confirm_abandoned();
        CHECK(message.applied.load());
        while (flowguard::detail::waiter* w = message.abandoned.pop_front())
            done.push_back(*w);
    }

    // The waiters decided on since the last call, in order: granted +, aborted -, timed out ~, closed x, shed !,
    // overdue ?, abandoned 0.
    std::string decided() {
        using flowguard::detail::wait_result;
        std::string names;
        while (flowguard::detail::waiter* w = done.pop_front()) {
            names += static_cast<caller*>(w)->name;
            switch (w->result) {
            case wait_result::granted:
                names += "+ ";
                break;
            case wait_result::aborted:
                names += "- ";
                break;
            case wait_result::timed_out:
                names += "~ ";
                break;
            case wait_result::closed:
                names += "x ";
                break;
            case wait_result::shed:
                names += "! ";
                break;
            case wait_result::overdue:
                names += "? ";
                break;
            case wait_result::abandoned:
                names += "0 ";
                break;
            case wait_result::no_permit: // only for calls that never wait
                names += "n ";
                break;
            }
        }
        return names;
    }
};

inline std::chrono::nanoseconds manual_time() noexcept {
    return manual_clock::at;
}

// An adaptive queue with a target of 5 ms and an interval of 100 ms. Times are in ms.
struct adaptive_scene : scene {
    explicit adaptive_scene(std::size_t max_waiters = 100)
        : scene({.max_waiters = max_waiters,
                 .order = flowguard::wait_order::adaptive,
                 .times = {.target = std::chrono::milliseconds(5), .interval = std::chrono::milliseconds(100)},
                 .now = manual_time}) {
        at(0);
    }

    void at(int ms) { manual_clock::at = std::chrono::milliseconds(ms); }

    // `c` comes at this time.
    void comes_at(int ms, caller& c) {
        at(ms);
        arrive(c);
        looks();
    }

    void permit_at(int ms) {
        at(ms);
        ++hand.free;
        looks();
    }

    void looks() {
        serve();
        shed();
    }
};

} // namespace support

#endif
