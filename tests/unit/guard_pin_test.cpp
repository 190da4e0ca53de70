// guard_pin_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A limit that an operator has pinned.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/metrics/prometheus.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_guard.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Message;
using flowguard::duration;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::limit_decision;
using flowguard::plan;
using support::manual_clock;
using support::scripted_strategy;

using scene = support::scripted_guard;
using guard_type = scene::guard_type;
using ticket = scene::ticket;

plan scheduled(duration begins_in) {
    plan p(10, 20);
    p.scheduled = {.begins_in = begins_in, .limit = 3, .admissions = 6, .within = 1s};
    return p;
}

plan spaced(duration spacing) {
    plan p(1, 20);
    p.spacing = spacing;
    return p;
}

} // namespace

TEST_CASE("A higher pinned limit admits waiters at once, also if no task ever ends") {
    scene s({plan(10, 20)});
    s.hold(10);
    asio::io_context context;
    s.wait(context, 30);
    support::poll(context);
    CHECK(s.served.empty());
    s.guard->pin_limit(30);
    CHECK(s.guard->current_limit() == 30);
    support::poll(context);
    CHECK(s.served.size() == 20);
    CHECK(s.guard->waiting() == 10);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 10);
    s.served.clear(); // 20 tasks end
    support::poll(context);
    CHECK(s.guard->in_flight() == 10);
    CHECK(s.guard->waiting() == 10);
}

TEST_CASE("A lower pinned limit revokes no permit, and admits nobody until fewer are in flight") {
    scene s({plan(10, 20)});
    s.hold(10);
    s.guard->pin_limit(4);
    CHECK(s.guard->current_limit() == 4);
    CHECK(s.guard->in_flight() == 10);
    s.held.resize(4);
    CHECK_FALSE(s.guard->try_acquire());
    s.held.resize(3);
    CHECK(s.guard->try_acquire());
}

TEST_CASE("A limit out of range is not pinned") {
    scene s({plan(10, 20)});
    CHECK_THROWS_MATCHES(s.guard->pin_limit(0), std::invalid_argument,
                         Message("flowguard: limit is 0, must be in [1, 268435455]"));
    CHECK_THROWS_MATCHES(s.guard->pin_limit(flowguard::max_limit + 1), std::invalid_argument,
                         Message("flowguard: limit is 268435456, must be in [1, 268435455]"));
    CHECK_FALSE(s.guard->stats().pinned);
    CHECK(s.guard->current_limit() == 10);
    s.guard->pin_limit(flowguard::max_limit);
    CHECK(s.guard->current_limit() == flowguard::max_limit);
}

TEST_CASE("Pinning and unpinning again changes nothing") {
    scene s({plan(10, 20)});
    s.guard->unpin_limit();
    CHECK(s.guard->trace().size() == 1);
    s.guard->pin_limit(30);
    s.guard->pin_limit(30);
    CHECK(s.guard->trace().size() == 2);
    s.guard->pin_limit(40);
    CHECK(s.guard->current_limit() == 40);
    CHECK(s.guard->trace().size() == 3);
    s.guard->unpin_limit();
    s.guard->unpin_limit();
    CHECK(s.guard->trace().size() == 4);
    CHECK(s.guard->current_limit() == 10);
}

TEST_CASE("While the limit is pinned, the strategy is asked about no window, and the stats go on") {
    scene s({plan(10, 20), plan(12, 20), plan(14, 20)});
    s.hold(3); // of the window that is open
    s.guard->pin_limit(5);
    s.held.clear();
    for (int i = 0; i < 200; ++i) {
        ticket t = s.guard->try_acquire();
        manual_clock::at += 7ms;
        t.success();
    }
    CHECK(s.asked() == 1);
    CHECK(s.guard->stats().windows == 1);
    CHECK(s.guard->stats().rtt_mean == 7ms);
    CHECK(s.guard->stats().succeeded == 215);
    CHECK(s.guard->current_limit() == 5);
}

TEST_CASE("After it was unpinned, the strategy is asked about the first whole window of its own limit") {
    scene s({plan(10, 20), plan(12, 20)});
    s.call(10);
    s.guard->pin_limit(5);
    s.call(13);
    s.hold(2);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 10);
    s.call(19);
    s.held.clear();
    CHECK(s.asked() == 1);
    s.call(1);
    REQUIRE(s.asked() == 2);
    const flowguard::window& w = s.strategy.windows()[1];
    CHECK(w.limit == 10);
    CHECK(w.admitted == 20);
    CHECK(w.all.samples == 20);
    CHECK(s.guard->current_limit() == 12);
}

TEST_CASE("A pin that comes and goes between two calls spoils the open window, too") {
    scene s({plan(10, 20), plan(12, 20)});
    s.call(10);
    s.guard->pin_limit(5);
    s.guard->unpin_limit();
    s.call(19);
    CHECK(s.asked() == 1);
    s.call(1);
    REQUIRE(s.asked() == 2);
    CHECK(s.strategy.windows()[1].admitted == 20);
}

