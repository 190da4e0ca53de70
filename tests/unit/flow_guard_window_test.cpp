// flow_guard_window_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/flow_guard.hpp" // first: self-contained

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::plan;
using flowguard::window;
using support::at_nine;
using support::check_idle;
using support::gate;
using support::give;
using support::held;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;
using support::start;
using support::use_up;

using scripted_guard = flow_guard<scripted_strategy, manual_clock>;
using ticket = scripted_guard::ticket;

} // namespace

// Order, and limits

TEST_CASE("Callers are admitted first come, first served") {
    asio::io_context context;
    gate g{context};
    flow_guard guard{fixed_limit{1}, guard_options::for_batch()};
    std::vector<int> order;
    std::vector<int> expected;
    for (int i = 0; i < 20; ++i) {
        start(context, guard.run([&, i] {
            order.push_back(i);
            return held(g);
        }));
        expected.push_back(i);
    }
    poll(context);
    CHECK(order == std::vector<int>{0});
    CHECK(guard.waiting() == 19);
    while (g.let_one())
        poll(context);
    CHECK(order == expected);
    check_idle(guard);
}

TEST_CASE("A guard counts 200 runs one after the other") {
    asio::io_context context;
    flow_guard guard{fixed_limit{2}};
    auto caller = [&]() -> asio::awaitable<int> {
        int sum = 0;
        for (int i = 0; i < 200; ++i)
            sum += co_await guard.run([&]() -> asio::awaitable<int> {
                co_await asio::post(context, asio::use_awaitable);
                co_return 1;
            });
        co_return sum;
    };
    const auto end = start(context, caller());
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 200);
    CHECK(guard.stats().succeeded == 200);
    check_idle(guard);
}

TEST_CASE("A guard with a limit of 2 runs 10000 tasks, and never more than 2 at once") {
    asio::io_context context;
    flow_guard guard{fixed_limit{2}, guard_options::for_batch()};
    int running = 0;
    int most = 0;
    auto task = [&]() -> asio::awaitable<void> {
        most = std::max(most, ++running);
        co_await asio::post(context, asio::use_awaitable);
        --running;
    };
    int completed = 0;
    for (int i = 0; i < 10'000; ++i)
        asio::co_spawn(context, guard.run(task), [&](std::exception_ptr e) { completed += e ? 0 : 1; });
    poll(context);
    CHECK(completed == 10'000);
    CHECK(most == 2);
    CHECK(guard.stats().succeeded == 10'000);
    CHECK(guard.stats().shed == 0);
    check_idle(guard);
}

TEST_CASE("A limit lowered from 100 to 1 admits no caller until all 100 calls have ended") {
    at_nine set_clock;
    asio::io_context context;
    scripted_strategy strategy{100, {{100, 1}, {1}}};
    scripted_guard guard{strategy};
    use_up(guard, 150); // the first window; the second is of one
    REQUIRE(strategy.windows().size() == 1);

    ticket member = guard.try_acquire();
    std::vector<ticket> others;
    for (int i = 0; i < 99; ++i) {
        others.push_back(guard.try_acquire());
        REQUIRE(others.back());
    }
    CHECK_FALSE(guard.try_acquire());
    CHECK(guard.in_flight() == 100);
    const auto waits = start(context, guard.run(give(1)));
    poll(context);

    member.success(); // the first call to end closes the window
    REQUIRE(strategy.windows().size() == 2);
    CHECK(guard.current_limit() == 1);
    CHECK(guard.in_flight() == 99);
    CHECK(guard.available_permits() == 0);
    for (int i = 0; i < 98; ++i) {
        others.pop_back();
        poll(context);
        REQUIRE_FALSE(waits->done);
        REQUIRE(guard.waiting() == 1);
    }
    CHECK(guard.in_flight() == 1);
    others.pop_back();
    poll(context);
    CHECK(waits->succeeded());
    check_idle(guard);
    CHECK(guard.available_permits() == 1);
}

TEST_CASE("A limit that is raised admits waiters at once") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_guard guard{scripted_strategy{1, {{4}}}, {.min_window = 1}};
    ticket t = guard.try_acquire();
    for (int i = 0; i < 6; ++i)
        start(context, guard.run(held(g)));
    poll(context);
    CHECK(guard.waiting() == 6);
    t.success();
    CHECK(guard.current_limit() == 4);
    CHECK(guard.waiting() == 2);
    CHECK(guard.in_flight() == 4);
    while (g.let_all() + poll(context) > 0) {
    }
    check_idle(guard);
}

TEST_CASE("A probe ends exactly with its last admission") {
    at_nine set_clock;
    scripted_strategy strategy{6, {{2, 5, 8}, {3}}};
    scripted_guard guard{strategy, {.min_window = 9}};
    use_up(guard, 8);
    CHECK(guard.current_limit() == 6);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 2);

    ticket first = guard.try_acquire();
    CHECK(first);
    for (int admitted = 1; admitted < 4; ++admitted) {
        ticket t = guard.try_acquire();
        CHECK(t);
        CHECK_FALSE(guard.try_acquire());
        CHECK(guard.current_limit() == 2);
    }
    ticket fifth = guard.try_acquire();
    CHECK(fifth);
    CHECK(guard.current_limit() == 8);
    CHECK(guard.available_permits() == 6);
    CHECK(strategy.windows().size() == 1);

    ticket later = guard.try_acquire(); // a member of no window
    first.success();
    CHECK(strategy.windows().size() == 1);
    fifth.success();
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows().back().limit == 2);
    CHECK(strategy.windows().back().admitted == 5);
    CHECK(strategy.windows().back().max_in_flight == 2);
    CHECK(guard.current_limit() == 3);
    later.success();
    check_idle(guard);
}

