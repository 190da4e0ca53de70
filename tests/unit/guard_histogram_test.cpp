// guard_histogram_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What a guard counts for dashboards: the waits, the RTTs, and the rejections of each partition.

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/time_histogram.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::plan;
using flowguard::priority;
using flowguard::rejection;
using flowguard::time_histogram;
using flowguard::wait_order;
using support::manual_clock;
using support::nothing;
using support::poll;
using support::scripted_strategy;
using support::start;

using guard_type = flow_guard<scripted_strategy, manual_clock>;
using ticket = guard_type::ticket;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

struct scene : support::at_nine {
    explicit scene(std::size_t limit, const guard_options& o = {}, std::deque<plan> plans = {})
        : guard(std::in_place, scripted_strategy{limit, std::move(plans)}, o) {}

    void pass(manual_clock::duration time) { support::pass(context, time); }

    // A call that waits, if no permit is free.
    auto call(const options& how = {}) {
        const auto end = start(context, guard->run(nothing, how));
        poll(context);
        return end;
    }

    // Calls without waiting, one after the other, that take so long each.
    void calls(std::size_t n, manual_clock::duration rtt) {
        for (std::size_t i = 0; i < n; ++i) {
            ticket t = guard->try_acquire();
            manual_clock::at += rtt;
            t.success();
        }
    }

    time_histogram waits(priority p) const { return guard->stats().waits_by_priority[static_cast<std::size_t>(p)]; }
    time_histogram rtts() const { return guard->stats().rtts; }

    // How many calls of a partition were rejected for each reason.
    std::array<std::uint64_t, flowguard::rejection_count> rejected(std::size_t partition) const {
        return guard->stats().rejected_by_partition[partition];
    }

    asio::io_context context;
    std::optional<guard_type> guard;
};

// The count of the bucket that a time belongs to.
std::uint64_t at(const time_histogram& h, manual_clock::duration time) {
    return h.counts[time_histogram::index_of(time)];
}

} // namespace

// Waits

TEST_CASE("The wait of a call is counted from when it was put in line until its task can start") {
    for (const guard_options& o :
         {guard_options{}, guard_options{.order = wait_order::adaptive}, guard_options{.ageing = 1h},
          guard_options{.max_wait = 1h}, guard_options{.partitions = {1}}}) {
        scene s{1, o};
        ticket busy = s.guard->try_acquire();
        s.call();
        s.pass(3ms);
        s.call({.priority = priority::sheddable});
        s.pass(4ms);
        busy.success(); // grants the permit to the first call, whose coroutine has not run yet
        s.pass(20ms);
        CHECK(s.waits(priority::critical).total() == 1);
        CHECK(at(s.waits(priority::critical), 27ms) == 1);
        CHECK(s.waits(priority::critical).sum == 27ms);
        CHECK(s.waits(priority::sheddable).total() == 1);
        CHECK(at(s.waits(priority::sheddable), 24ms) == 1);
        CHECK(s.waits(priority::sheddable).sum == 24ms);
        CHECK(s.waits(priority::critical_plus).total() == 0);
        CHECK(s.waits(priority::sheddable_plus).total() == 0);
    }
}

TEST_CASE("A call that finds a permit free does not count as a wait, in any form") {
    scene s{1};
    s.call();
    s.calls(1, 1ms);
    bool admitted = false;
    s.guard->async_acquire(
        asio::bind_executor(s.context, [&](flowguard::error_code, ticket t) { admitted = static_cast<bool>(t); }));
    s.pass(1ms);
    CHECK(admitted);
    CHECK(s.guard->stats().admitted == 3);
    for (const time_histogram& h : s.guard->stats().waits_by_priority)
        CHECK(h.total() == 0);
}

TEST_CASE("The wait for a ticket counts, too") {
    scene s{1};
    ticket busy = s.guard->try_acquire();
    s.guard->async_acquire(options{.priority = priority::critical_plus},
                           asio::bind_executor(s.context, [](flowguard::error_code, ticket t) { t.success(); }));
    s.pass(2s);
    busy.success();
    poll(s.context);
    CHECK(at(s.waits(priority::critical_plus), 2s) == 1);
    CHECK(s.waits(priority::critical_plus).sum == 2s);
}

TEST_CASE("The wait of a call that gets no permit does not count") {
    scene s{1, {.max_wait = 10ms}};
    const ticket busy = s.guard->try_acquire();
    const auto late = s.call();
    s.pass(10ms);
    CHECK(late->code() == flowguard::error::wait_timeout);
    CHECK(s.waits(priority::critical).total() == 0);
}

