// flow_guard_overload_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The default order of waiting callers: an overload is shed, while a burst waits. What counts as an overload follows
// from the RTTs. And the options for callers that wait for as long as it takes.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_guard.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::error;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::plan;
using support::make_round;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;

// A strategy with a baseline.
class with_baseline : public scripted_strategy {
public:
    with_baseline(std::size_t limit, duration baseline) : scripted_strategy(limit), baseline_(baseline) {}

    duration baseline() const { return baseline_; }

private:
    duration baseline_;
};

plan below_one(duration spacing) {
    plan p(1);
    p.spacing = spacing;
    return p;
}

// A guard, and calls that wait for it.
template <class Strategy>
class scene {
public:
    explicit scene(Strategy strategy, guard_options options = {}) {
        manual_clock::at = 9h;
        options.min_window = 1;
        guard_.emplace(std::move(strategy), std::move(options));
    }

    auto& guard() { return *guard_; }
    std::size_t shed() const { return guard_->stats().shed_as_overdue; }

    // A call that keeps its permit. It waits if no permit is free.
    void call() {
        guard_->async_acquire(asio::bind_executor(context_, [this](flowguard::error_code e, auto ticket) {
            CHECK((!e || e == error::shed));
            if (ticket)
                held_.push_back(std::move(ticket));
        }));
        poll(context_);
    }

    // The call that got its permit first succeeds.
    void end_a_call() {
        held_.front().success();
        held_.pop_front();
        poll(context_);
    }

    // Lets callers fill the limit, and wait. Checks that the queue then stands after that interval, and that it sheds
    // the callers that have waited longer than that target, which is less than half of the interval.
    void check_times(duration target, duration interval) {
        while (auto ticket = guard_->try_acquire())
            held_.push_back(std::move(ticket));
        const manual_clock::duration start = manual_clock::at;
        call();
        for (const duration since : {interval - target - 1ns, interval - target, interval - 1ns}) {
            manual_clock::at = start + since;
            call();
        }
        CHECK(shed() == 0);
        manual_clock::at = start + interval;
        call();
        CHECK(shed() == 2);
        CHECK(guard_->waiting() == 3);
    }

private:
    asio::io_context context_;
    std::optional<flow_guard<Strategy, manual_clock>> guard_;
    std::deque<typename flow_guard<Strategy, manual_clock>::ticket> held_;
};

template <class Strategy>
void learn(scene<Strategy>& s, duration rtt) {
    while (s.guard().stats().windows == 0)
        make_round(s.guard(), rtt);
}

} // namespace

TEST_CASE("While no RTT is known, a queue stands after 100 ms, and a wait of 5 ms is not too long") {
    scene s{scripted_strategy(10)};
    s.check_times(5ms, 100ms);
}

TEST_CASE("A queue stands after ten RTTs, and a wait of half an RTT and two turnovers is not too long") {
    scene s{scripted_strategy(10)};
    learn(s, 1s);
    s.check_times(700ms, 10s);
}

TEST_CASE("The times of a queue are not shorter than they are without an RTT") {
    const duration rtt = GENERATE(as<duration>{}, 0ns, 1us, 1ms);
    scene s{scripted_strategy(10)};
    learn(s, rtt);
    s.check_times(5ms, 100ms);
}

TEST_CASE("A strategy's baseline counts as the RTT, and the measured mean tells how fast permits come back") {
    scene s{with_baseline(10, 100ms)};
    learn(s, 1s);
    s.check_times(250ms, 1s);
}

TEST_CASE("Under a limit below one, a queue stands after ten spacings") {
    scene s{scripted_strategy(1, {below_one(2s)})};
    learn(s, 100ms);
    s.check_times(5s, 20s);
}

TEST_CASE("While the limit is pinned, the times of a queue follow the RTT, and bounds have no effect") {
    scene s{scripted_strategy(10)};
    if (GENERATE(false, true))
        s.guard().set_limit_bounds(50, 100);
    s.guard().pin_limit(10);
    for (int i = 0; i < 10; ++i)
        make_round(s.guard(), 1s);
    REQUIRE(s.guard().stats().windows == 0);
    s.check_times(700ms, 10s);
}

TEST_CASE("A target or an interval that is given has effect, whatever the RTT") {
    SECTION("both") {
        scene s{scripted_strategy(10), {.target = 10ms, .interval = 50ms}};
        learn(s, 1s);
        s.check_times(10ms, 50ms);
    }
    SECTION("the target") {
        scene s{scripted_strategy(10), {.target = 10ms}};
        learn(s, 1s);
        s.check_times(10ms, 10s);
    }
    SECTION("the interval") {
        scene s{scripted_strategy(10), {.interval = 1500ms}};
        learn(s, 1s);
        s.check_times(700ms, 1500ms);
    }
    SECTION("before an RTT is known") {
        scene s{scripted_strategy(10), {.interval = 50ms}};
        s.check_times(5ms, 50ms);
    }
}

TEST_CASE("A burst of long calls waits, although no RTT is known when it comes") {
    scene s{scripted_strategy(10)};
    for (int i = 0; i < 50; ++i)
        s.call();
    for (int round = 0; round < 5; ++round) {
        manual_clock::at += 2s;
        for (int i = 0; i < 10; ++i)
            s.end_a_call();
    }
    CHECK(s.guard().stats().succeeded == 50);
    CHECK(s.shed() == 0);
}

TEST_CASE("An overload of a new guard is shed, although no call has ended yet") {
    scene s{scripted_strategy(10)};
    for (int i = 0; i < 1000; ++i) {
        s.call();
        manual_clock::at += 1ms;
    }
    CHECK(s.guard().waiting() <= 6);
    CHECK(s.shed() >= 980);
}

TEST_CASE("After a reset, the times of a queue follow the first window") {
    scene s{scripted_strategy(10)};
    learn(s, 1s);
    s.guard().reset();
    const auto windows = s.guard().stats().windows;
    while (s.guard().stats().windows == windows)
        make_round(s.guard(), 2s);
    s.check_times(1400ms, 20s);
}

TEST_CASE("10,000 calls on a limit of 2 are all done, if a guard is for batches") {
    manual_clock::at = 9h;
    flow_guard<fixed_limit, manual_clock> guard{fixed_limit{2}, guard_options::for_batch()};
    asio::io_context context;
    std::deque<asio::steady_timer> tasks; // of the tasks that run
    int done = 0;
    const auto work = [&]() -> asio::awaitable<void> {
        asio::steady_timer& end = tasks.emplace_back(context, asio::steady_timer::time_point::max());
        flowguard::error_code ended;
        co_await end.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    };
    for (int i = 0; i < 10'000; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                co_await guard.run(work);
                ++done;
            },
            asio::detached);
    poll(context);
    while (!tasks.empty()) {
        manual_clock::at += 1s;
        tasks.front().cancel();
        poll(context);
        tasks.pop_front();
    }
    CHECK(done == 10'000);
    CHECK(guard.stats().shed == 0);
}