TEST_CASE("Calls that never end do not keep the strategy from learning after a pin") {
    scene s({plan(10, 10), plan(12, 20)});
    s.hold(10); // all members of the window
    s.guard->pin_limit(20);
    s.hold(10); // and of the next one
    s.guard->pin_limit(40);
    s.hold(10);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 10);
    s.held.resize(5);
    s.call(9);
    CHECK(s.asked() == 1);
    s.call(1);
    REQUIRE(s.asked() == 2);
    CHECK(s.strategy.windows()[1].admitted == 10);
    CHECK(s.guard->current_limit() == 12);
    s.held.clear();
    s.call(19);
    CHECK(s.asked() == 2);
    s.call(1);
    CHECK(s.asked() == 3);
}

TEST_CASE("A pin ends a probe, and the limit after the probe comes back") {
    scene s({plan(3, 20, 10, 1h), plan(12, 20)});
    REQUIRE(s.guard->current_limit() == 3);
    const int members = GENERATE(0, 5, 20);
    CAPTURE(members);
    if (members != 0)
        s.call(static_cast<std::size_t>(members) - 1); // one more would close the window
    if (members == 20) {
        s.hold(1);
        REQUIRE(s.guard->current_limit() == 10);
    }
    s.guard->pin_limit(7);
    CHECK(s.guard->current_limit() == 7);
    s.hold(1);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 10);
    manual_clock::at += 1h; // the bound of the probe
    s.call(1);
    CHECK(s.guard->current_limit() == 10);
    s.held.clear();
    CHECK(s.asked() == 1);
    s.call(20);
    REQUIRE(s.asked() == 2);
    CHECK(s.strategy.windows()[1].limit == 10);
}

TEST_CASE("After a pin has ended a probe, no timer keeps the context of a waiter running") {
    scene s({plan(10, 20), plan(3, 20, 10, 1h), plan(12, 20)});
    asio::io_context context;
    s.call(19);
    ticket last = s.guard->try_acquire();
    s.hold(9);
    last.success();
    REQUIRE(s.guard->current_limit() == 3);
    s.wait(context, 1);
    support::poll(context);
    CHECK_FALSE(context.stopped()); // the waiter watches for the end of the probe
    s.guard->pin_limit(10);
    support::poll(context);
    CHECK(s.served.size() == 1);
    CHECK(context.stopped());
}

TEST_CASE("A probe that a pin has ended does not change the limit any more") {
    scene s({plan(3, 20, 10, 1s), plan(12, 20)});
    s.hold(1);
    s.guard->pin_limit(7);
    manual_clock::at += 1s;
    const bool comes_later = GENERATE(false, true);
    if (comes_later) // a call that looks finds the bound
        s.held.clear();
    CHECK(s.guard->current_limit() == 7);
    s.call(1);
    CHECK(s.guard->current_limit() == 7);
    s.call(100);
    CHECK(s.guard->current_limit() == 7);
    CHECK(s.asked() == 1);
}

TEST_CASE("A probe without a bound in time ends by a pin as well") {
    scene s({plan(3, 20, 10, duration::max()), plan(12, 20)});
    s.hold(2);
    s.guard->pin_limit(7);
    s.call(1);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 10);
    s.call(20);
    CHECK(s.asked() == 2);
}

TEST_CASE("A pin ends a scheduled probe, before it begins and after") {
    scene s({scheduled(1s), plan(12, 20)});
    const bool has_begun = GENERATE(false, true);
    CAPTURE(has_begun);
    if (has_begun) {
        manual_clock::at += 1s;
        s.call(2);
        REQUIRE(s.guard->current_limit() == 3);
    }
    s.guard->pin_limit(7);
    CHECK(s.guard->current_limit() == 7);
    manual_clock::at += 1s;
    s.call(2);
    CHECK(s.guard->current_limit() == 7);
    s.guard->unpin_limit();
    s.call(1);
    CHECK(s.guard->current_limit() == 10);
    manual_clock::at += 1h;
    s.call(18);
    CHECK(s.guard->current_limit() == 10);
    CHECK(s.asked() == 1);
    s.call(1);
    REQUIRE(s.asked() == 2);
    CHECK(s.strategy.windows()[1].limit == 10);
}

TEST_CASE("A pin ends the wait for a turn, and unpinning brings the spacing back") {
    scene s({spaced(1h)});
    asio::io_context context;
    s.call(1);
    REQUIRE_FALSE(s.guard->try_acquire());
    s.wait(context, 5);
    support::poll(context);
    CHECK(s.served.empty());
    s.guard->pin_limit(4);
    support::poll(context);
    CHECK(s.served.size() == 4);
    CHECK(s.guard->stats().spacing == 0ns);
    s.served.clear();
    support::poll(context);
    CHECK(s.served.size() == 1);
    s.served.clear();
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 1);
    CHECK(s.guard->stats().spacing == 1h);
    s.call(1);
    CHECK_FALSE(s.guard->try_acquire());
    manual_clock::at += 90min;
    CHECK(s.guard->try_acquire());
}