TEST_CASE("A probe that ends admits waiters") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_guard guard{scripted_strategy{4, {{1, 3, 4}, {4}}}, {.min_window = 6}};
    use_up(guard, 5);
    ticket last = guard.try_acquire();
    for (int i = 0; i < 10; ++i)
        start(context, guard.run(held(g)));
    poll(context); // three callers are admitted beside `last`
    CHECK(guard.in_flight() == 4);
    last.success(); // the probe begins: one of four
    CHECK(guard.current_limit() == 1);
    CHECK(guard.in_flight() == 3);
    CHECK(guard.waiting() == 7);
    for (const std::size_t in_flight : {2U, 1U}) {
        g.let_one();
        poll(context);
        CHECK(guard.in_flight() == in_flight);
        CHECK(guard.waiting() == 7);
    }
    for (const std::size_t waiting : {6U, 5U}) {
        g.let_one();
        poll(context);
        CHECK(guard.in_flight() == 1);
        CHECK(guard.waiting() == waiting);
        CHECK(guard.current_limit() == 1);
    }
    g.let_one();
    poll(context); // the third call of the probe is admitted, and with it three more
    CHECK(guard.current_limit() == 4);
    CHECK(guard.in_flight() == 4);
    CHECK(guard.waiting() == 1);
    while (g.let_all() + poll(context) > 0) {
    }
    check_idle(guard);
}

TEST_CASE("A plan without a limit after it keeps its limit") {
    scripted_guard guard{scripted_strategy{6, {{2, 3}}}, {.min_window = 9}};
    use_up(guard, 9);
    CHECK(guard.current_limit() == 2);
    use_up(guard, 3);
    CHECK(guard.current_limit() == 2);
    CHECK(guard.stats().windows == 2);
}

TEST_CASE("A plan that is out of range is clamped") {
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    scripted_guard guard{scripted_strategy{1, {{0, 1}, {huge, 1}, {1, 1, huge}, {1, huge}, {5, 1}}}, {.min_window = 1}};
    use_up(guard, 1);
    CHECK(guard.current_limit() == 1);
    use_up(guard, 1);
    CHECK(guard.current_limit() == flowguard::max_limit);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 1);
    const ticket t = guard.try_acquire();
    CHECK(guard.current_limit() == flowguard::max_limit);
}

