// guard_bounds_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Bounds of the limit that are set while the guard is in use.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/aimd_strategy.hpp"
#include "flowguard/strategies/gradient2_strategy.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_guard.hpp"

namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Message;
using flowguard::duration;
using flowguard::flow_guard;
using flowguard::max_limit;
using flowguard::plan;
using support::manual_clock;

using scene = support::scripted_guard;

} // namespace

TEST_CASE("Bounds change the present limit at once, and admit waiters") {
    scene s({plan(10, 20)});
    s.hold(10);
    asio::io_context context;
    s.wait(context, 10);
    s.guard->set_limit_bounds(14, 100);
    CHECK(s.guard->current_limit() == 14);
    support::poll(context);
    CHECK(s.served.size() == 4);
    s.guard->set_limit_bounds(1, 3);
    CHECK(s.guard->current_limit() == 3);
    CHECK(s.guard->in_flight() == 14);
    s.guard->set_limit_bounds(1, max_limit);
    CHECK(s.guard->current_limit() == 10);
}

TEST_CASE("Bounds out of range are not set") {
    scene s({plan(10, 20)});
    CHECK_THROWS_MATCHES(s.guard->set_limit_bounds(0, 5), std::invalid_argument,
                         Message("flowguard: min is 0, must be in [1, 268435455]"));
    CHECK_THROWS_MATCHES(s.guard->set_limit_bounds(6, 5), std::invalid_argument,
                         Message("flowguard: max is 5, must be in [6, 268435455]"));
    CHECK_THROWS_MATCHES(s.guard->set_limit_bounds(6, max_limit + 1), std::invalid_argument,
                         Message("flowguard: max is 268435456, must be in [6, 268435455]"));
    CHECK(s.guard->stats().min_limit == 1);
    CHECK(s.guard->stats().max_limit == max_limit);
    CHECK(s.guard->trace().size() == 1);
}

TEST_CASE("What the strategy wants is kept within the bounds, and comes back without them") {
    scene s({plan(10, 20), plan(50, 20), plan(2, 20), plan(30, 20)});
    s.guard->set_limit_bounds(5, 20);
    CHECK(s.guard->current_limit() == 10);
    s.call(20);
    CHECK(s.guard->current_limit() == 20);
    s.call(20);
    CHECK(s.guard->current_limit() == 5);
    s.call(20);
    CHECK(s.guard->current_limit() == 20);
    CHECK(s.asked() == 4);
    CHECK(s.guard->trace().back().limit == 30); // what the strategy decided
    s.guard->set_limit_bounds(1, max_limit);
    CHECK(s.guard->current_limit() == 30);
}

TEST_CASE("Bounds that change nothing in force leave the open window as it is") {
    scene s({plan(10, 20), plan(11, 20)});
    s.call(19);
    s.guard->set_limit_bounds(2, 100);
    s.guard->set_limit_bounds(3, 50);
    CHECK(s.guard->stats().min_limit == 3);
    CHECK(s.guard->stats().max_limit == 50);
    CHECK(s.guard->trace().size() == 1);
    s.call(1);
    CHECK(s.asked() == 2);
    CHECK(s.latest().admitted == 20);
}

TEST_CASE("A window that is open while bounds change the limit is no sample") {
    scene s({plan(10, 20), plan(11, 20)});
    s.call(19);
    s.guard->set_limit_bounds(1, 8);
    s.call(19);
    CHECK(s.asked() == 1);
    s.call(1);
    CHECK(s.asked() == 2);
    CHECK(s.latest().admitted == 20);
}

TEST_CASE("A strategy sees a lower bound as the limit, and an upper bound as less demand") {
    scene s({plan(10, 20), plan(10, 20), plan(10, 20)});
    s.guard->set_limit_bounds(15, 40);
    s.hold(15);
    s.release();
    s.call(5);
    REQUIRE(s.asked() == 2);
    CHECK(s.latest().limit == 15);
    CHECK(s.latest().max_in_flight == 15);
    s.guard->set_limit_bounds(1, 6);
    s.hold(6);
    CHECK_FALSE(s.guard->try_acquire());
    s.release();
    s.call(14);
    REQUIRE(s.asked() == 3);
    CHECK(s.latest().limit == 10);
    CHECK(s.latest().max_in_flight == 6);
}

TEMPLATE_TEST_CASE("An upper bound does not let a strategy raise its limit on and on", "", flowguard::vegas_strategy,
                   flowguard::gradient2_strategy, flowguard::aimd_strategy) {
    flow_guard<TestType, manual_clock> guard{TestType{20}};
    guard.set_limit_bounds(1, 15);
    for (int round = 0; round < 1000; ++round)
        CHECK(support::make_round(guard, 10ms) <= 15);
    CHECK(guard.stats().windows > 100);
    guard.set_limit_bounds(1, max_limit);
    CHECK(guard.current_limit() >= 15);
    CHECK(guard.current_limit() <= 30); // gradient2_strategy goes on until hardly half of its limit is used
}