TEST_CASE("Stats, trace and metrics say that the limit is pinned") {
    scene s({plan(10, 20)});
    CHECK_FALSE(s.guard->stats().pinned);
    manual_clock::at = 10h;
    s.guard->pin_limit(4);
    CHECK(s.guard->stats().pinned);
    CHECK(s.guard->stats().limit == 4);
    CHECK(s.guard->stats().limit_reason == std::string("pinned by hand"));
    const flowguard::named_stats named[] = {{"a", s.guard->stats()}};
    CHECK(flowguard::prometheus_text(named).find("flowguard_limit_pinned{guard=\"a\"} 1\n") != std::string::npos);
    manual_clock::at = 11h;
    s.guard->unpin_limit();
    CHECK_FALSE(s.guard->stats().pinned);
    CHECK(s.guard->stats().limit_reason == std::string());

    const std::vector<limit_decision> trace = s.guard->trace();
    REQUIRE(trace.size() == 3);
    CHECK(trace[1].at == 10h);
    CHECK(trace[1].before == 10);
    CHECK(trace[1].limit == 4);
    CHECK(trace[1].reason == std::string("pinned by hand"));
    CHECK(trace[2].at == 11h);
    CHECK(trace[2].before == 4);
    CHECK(trace[2].limit == 10);
    CHECK(trace[2].reason == std::string("unpinned by hand"));
    CHECK(to_string(trace[2]) == "39600.000 s: 4 -> 10, unpinned by hand; 0 samples, 0 dropped, 0 ignored, 0.0 in "
                                 "flight, RTT 0.000 ms, baseline 0.000 ms");
}

TEST_CASE("An observer of decisions may pin the limit") {
    std::optional<guard_type> guard;
    manual_clock::at = 9h;
    guard.emplace(scripted_strategy(10, {plan(20, 20), plan(30, 20)}),
                  guard_options{.min_window = 1, .on_decision = [&](const limit_decision&) { guard->pin_limit(5); }});
    support::use_up(*guard, 15);
    CHECK(guard->current_limit() == 5);
    CHECK(guard->stats().windows == 1);
    guard->unpin_limit();
    CHECK(guard->current_limit() == 20); // what the strategy had just decided
    support::use_up(*guard, 19);
    CHECK(guard->stats().windows == 1);
    guard->try_acquire().success();
    CHECK(guard->stats().windows == 2);
    CHECK(guard->current_limit() == 5);
}

TEST_CASE("An observer of rejections may pin the limit that sheds") {
    std::optional<guard_type> guard;
    guard.emplace(scripted_strategy(1), guard_options{.on_rejection = [&](flowguard::rejection) {
                      guard->pin_limit(guard->current_limit() + 1);
                  }});
    const ticket first = guard->try_acquire();
    CHECK_FALSE(guard->try_acquire());
    CHECK(guard->current_limit() == 2);
    CHECK(guard->try_acquire());
}

TEST_CASE("An observer of rejections may destroy the guard inside a change by hand that sheds") {
    std::optional<guard_type> guard;
    ticket held;
    manual_clock::at = 9h;
    guard.emplace(scripted_strategy(1), guard_options{.order = flowguard::wait_order::adaptive,
                                                      .target = 1ms,
                                                      .interval = 1ms,
                                                      .on_rejection = [&](flowguard::rejection) {
                                                          guard.reset();
                                                          held = {}; // the last that keeps the guard's state alive
                                                      }});
    held = guard->try_acquire();
    const bool is_pinned = GENERATE(false, true);
    if (is_pinned)
        guard->pin_limit(1);
    asio::io_context context;
    std::vector<flowguard::error_code> ended;
    for (int i = 0; i < 3; ++i)
        guard->async_acquire(
            asio::bind_executor(context, [&](flowguard::error_code e, ticket) { ended.push_back(e); }));
    manual_clock::at += 50ms; // all of them have waited too long
    SECTION("pin_limit") {
        guard->pin_limit(2);
    }
    if (is_pinned) {
        SECTION("unpin_limit") {
            guard->unpin_limit();
        }
    } else {
        SECTION("set_limit_bounds") {
            guard->set_limit_bounds(2, 2);
        }
    }
    SECTION("reset") {
        guard->reset();
    }
    CHECK_FALSE(guard);
    CHECK_FALSE(held);
    support::poll(context);
    CHECK(ended.size() == 3);
}

TEST_CASE("vegas_strategy has its limit and its baseline from before a pin") {
    manual_clock::at = 9h;
    flow_guard<flowguard::vegas_strategy, manual_clock> guard{flowguard::vegas_strategy{8}};
    support::make_rounds(guard, 20, 10ms);
    const std::size_t before = guard.current_limit();
    CHECK(before >= 8);
    guard.pin_limit(2);
    support::make_rounds(guard, 1000, 500ms); // an incident
    CHECK(guard.current_limit() == 2);
    guard.unpin_limit();
    CHECK(guard.current_limit() == before);
    CHECK(guard.stats().baseline_rtt >= 9ms);
    CHECK(guard.stats().baseline_rtt <= 11ms);
}