TEST_CASE("If the clock is set back while a call waits, its wait counts as 0") {
    scene s{1};
    ticket busy = s.guard->try_acquire();
    s.call();
    manual_clock::at -= 1h;
    busy.success();
    poll(s.context);
    CHECK(at(s.waits(priority::critical), 0ns) == 1);
    CHECK(s.waits(priority::critical).sum == 0ns);
}

// RTTs

TEST_CASE("RTTs are counted when their window is closed") {
    scene s{1, {.min_window = 10}};
    s.calls(6, 2ms);
    s.calls(3, 30ms);
    CHECK(s.rtts().total() == 0);
    s.calls(1, 120s);
    CHECK(s.guard->stats().windows == 1);
    CHECK(at(s.rtts(), 2ms) == 6);
    CHECK(at(s.rtts(), 30ms) == 3);
    CHECK(s.rtts().counts.back() == 1);
    CHECK(s.rtts().total() == 10);
    CHECK(s.rtts().sum == 6 * 2ms + 3 * 30ms + 120s);

    s.calls(10, 2ms);
    CHECK(at(s.rtts(), 2ms) == 16);
    CHECK(s.rtts().total() == 20);
    CHECK(s.rtts().sum == 16 * 2ms + 3 * 30ms + 120s);
}

TEST_CASE("Only the RTTs of successes are counted") {
    scene s{3, {.min_window = 3}, {plan(3, 3)}};
    s.calls(4, 1ms); // the first window
    REQUIRE(s.guard->stats().windows == 1);
    REQUIRE(s.rtts().total() == 4);
    ticket dropped = s.guard->try_acquire();
    ticket ignored = s.guard->try_acquire();
    manual_clock::at += 7ms;
    dropped.drop();
    ignored.ignore();
    s.calls(1, 20ms);
    CHECK(s.guard->stats().windows == 2);
    CHECK(s.rtts().total() == 5);
    CHECK(at(s.rtts(), 20ms) == 1);
    CHECK(s.rtts().sum == 4 * 1ms + 20ms);
}

TEST_CASE("A success that was admitted when the window was full is counted when it ends") {
    scene s{10, {.min_window = 1}, {plan(10, 2)}};
    s.calls(15, 1ms);
    REQUIRE(s.rtts().total() == 15);
    ticket first = s.guard->try_acquire();
    ticket second = s.guard->try_acquire();
    ticket in_no_window = s.guard->try_acquire();
    manual_clock::at += 9ms;
    in_no_window.success();
    CHECK(at(s.rtts(), 9ms) == 1);
    CHECK(s.rtts().total() == 16);
    first.success();
    second.success();
    CHECK(at(s.rtts(), 9ms) == 3);
    CHECK(s.rtts().total() == s.guard->stats().succeeded);
    CHECK(s.rtts().sum == 15 * 1ms + 3 * 9ms);
}

TEST_CASE("A success for which its window did not wait is counted when it ends") {
    scene s{5, {.min_window = 1}, {plan(5, 3)}};
    s.calls(7, 1ms);
    ticket straggler = s.guard->try_acquire();
    s.calls(2, 1ms);
    manual_clock::at += 10s;
    s.calls(1, 1ms); // closes the window, and is in none
    REQUIRE(s.guard->stats().windows == 2);
    CHECK(s.rtts().total() == 10);
    straggler.success();
    CHECK(at(s.rtts(), 10s + 3ms) == 1);
    CHECK(s.rtts().total() == s.guard->stats().succeeded);
    CHECK(s.rtts().sum == 10 * 1ms + 10s + 3ms);
}

TEST_CASE("The successes of a window that is discarded for a probe are counted, before and after it") {
    plan scheduled(10, 20);
    scheduled.scheduled = {.begins_in = 1s, .limit = 3, .admissions = 2, .within = 1s};
    scene s{10, {.min_window = 1}, {scheduled, plan(10, 20)}};
    s.calls(15, 1ms);
    s.calls(4, 30ms);
    ticket goes_on = s.guard->try_acquire();
    manual_clock::at += 1s;
    CHECK(s.rtts().total() == 15);
    s.calls(1, 1ms); // begins the probe
    REQUIRE(s.guard->current_limit() == 3);
    CHECK(s.rtts().total() == 19);
    CHECK(at(s.rtts(), 30ms) == 4);
    goes_on.success();
    CHECK(at(s.rtts(), 1001ms) == 1);
    s.calls(1, 1ms); // ends the probe
    REQUIRE(s.guard->current_limit() == 10);
    CHECK(s.rtts().total() == s.guard->stats().succeeded);
    CHECK(s.rtts().sum == 17 * 1ms + 4 * 30ms + 1001ms);
    s.calls(20, 1ms); // the discarded window's counts are gone
    CHECK(s.rtts().total() == s.guard->stats().succeeded);
}