TEST_CASE("A plan for a huge window gets a window that does not close soon") {
    for (const std::size_t admissions : {(std::size_t{1} << 33) + 1, std::numeric_limits<std::size_t>::max()}) {
        scripted_strategy strategy{1, {{1, admissions, 2}}};
        scripted_guard guard{strategy, {.min_window = 1}};
        use_up(guard, 1000);
        CHECK(strategy.windows().size() == 1);
        CHECK(guard.current_limit() == 1);
        check_idle(guard);
    }
}

TEST_CASE("If the plan gives no size, a window has 1.5 times the limit or min_window, whichever is more") {
    scripted_strategy strategy{10, {{10}, {2}, {2}}};
    scripted_guard guard{strategy, {.min_window = 7}};
    use_up(guard, 14);
    CHECK(strategy.windows().empty());
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 1);
    use_up(guard, 15);
    REQUIRE(strategy.windows().size() == 2);
    use_up(guard, 7);
    REQUIRE(strategy.windows().size() == 3);
    CHECK(strategy.windows()[1].admitted == 15);
    CHECK(strategy.windows()[2].admitted == 7);
    CHECK(strategy.windows()[2].limit == 2);
}

// What is measured

TEST_CASE("An RTT does not include the wait for the permit") {
    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    scripted_strategy strategy{1};
    scripted_guard guard{strategy, {.min_window = 2}};
    const auto first = start(context, guard.run(held(g)));
    const auto second = start(context, guard.run(held(g)));
    poll(context);
    manual_clock::at += 10ms;
    g.let_one();
    poll(context);
    manual_clock::at += 4ms;
    g.let_one();
    poll(context);
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.all.samples == 2);
    CHECK(w.all.mean == 7ms);
    CHECK(static_cast<double>(w.all.min().count()) == Approx(4e6).epsilon(0.07));
    CHECK(static_cast<double>(w.all.quantile(1).count()) == Approx(10e6).epsilon(0.07));
    CHECK(w.admitting == 10ms);
    CHECK(w.length == 14ms);
    CHECK(w.mean_in_flight == Approx(0.7));
}

TEST_CASE("A window tells how many calls were in flight, and the RTTs with few in flight") {
    at_nine set_clock;
    scripted_strategy strategy{6};
    scripted_guard guard{strategy, {.min_window = 9}};
    std::vector<ticket> tickets;
    for (int i = 0; i < 5; ++i)
        tickets.push_back(guard.try_acquire()); // with 1, 2, 3, 4, 5 in flight; 1 and 2 are few
    manual_clock::at += 2ms;
    for (ticket& t : tickets)
        t.success();
    tickets.clear();
    for (int i = 0; i < 4; ++i) {
        ticket t = guard.try_acquire();
        manual_clock::at += 1ms;
        t.success();
    }
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.max_in_flight == 5);
    CHECK(w.all.samples == 9);
    CHECK(w.low.samples == 6);
    CHECK(w.low.mean == 8'000'000ns / 6);
    CHECK(w.all.mean == 14'000'000ns / 9);
}

TEST_CASE("A call that is admitted when the window is full is counted, but is no sample") {
    at_nine set_clock;
    scripted_strategy strategy{4};
    scripted_guard guard{strategy, {.min_window = 6}};
    use_up(guard, 5);
    ticket last = guard.try_acquire();
    ticket late = guard.try_acquire();
    late.drop();
    last.success();
    REQUIRE(strategy.windows().size() == 1);
    CHECK(strategy.windows().front().dropped == 0);
    CHECK(strategy.windows().front().all.samples == 6);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A clock that steps backwards does no harm") {
    at_nine set_clock;
    scripted_strategy strategy{2};
    scripted_guard guard{strategy, {.min_window = 3}};
    ticket a = guard.try_acquire();
    manual_clock::at -= 1h;
    ticket b = guard.try_acquire();
    manual_clock::at -= 1h;
    a.success();
    b.drop();
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 1);
    const window& w = strategy.windows().front();
    CHECK(w.all.samples == 2);
    CHECK(w.dropped == 1);
    CHECK(w.all.mean == 0ns);
    CHECK(w.dropped_mean_rtt == 0ns);
    CHECK(w.length == 0ns);
    CHECK(w.admitting == 0ns);
    use_up(guard, 3);
    CHECK(strategy.windows().size() == 2);
    check_idle(guard);
}

