// wait_queue_order_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The order in which waiters are served.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "support/manual_clock.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::wait_result;
using flowguard::priority;
using support::caller;
using support::manual_clock;
using support::manual_time;
using support::scene;

} // namespace

TEST_CASE("Waiters are served in the order in which they came") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    CHECK(s.queue.size() == 3);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "a+ b+ ");
    CHECK(s.hand.asked == "1 1 1! ");
    CHECK(s.queue.size() == 1);
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "c+ ");
    CHECK(s.queue.empty());
    CHECK(s.queue.size() == 0);
}

TEST_CASE("One permit is granted to the next waiter if the one after it wants one permit, too") {
    caller a{'a'}, b{'b'}, heavy{'h', 2}, c{'c'};
    scene s;
    CHECK(s.queue.next_for_one() == nullptr);
    s.arrive(a);
    CHECK(s.queue.next_for_one() == &a);
    CHECK(s.queue.try_grant_one() == nullptr); // a is the only one
    s.arrive(b);
    CHECK(s.queue.try_grant_one() == &a);
    CHECK(a.result == wait_result::granted);
    CHECK(s.queue.size() == 1);
    s.arrive(heavy);
    CHECK(s.queue.try_grant_one() == nullptr); // heavy would be next
    s.arrive(c);
    s.hand.limit = 1;
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
    CHECK(s.queue.has_aside());
    CHECK(s.queue.next_for_one() == nullptr); // heavy may come back
}

TEST_CASE("A waiter that a cancellation has claimed is not granted the permit") {
    caller a{'a'}, b{'b'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    REQUIRE(a.claim());
    CHECK(s.queue.try_grant_one() == nullptr);
    CHECK(s.queue.size() == 2);
}

TEST_CASE("One permit is not granted so if more than the order of arrival matters") {
    caller a{'a'}, b{'b'};
    scene bounded({.max_waiters = 2});
    bounded.arrive(a);
    bounded.arrive(b);
    CHECK(bounded.queue.next_for_one() == nullptr);
}

TEST_CASE("A stack of messages is applied from its oldest to its newest") {
    caller a{'a'}, b{'b'};
    scene s;
    REQUIRE(a.claim()); // a comes, b comes, and a is cancelled, all before the owner looks
    a.result = wait_result::aborted;
    a.withdrawal().older = &b.arrival();
    b.arrival().older = &a.arrival();
    s.queue.apply_all(&a.withdrawal(), s.done);
    CHECK(s.decided() == "a- ");
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
}

TEST_CASE("A waiter that wants several permits is not overtaken while its permits come together") {
    caller heavy{'h', 3}, light{'l'};
    scene s;
    s.arrive(heavy);
    s.arrive(light);
    for (s.hand.free = 1; s.hand.free < 3; ++s.hand.free) {
        s.serve();
        CHECK(s.decided().empty());
    }
    s.serve();
    CHECK(s.decided() == "h+ ");
    CHECK(s.hand.free == 0);
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "l+ ");
}

TEST_CASE("A waiter behind one that wants too much is served when that one is cancelled") {
    caller heavy{'h', 3}, light{'l'};
    scene s;
    s.arrive(heavy);
    s.arrive(light);
    s.hand.free = 1;
    s.serve();
    REQUIRE(heavy.claim());
    heavy.result = wait_result::timed_out;
    s.withdraw(heavy);
    s.serve();
    CHECK(s.decided() == "h~ l+ ");
}

TEST_CASE("A round of grants is bounded, and the next round goes on where it stopped") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    s.hand.free = 3;
    CHECK(s.queue.serve(s.hand, s.done, 2));
    CHECK(s.decided() == "a+ b+ ");
    CHECK_FALSE(s.queue.serve(s.hand, s.done, 2));
    CHECK(s.decided() == "c+ ");
}

TEST_CASE("The highest priority is served first, and within a priority the first waiter") {
    caller a{'a', priority::sheddable}, b{'b', priority::critical}, c{'c', priority::sheddable_plus};
    caller d{'d', priority::critical_plus}, e{'e', priority::critical};
    scene s;
    for (caller* c_ : {&a, &b, &c, &d, &e})
        s.arrive(*c_);
    s.hand.free = 5;
    s.serve();
    CHECK(s.decided() == "d+ b+ e+ c+ a+ ");
    CHECK(s.hand.asked == "1 1 1 1 1! ");
}

TEST_CASE("Without ageing, a waiter of lower priority waits as long as one of higher priority is there") {
    caller low{'l', priority::sheddable}, high{'h', priority::sheddable_plus};
    scene s{{.now = manual_time}};
    manual_clock::at = 0ms;
    s.arrive(low);
    manual_clock::at = 24h;
    s.arrive(high);
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "h+ ");
}

TEST_CASE("With ageing, waiting raises a waiter's priority step by step, and of equals, the longest wait is first") {
    scene s{{.ageing = 10ms, .now = manual_time}};
    const auto second = [&](std::chrono::nanoseconds after, priority rank) {
        caller low{'l', priority::sheddable}, high{'h', rank};
        manual_clock::at = 0ms;
        s.arrive(low);
        manual_clock::at = after;
        s.arrive(high);
        s.hand.free = 1;
        s.serve();
        const std::string first = s.decided();
        s.hand.free = 1;
        s.serve();
        s.decided();
        return first;
    };
    CHECK(second(9'999us, priority::sheddable_plus) == "h+ ");
    CHECK(second(10ms, priority::sheddable_plus) == "l+ ");
    CHECK(second(29'999us, priority::critical_plus) == "h+ ");
    CHECK(second(30ms, priority::critical_plus) == "l+ ");
    CHECK(second(1h, priority::critical_plus) == "l+ "); // it has aged beyond the highest priority
}
