// wait_queue_full_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Which waiter is evicted when more callers wait than max_waiters allows.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>

#include "support/manual_clock.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::wait_policy;
using flowguard::detail::wait_result;
using flowguard::priority;
using flowguard::rejection;
using support::caller;
using support::manual_clock;
using support::manual_time;
using support::scene;

} // namespace

TEST_CASE("Above max_waiters, the last ones to come are evicted") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'};
    scene s{{.max_waiters = 2}};
    s.arrive(a);
    s.arrive(b);
    s.shed();
    CHECK(s.decided().empty());
    s.arrive(c);
    s.arrive(d);
    s.shed();
    CHECK(s.decided() == "d! c! ");
    CHECK(s.queue.size() == 2);
    CHECK(s.queue.rejected.of(rejection::queue_full) == 2);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "a+ b+ ");
    CHECK_FALSE(c.claim()); // too late to be cancelled
}

TEST_CASE("A waiter that a free permit serves is not evicted") {
    caller a{'a'}, b{'b'};
    scene s{{.max_waiters = 0}};
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 1;
    s.serve();
    s.shed();
    CHECK(s.decided() == "a+ b! ");
}

TEST_CASE("A waiter that is cancelled while too many wait is decided once, by its cancellation, and makes room") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s{{.max_waiters = 2}};
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    REQUIRE(c.claim());
    c.result = wait_result::aborted;
    s.shed();
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 3); // its cancel message is still to come
    s.withdraw(c);
    CHECK(s.decided() == "c- ");
    CHECK(s.queue.size() == 2);
    CHECK(s.queue.rejected.of(rejection::queue_full) == 0);
    CHECK(s.queue.rejected.of(rejection::cancelled) == 1);
}

TEST_CASE("Above max_waiters, the lowest priority is evicted first, even if it came first") {
    caller a{'a', priority::sheddable}, b{'b', priority::critical}, c{'c', priority::sheddable};
    caller d{'d', priority::sheddable_plus}, e{'e', priority::critical};
    scene s{{.max_waiters = 2}};
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    s.shed();
    CHECK(s.decided() == "c! ");
    s.arrive(d);
    s.shed();
    CHECK(s.decided() == "a! ");
    s.arrive(e);
    s.shed();
    CHECK(s.decided() == "d! ");
    CHECK(s.queue.size() == 2);
}

TEST_CASE("Above max_waiters, the waiter that is served next is kept, unless it is the only one") {
    // `old` has aged to the highest priority.
    caller old{'o', priority::sheddable}, high{'h', priority::critical}, higher{'H', priority::critical_plus};
    scene s{{.max_waiters = 2, .ageing = 1ms, .now = manual_time}};
    manual_clock::at = 0ms;
    s.arrive(old);
    manual_clock::at = 10ms;
    s.arrive(high);
    s.arrive(higher);
    s.shed();
    CHECK(s.decided() == "h! ");
    scene none{{.max_waiters = 0}};
    caller alone{'a'};
    none.arrive(alone);
    none.shed();
    CHECK(none.decided() == "a! ");
}

TEST_CASE("Only a caller that may evict another waiter is let into a full queue") {
    caller a{'a', priority::critical}, b{'b', priority::sheddable}, c{'c', priority::critical_plus};
    SECTION("by priority") {
        scene s{wait_policy{.max_waiters = 1}};
        CHECK(s.queue.is_bounded());
        CHECK(s.queue.most_waiters_with(a.lane) == 1);
        s.arrive(a);
        CHECK(s.queue.most_waiters_with(b.lane) == 1);
        CHECK(s.queue.most_waiters_with(c.lane) > 1);
    }
    SECTION("by the order") {
        scene s{wait_policy{.max_waiters = 1, .order = flowguard::wait_order::adaptive, .now = manual_time}};
        CHECK(s.queue.most_waiters_with(a.lane) > 1);
    }
    SECTION("where no caller may wait, none is let in") {
        scene s{wait_policy{.max_waiters = 0, .order = flowguard::wait_order::adaptive, .now = manual_time}};
        CHECK(s.queue.most_waiters_with(a.lane) == 0);
    }
    SECTION("where any number may wait, there is no bound") {
        CHECK_FALSE(scene{}.queue.is_bounded());
    }
}