TEST_CASE("A straggler does not keep the strategy waiting, and counts as unfinished") {
    at_nine set_clock;
    scripted_strategy strategy{5, {{5, 3}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    use_up(guard, 7); // the first window
    REQUIRE(strategy.windows().size() == 1);

    ticket straggler = guard.try_acquire();
    ticket a = guard.try_acquire();
    ticket b = guard.try_acquire();
    manual_clock::at += 200us;
    a.success();
    b.success();
    manual_clock::at += 68'466'666ns; // 10 + 1000 / 3 times 200 us since its admission, because a third is left
    use_up(guard, 1);
    CHECK(strategy.windows().size() == 1);
    manual_clock::at += 1ns;
    use_up(guard, 1); // closes the window, and is no member of the next one
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows().back().all.samples == 2);
    CHECK(strategy.windows().back().all.mean == 200us);
    CHECK(strategy.windows().back().unfinished == 1);

    use_up(guard, 3);
    CHECK(strategy.windows().size() == 3);
    CHECK(strategy.windows().back().all.samples == 3);
    use_up(guard, 2);
    straggler.drop(); // is no member of this window
    CHECK(strategy.windows().size() == 3);
    CHECK(guard.stats().dropped == 1);
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 4);
    CHECK(strategy.windows().back().all.samples == 3);
    CHECK(strategy.windows().back().dropped == 0);
    use_up(guard, 3);
    CHECK(strategy.windows().size() == 5);
    check_idle(guard);
}