TEST_CASE("A probe is kept within the bounds, too") {
    scene s({plan(3, 20, 10, 1h), plan(10, 20)});
    REQUIRE(s.guard->current_limit() == 3);
    SECTION("that were set before it begins") {
        scene t({plan(10, 20), plan(3, 20, 40, 1h), plan(10, 20)});
        t.guard->set_limit_bounds(5, 20);
        t.call(20);
        CHECK(t.guard->current_limit() == 5);
        t.call(19);
        CHECK(t.guard->current_limit() == 5);
        t.hold(1);
        CHECK(t.guard->current_limit() == 20);
        t.release();
        CHECK(t.latest().limit == 5);
        CHECK(t.asked() == 3);
    }
    SECTION("that are set while it goes on: it ends") {
        s.guard->set_limit_bounds(5, 20);
        CHECK(s.guard->current_limit() == 10);
        s.call(14); // a window of the guard's own size
        CHECK(s.asked() == 1);
        s.hold(1);
        manual_clock::at += 2h;
        s.release();
        REQUIRE(s.asked() == 2);
        CHECK(s.latest().limit == 10);
    }
    SECTION("that are set while it goes on, and do not concern it") {
        s.guard->set_limit_bounds(2, 20);
        CHECK(s.guard->current_limit() == 3);
        s.call(20);
        CHECK(s.asked() == 2);
        CHECK(s.latest().limit == 3);
    }
}

TEST_CASE("A scheduled probe is kept within the bounds") {
    plan p(10, 20);
    p.scheduled = {.begins_in = 1s, .limit = 3, .admissions = 6, .within = 1h};
    scene s({plan(10, 20), p, plan(10, 20)});
    s.guard->set_limit_bounds(5, 8);
    s.call(20);
    CHECK(s.guard->current_limit() == 8);
    manual_clock::at += 1s;
    s.call(1);
    CHECK(s.guard->current_limit() == 5);
    s.call(5);
    CHECK(s.guard->current_limit() == 8);
    CHECK(s.asked() == 3);
    CHECK(s.latest().limit == 5);
}

TEST_CASE("A lower bound above one takes away the spacing of a limit below one") {
    plan below_one(1, 20);
    below_one.spacing = 1h;
    scene s({below_one});
    s.call(1);
    REQUIRE_FALSE(s.guard->try_acquire());
    s.guard->set_limit_bounds(1, 5);
    CHECK(s.guard->stats().spacing == 1h);
    CHECK_FALSE(s.guard->try_acquire());
    s.guard->set_limit_bounds(2, 5);
    CHECK(s.guard->current_limit() == 2);
    CHECK(s.guard->stats().spacing == 0ns);
    s.call(100);
    CHECK(s.latest().limit == 2);
    CHECK(s.latest().spacing == 0ns);
    s.guard->set_limit_bounds(1, 1);
    CHECK(s.guard->stats().spacing == 1h);
    s.call(1);
    CHECK_FALSE(s.guard->try_acquire());
}

TEST_CASE("An upper bound of one has no spacing") {
    scene s({plan(10, 20)});
    s.guard->set_limit_bounds(1, 1);
    CHECK(s.guard->current_limit() == 1);
    CHECK(s.guard->stats().spacing == 0ns);
    s.call(100);
    CHECK(s.guard->stats().succeeded == 115);
}

TEST_CASE("A pinned limit may be beyond the bounds, which are in force again afterwards") {
    scene s({plan(10, 20), plan(11, 20)});
    s.guard->pin_limit(30);
    s.guard->set_limit_bounds(2, 8);
    CHECK(s.guard->current_limit() == 30);
    CHECK(s.guard->stats().max_limit == 8);
    s.call(1);
    s.guard->pin_limit(1);
    CHECK(s.guard->current_limit() == 1);
    s.guard->unpin_limit();
    CHECK(s.guard->current_limit() == 8);
    s.call(20);
    CHECK(s.asked() == 2);
    CHECK(s.guard->current_limit() == 8);
}

TEST_CASE("Stats and trace tell of the bounds") {
    scene s({plan(10, 20)});
    CHECK(s.guard->stats().limit_reason == std::string());
    s.guard->set_limit_bounds(2, 8);
    CHECK(s.guard->stats().min_limit == 2);
    CHECK(s.guard->stats().max_limit == 8);
    CHECK(s.guard->stats().limit == 8);
    CHECK(s.guard->stats().limit_reason == std::string("bounds set by hand"));
    CHECK_FALSE(s.guard->stats().pinned);
    REQUIRE(s.guard->trace().size() == 2);
    CHECK(s.guard->trace().back().before == 10);
    CHECK(s.guard->trace().back().limit == 8);
    CHECK(s.guard->trace().back().reason == std::string("bounds set by hand"));
    s.guard->set_limit_bounds(2, 8);
    CHECK(s.guard->trace().size() == 2);
    s.guard->set_limit_bounds(2, 80);
    CHECK(s.guard->stats().limit_reason == std::string());
}