TEST_CASE("RTTs are counted while the limit is pinned") {
    scene s{1, {.min_window = 10}};
    s.calls(4, 1ms);
    s.guard->pin_limit(1);
    s.calls(30, 1ms);
    CHECK(s.guard->stats().windows == 0);
    CHECK(s.rtts().total() >= 4 + 20); // some are in the window that is open
    CHECK(at(s.rtts(), 1ms - 1us) + at(s.rtts(), 1ms + 1us) == s.rtts().total());
}

TEST_CASE("The RTTs of long-lived calls are not counted") {
    scene s{1, {.min_window = 10}};
    const auto stream = s.call({.long_lived = true});
    s.calls(10, 1ms);
    CHECK(stream->succeeded());
    CHECK(s.rtts().total() == 10);
}

// Rejections

TEST_CASE("Rejected calls are counted in their partition, by their reason") {
    scene s{1, {.max_waiters = 1, .max_wait = 10ms, .partitions = {0.5, 0.5}, .max_long_lived = 0}};
    const ticket busy = s.guard->try_acquire(1);
    CHECK_FALSE(s.guard->try_acquire(1)); // no permit
    asio::cancellation_signal signal;
    start(s.context, s.guard->run(nothing, options{.partition = 1}), &signal);
    poll(s.context);
    s.call({.partition = 1}); // the queue is full
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    s.call({.partition = 1});
    s.pass(10ms);                                                       // the time is over
    s.call({.deadline = manual_clock::now() - 1ms, .partition = 1});    // it was, before the call
    CHECK_FALSE(s.guard->try_acquire(options{.deadline = manual_clock::now() - 1ms, .partition = 1}));
    s.call({.partition = 1, .long_lived = true});                       // no place
    CHECK_FALSE(s.guard->try_acquire(options{.partition = 1, .long_lived = true}));
    bool told = false;
    s.guard->async_acquire(options{.partition = 1, .long_lived = true},
                           asio::bind_executor(s.context, [&](flowguard::error_code, ticket) { told = true; }));
    poll(s.context);
    CHECK(told);
    s.guard->close();
    s.call({.partition = 1});

    using counts = std::array<std::uint64_t, flowguard::rejection_count>;
    CHECK(s.guard->stats().partitions == 2);
    CHECK(s.rejected(1) == counts{4, 1, 0, 3, 1, 1});
    CHECK(s.rejected(0) == counts{});
    CHECK(s.guard->stats().shed_at_once == 4);
    CHECK(s.guard->stats().timed_out == 3);
}

TEST_CASE("An overdue call is counted in its partition, and one whose permit came too late") {
    scene s{1, {.order = wait_order::adaptive, .target = 5ms, .interval = 100ms, .partitions = {0.5, 0.5}}};
    ticket busy = s.guard->try_acquire();
    s.call({.partition = 1});
    s.pass(101ms);
    s.call({.partition = 1});
    s.pass(1ms);
    busy.success();
    busy = s.guard->try_acquire();
    poll(s.context);
    const auto overdue = s.rejected(1)[static_cast<std::size_t>(rejection::overdue)];
    CHECK(overdue == s.guard->stats().shed_as_overdue);
    CHECK(overdue == 1);

    scene late{1, {.partitions = {0.5, 0.5}}};
    busy = late.guard->try_acquire();
    late.call({.deadline = manual_clock::now() + 20ms, .partition = 1});
    busy.success(); // the permit is granted, but the coroutine has not run yet
    late.pass(20ms);
    CHECK(late.rejected(1)[static_cast<std::size_t>(rejection::timed_out)] == 1);
}

TEST_CASE("Without partitions, all rejected calls are in the first one") {
    scene s{1, {.max_waiters = 0}};
    const ticket busy = s.guard->try_acquire();
    s.call();
    CHECK_FALSE(s.guard->try_acquire());
    CHECK(s.guard->stats().partitions == 1);
    CHECK(s.rejected(0) == std::array<std::uint64_t, flowguard::rejection_count>{1, 1, 0, 0, 0, 0});
}