TEST_CASE("Several windows may have stragglers at the same time") {
    at_nine set_clock;
    scripted_strategy strategy{50, {{50, 2}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    use_up(guard, 75);
    std::vector<ticket> stragglers;
    for (std::size_t i = 0; i < 10; ++i) {
        stragglers.push_back(guard.try_acquire());
        use_up(guard, 1);
        manual_clock::at += 2ms;
        use_up(guard, 1); // closes the window
        REQUIRE(strategy.windows().size() == i + 2);
    }
    CHECK(guard.in_flight() == 10);
    for (ticket& t : stragglers)
        t.success();
    CHECK(strategy.windows().size() == 11);
    for (std::size_t i = 0; i < 10; ++i) {
        use_up(guard, 2);
        CHECK(strategy.windows().size() == 12 + i);
        CHECK(strategy.windows().back().all.samples == 2);
    }
    check_idle(guard);
}

TEST_CASE("Stats tell the state, the counts, and the last window") {
    struct with_baseline : fixed_limit {
        flowguard::duration baseline() const noexcept { return 123us; }
    };
    at_nine set_clock;
    asio::io_context context;
    flow_guard<with_baseline, manual_clock> guard{with_baseline{fixed_limit{2}}, {.min_window = 4}};
    const guard_stats before = guard.stats();
    CHECK(before.limit == 2);
    CHECK(before.available_permits == 2);
    CHECK(before.in_flight == 0);
    CHECK(before.waiting == 0);
    CHECK(before.succeeded + before.ignored + before.dropped + before.shed + before.windows == 0);
    CHECK(before.rtt_mean == 0ns);
    CHECK(before.rtt_p50 == 0ns);
    CHECK(before.rtt_p99 == 0ns);
    CHECK(before.baseline_rtt == 0ns);

    for (const auto rtt : {1ms, 2ms, 9ms}) {
        auto t = guard.try_acquire();
        manual_clock::at += rtt;
        t.success();
    }
    auto a = guard.try_acquire();
    auto b = guard.try_acquire();
    CHECK_FALSE(guard.try_acquire());
    const auto waits = start(context, guard.run(give(1)));
    poll(context);
    const guard_stats during = guard.stats();
    CHECK(during.limit == 2);
    CHECK(during.available_permits == 0);
    CHECK(during.in_flight == 2);
    CHECK(during.waiting == 1);
    CHECK(during.succeeded == 3);
    CHECK(during.shed == 1);
    CHECK(during.windows == 0);
    CHECK(during.rtt_mean == 0ns);

    a.drop(); // the fourth of the window
    b.ignore();
    poll(context);
    const guard_stats after = guard.stats();
    CHECK(after.available_permits == 2);
    CHECK(after.in_flight == 0);
    CHECK(after.waiting == 0);
    CHECK(after.succeeded == 4);
    CHECK(after.ignored == 1);
    CHECK(after.dropped == 1);
    CHECK(after.windows == 1);
    CHECK(after.rtt_mean == 4ms);
    CHECK(static_cast<double>(after.rtt_p50.count()) == Approx(2e6).epsilon(0.07));
    CHECK(static_cast<double>(after.rtt_p99.count()) == Approx(9e6).epsilon(0.07));
    CHECK(after.baseline_rtt == 123us);
}

TEST_CASE("Stats have no baseline for a strategy without one") {
    scripted_guard guard{scripted_strategy{1}, {.min_window = 1}};
    use_up(guard, 3);
    CHECK(guard.stats().windows == 3);
    CHECK(guard.stats().baseline_rtt == 0ns);
}

// For each real call, which takes 50 ms, twenty calls are ignored (a 401 after 1 ms).
TEST_CASE("Ignored calls do not close a window early") {
    at_nine set_clock;
    scripted_strategy strategy{100, {{100, 21}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    use_up(guard, 150); // the first window; their RTTs are 0
    REQUIRE(strategy.windows().size() == 1);

    ticket real = guard.try_acquire();
    for (int i = 0; i < 20; ++i) {
        ticket t = guard.try_acquire();
        manual_clock::at += 1ms;
        t.ignore();
    }
    manual_clock::at += 29ms; // an RTT of 0 is known from before, but none of these calls'
    SECTION("the real one ends") {
        manual_clock::at += 1ms;
        real.success();
        REQUIRE(strategy.windows().size() == 2);
        const window& w = strategy.windows().back();
        CHECK(w.ignored == 20);
        CHECK(w.all.samples == 1);
        CHECK(w.all.mean == 50ms);
    }
    SECTION("it does not end") {
        use_up(guard, 1);
        CHECK(strategy.windows().size() == 1);
        manual_clock::at += 1s;
        use_up(guard, 1); // by now it is a straggler
        REQUIRE(strategy.windows().size() == 2);
        CHECK(strategy.windows().back().unfinished == 1);
        CHECK(strategy.windows().back().all.samples == 0);
        real.ignore();
    }
}

TEST_CASE("A window makes room for as many ignored calls as the window before had, up to twenty times its size") {
    at_nine set_clock;
    scripted_strategy strategy{10, {{10, 10}, {10, 10}, {10, 10}, {10, 10}}};
    scripted_guard guard{strategy, {.min_window = 1}};
    const auto ignore = [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i)
            guard.try_acquire().ignore();
    };
    use_up(guard, 5);
    ignore(10); // the first window: two of three are ignored
    REQUIRE(strategy.windows().size() == 1);
    use_up(guard, 29);
    CHECK(strategy.windows().size() == 1);
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows()[1].admitted == 30);

    ignore(10); // all of them are ignored
    REQUIRE(strategy.windows().size() == 3);
    use_up(guard, 99); // ten times as many, because one call is assumed to tell something
    CHECK(strategy.windows().size() == 3);
    use_up(guard, 1);
    REQUIRE(strategy.windows().size() == 4);
    CHECK(strategy.windows()[3].admitted == 100);
}

// A service that answers no call, while its callers give up and cancel: no RTT of it is known.
TEST_CASE("vegas_strategy keeps its limit while no call succeeds and callers cancel") {
    at_nine set_clock;
    flow_guard<flowguard::vegas_strategy, manual_clock> guard{flowguard::vegas_strategy{20}};
    using vegas_ticket = decltype(guard)::ticket;
    std::deque<vegas_ticket> calls;
    for (int i = 0; i < 20'000; ++i) {
        if (auto t = guard.try_acquire())
            calls.push_back(std::move(t));
        manual_clock::at += 10ms;
        if (i % 3 != 0 && calls.size() > 1) { // some calls keep hanging
            calls.front().ignore();
            calls.pop_front();
        }
    }
    CHECK(guard.current_limit() == 20);
    CHECK(guard.stats().succeeded == 0);
}
