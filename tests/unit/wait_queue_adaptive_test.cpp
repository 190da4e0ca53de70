// wait_queue_adaptive_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// wait_order::adaptive: when a queue stands, which waiters it then sheds, and which it serves first.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>

#include "support/manual_clock.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::wait_result;
using flowguard::priority;
using flowguard::rejection;
using support::adaptive_scene;
using support::caller;
using support::manual_clock;
using support::manual_time;
using support::scene;

} // namespace

TEST_CASE("A queue stands once the first waiter has waited longer than the target for a whole interval") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.permit_at(99); // still first come, first served
    CHECK(s.decided() == "a+ ");
    s.comes_at(99, c);
    s.permit_at(100); // the queue stands: c is served first, and b is kept because it is next
    CHECK(s.decided() == "c+ ");
    s.comes_at(101, d);
    CHECK(s.decided() == "b? ");
    s.permit_at(102);
    CHECK(s.decided() == "d+ ");
    CHECK(s.queue.rejected.of(rejection::overdue) == 1);
}

TEST_CASE("A wait within the target restarts the interval") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.permit_at(50);
    CHECK(s.decided() == "a+ ");
    s.permit_at(50);
    CHECK(s.decided() == "b+ ");
    s.comes_at(51, c);
    s.comes_at(56, d); // c has waited for exactly the target, which is not too long
    s.permit_at(57);
    CHECK(s.decided() == "c+ ");
    s.comes_at(155, e);
    s.permit_at(155); // 99 ms later
    CHECK(s.decided() == "d+ ");
}

TEST_CASE("A standing queue keeps the waiters within the target, and serves the last one first") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, c); // the queue stands, and both are overdue
    CHECK(s.decided() == "a? b? ");
    s.comes_at(108, d);
    s.comes_at(110, e);
    s.permit_at(111); // c has waited for exactly the target
    CHECK(s.decided() == "e+ ");
    s.permit_at(112);
    CHECK(s.decided() == "d+ ");
    s.permit_at(200); // the only waiter is not shed, however long it has waited
    CHECK(s.decided() == "c+ ");
}

TEST_CASE("A standing queue drains after an interval without a long wait, and serves the first waiter first again") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'}, f{'f'}, g{'g'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, c);
    CHECK(s.decided() == "a? b? ");
    s.permit_at(107); // no waiter is left, but perhaps only for a moment
    CHECK(s.decided() == "c+ ");
    s.comes_at(204, d);
    s.comes_at(205, e);
    s.permit_at(205);
    s.permit_at(205);
    CHECK(s.decided() == "e+ d+ ");
    s.comes_at(206, f); // 100 ms after the last wait that was too long
    s.comes_at(207, g);
    s.permit_at(208);
    CHECK(s.decided() == "f+ ");
}

TEST_CASE("Above max_waiters, a standing queue evicts its first waiters") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'};
    adaptive_scene s{2};
    s.comes_at(0, a);
    s.comes_at(1, b);
    s.comes_at(6, c); // the queue does not stand yet, so the last waiter is evicted
    CHECK(s.decided() == "c! ");
    s.comes_at(106, d);
    CHECK(s.decided() == "a? b? ");
    s.comes_at(107, e);
    caller f{'f'};
    s.comes_at(108, f);
    CHECK(s.decided() == "d! ");
    CHECK(s.queue.size() == 2);
}

TEST_CASE("In a standing queue, a waiter for several permits keeps its turn once the first of them is free") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'}, f{'f'}, heavy{'H', 3};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, c);
    CHECK(s.decided() == "a? b? ");
    s.comes_at(107, heavy);
    s.comes_at(107, d);
    s.permit_at(107); // no permit was free when it was the newest
    CHECK(s.decided() == "d+ ");
    s.permit_at(108);
    s.comes_at(108, e);
    s.permit_at(109);
    CHECK(s.decided().empty());
    CHECK(s.hand.free == 2);
    s.comes_at(120, f); // is the newest, and all others are overdue
    CHECK(s.decided() == "c? e? ");
    s.permit_at(121);
    CHECK(s.decided() == "H+ ");
    s.permit_at(121);
    CHECK(s.decided() == "f+ ");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("A waiter that keeps its turn is not evicted, and a newer one has the turn if it is cancelled") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'}, heavy{'H', 3};
    adaptive_scene s{2};
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, heavy);
    CHECK(s.decided() == "a? b? ");
    s.permit_at(106);
    s.comes_at(107, c);
    s.comes_at(107, d);
    CHECK(s.decided() == "c! ");
    s.comes_at(107, e);
    CHECK(s.decided() == "d! ");
    REQUIRE(heavy.claim());
    heavy.result = wait_result::aborted;
    s.withdraw(heavy);
    s.serve();
    CHECK(s.decided() == "H- e+ ");
}

TEST_CASE("A waiter that is cancelled while it is overdue is decided once, by its cancellation") {
    caller a{'a'}, b{'b'}, c{'c'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    REQUIRE(a.claim());
    a.result = wait_result::aborted;
    s.comes_at(106, c);
    CHECK(s.decided() == "b? ");
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 1);
}

TEST_CASE("A standing lane does not age: it serves its last waiter first, and sheds the overdue ones") {
    caller a{'a', priority::sheddable}, b{'b', priority::sheddable}, c{'c', priority::sheddable};
    caller high{'h', priority::critical};
    scene s{{.order = flowguard::wait_order::adaptive,
             .times = {.target = 40ms, .interval = 50ms},
             .ageing = 20ms,
             .now = manual_time}};
    manual_clock::at = 0ms;
    s.arrive(a);
    manual_clock::at = 30ms;
    s.arrive(b);
    manual_clock::at = 50ms;
    s.arrive(c);
    s.arrive(high);
    s.serve(); // no permit is free, but the queue sees that the lane stands
    s.shed();
    CHECK(s.decided() == "a? ");
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "h+ c+ ");
}

TEST_CASE("A lane that was empty starts a new interval") {
    caller a{'a'}, b{'b'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.permit_at(0);
    CHECK(s.decided() == "a+ ");
    s.at(1000);
    s.arrive(b);
    s.permit_at(1006); // the owner first looks 6 ms after b came
    CHECK(s.decided() == "b+ ");
    caller c{'c'}, d{'d'};
    s.comes_at(1007, c);
    s.comes_at(1008, d);
    s.permit_at(1009);
    CHECK(s.decided() == "c+ "); // the lane does not stand
}
