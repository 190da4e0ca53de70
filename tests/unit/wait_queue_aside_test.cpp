// wait_queue_aside_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Waiters that want more permits than the limit allows are set aside.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>

#include "support/asio.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using flowguard::detail::wait_result;
using support::caller;
using support::scene;

} // namespace

TEST_CASE("A waiter that wants more than the limit is set aside, and the others are served") {
    caller heavy{'h', 5}, a{'a'}, b{'b'};
    scene s;
    s.hand.limit = 4;
    s.arrive(heavy);
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 4;
    s.serve();
    CHECK(s.decided() == "a+ b+ ");
    CHECK(s.hand.aside_noted == 1);
    CHECK(s.queue.empty());
    CHECK(s.queue.has_aside());
    CHECK(s.queue.size() == 1);
}

TEST_CASE("A waiter aside is served first once the limit allows it") {
    caller heavy{'h', 5}, a{'a'}, b{'b'};
    scene s;
    s.hand.limit = 4;
    s.arrive(heavy);
    s.serve();
    CHECK(s.queue.has_aside());
    s.arrive(a);
    s.hand.limit = 5;
    s.hand.free = 4;
    s.serve(); // heavy waits until its permits have come together; a does not overtake it
    CHECK(s.decided().empty());
    CHECK_FALSE(s.queue.has_aside());
    s.hand.free = 6;
    s.arrive(b);
    s.serve();
    CHECK(s.decided() == "h+ a+ ");
    CHECK(s.hand.free == 0);
}

TEST_CASE("The first waiter is set aside when the limit falls below what it wants") {
    caller heavy{'h', 8}, a{'a'};
    scene s;
    s.hand.limit = 10;
    s.arrive(heavy);
    s.arrive(a);
    s.hand.free = 7;
    s.serve();
    CHECK(s.decided().empty());
    s.hand.limit = 4;
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "a+ ");
    s.hand.limit = 10;
    s.hand.free = 10;
    s.serve();
    CHECK(s.decided() == "h+ ");
    CHECK_FALSE(s.queue.has_aside());
}

TEST_CASE("A waiter aside is served with permits that were released beyond the limit") {
    caller heavy{'h', 5};
    scene s;
    s.hand.limit = 4;
    s.hand.free = 4;
    s.arrive(heavy);
    s.serve();
    CHECK(s.queue.has_aside());
    s.hand.free = 5;
    s.serve();
    CHECK(s.decided() == "h+ ");
}

TEST_CASE("A waiter aside that can be served is not held up by one that cannot") {
    caller heaviest{'H', 9}, heavy{'h', 5};
    scene s;
    s.hand.limit = 4;
    s.arrive(heaviest);
    s.arrive(heavy);
    s.serve();
    CHECK(s.queue.empty());
    s.hand.limit = 6;
    s.hand.free = 6;
    s.serve();
    CHECK(s.decided() == "h+ ");
    CHECK(s.queue.has_aside());
}

TEST_CASE("Waiters aside come back in the order in which they were set aside") {
    caller first{'f', 2}, second{'s', 2}, a{'a'};
    scene s;
    s.hand.limit = 1;
    s.arrive(first);
    s.arrive(second);
    s.arrive(a);
    s.serve();
    s.hand.limit = 2;
    s.hand.free = 1;
    s.serve(); // not enough for the first
    s.serve(); // and the second does not overtake the first
    CHECK(s.decided().empty());
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "f+ ");
    s.hand.free = 3;
    s.serve();
    CHECK(s.decided() == "s+ a+ ");
}

TEST_CASE("A waiter that is set aside again, before it got its permits, stays the first of those aside") {
    caller first{'f', 2}, second{'s', 2};
    scene s;
    s.hand.limit = 1;
    s.arrive(first);
    s.arrive(second);
    s.serve();
    s.hand.limit = 2;
    s.hand.free = 1;
    s.serve(); // not enough for the first, which is in line again
    CHECK_FALSE(s.queue.empty());
    s.hand.limit = 1;
    s.hand.free = 0;
    s.serve();
    CHECK(s.queue.empty());
    s.hand.limit = 2;
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "f+ ");
}

TEST_CASE("A waiter aside can be cancelled, closed and abandoned") {
    asio::io_context going;
    caller a{'a', 5}, b{'b', 6}, c{'c', 7};
    b.home = &going;
    scene s;
    s.hand.limit = 4;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    s.serve();
    CHECK(s.queue.size() == 3);
    REQUIRE(a.claim());
    a.result = wait_result::aborted;
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    s.abandon(going);
    CHECK(s.decided() == "b0 ");
    s.queue.end_all(wait_result::closed, s.done);
    CHECK(s.decided() == "cx ");
    CHECK_FALSE(s.queue.has_aside());
    CHECK(s.queue.size() == 0);
}
