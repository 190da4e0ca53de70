// wait_queue_cancellation_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The races between grants, cancellations, closing, and contexts that are destroyed. Each test fixes one order of the
// steps.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <vector>

#include "support/asio.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using flowguard::detail::queue_message;
using flowguard::detail::wait_result;
using flowguard::priority;
using support::caller;
using support::scene;

} // namespace

TEST_CASE("A grant that comes first wins against a cancellation") {
    caller a{'a'};
    scene s;
    s.arrive(a);
    s.hand.free = 1;
    s.serve();
    CHECK_FALSE(a.claim()); // the cancellation is too late
    CHECK(s.decided() == "a+ ");
    CHECK(s.hand.in_hand == 0);
}

TEST_CASE("A cancellation that comes first wins, and the permit goes to the next waiter") {
    caller a{'a'}, b{'b'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    REQUIRE(a.claim()); // the cancel message is not sent yet
    a.result = wait_result::aborted;
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
    CHECK(s.queue.empty());
    CHECK(s.queue.size() == 1); // a counts until its cancel message comes, so that the semaphore stays until then
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 0);
    CHECK(s.hand.free + s.hand.in_hand == 0);
}

TEST_CASE("A permit stays with the owner when the only waiter has just been cancelled") {
    caller a{'a'};
    scene s;
    s.arrive(a);
    REQUIRE(a.claim());
    a.result = wait_result::aborted;
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided().empty());
    CHECK(s.hand.in_hand == 1);
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
}

TEST_CASE("Closing ends each waiter once, whatever its priority and partition") {
    caller a{'a', priority::sheddable, 15}, b{'b', priority::critical_plus, 0}, c{'c', priority::critical, 7};
    scene s{{.shares = std::vector<double>(16, 0.0625)}};
    for (caller* w : {&a, &b, &c})
        s.arrive(*w);
    s.queue.end_all(wait_result::closed, s.done);
    CHECK(s.decided() == "bx cx ax ");
    CHECK(s.queue.empty());
}

TEST_CASE("Closing ends each waiter once, except those that were cancelled before") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    REQUIRE(b.claim());
    b.result = wait_result::aborted;
    s.queue.end_all(wait_result::closed, s.done);
    CHECK(s.decided() == "ax cx ");
    CHECK(s.queue.size() == 1);
    s.queue.end_all(wait_result::closed, s.done); // again: no waiter is ended twice
    CHECK(s.decided().empty());
    s.withdraw(b);
    CHECK(s.decided() == "b- ");
    CHECK_FALSE(a.claim());
}

TEST_CASE("A message to cancel all waiters ends those in the queue, and no later one") {
    caller a{'a'}, b{'b'};
    scene s;
    s.arrive(a);
    s.queue.apply(*new queue_message(queue_message::kind::cancel_all), s.done); // the queue deletes it
    s.arrive(b);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 1);
}

TEST_CASE("A context that is destroyed takes its own waiters out of the queue, and no others") {
    asio::io_context going;
    asio::io_context staying;
    caller a{'a'}, b{'b'}, c{'c'};
    a.home = c.home = &going;
    b.home = &staying;
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    s.abandon(going);
    CHECK(s.decided() == "a0 c0 ");
    CHECK_FALSE(a.claim()); // too late to be cancelled
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("A waiter that is cancelled while its context is destroyed is decided once, by its cancellation") {
    asio::io_context going;
    caller a{'a'};
    a.home = &going;
    scene s;
    s.arrive(a);
    REQUIRE(a.claim());
    a.result = wait_result::aborted;
    s.abandon(going);
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 1);
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 0);
}
