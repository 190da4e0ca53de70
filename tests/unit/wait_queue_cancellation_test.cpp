// wait_queue_cancellation_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The races between grants, cancellations, closing, and contexts that are destroyed. Each test fixes one order of the
// steps.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <vector>

#include "flowguard/rejection.hpp"
#include "support/asio.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using flowguard::detail::queue_message;
using flowguard::detail::wait_result;
using flowguard::priority;
using flowguard::rejection;
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

TEST_CASE("A message to cancel the waiters of a context ends those of that context, and no later one") {
    asio::io_context going;
    asio::io_context staying;
    caller a{'a'}, b{'b'}, c{'c', priority::sheddable}, d{'d'}, e{'e'};
    a.home = c.home = e.home = &going;
    b.home = &staying;
    d.home = nullptr; // a blocked thread
    scene s;
    for (caller* w : {&a, &b, &c, &d})
        s.arrive(*w);
    s.cancel(going);
    s.arrive(e);
    CHECK(s.decided() == "a- c- ");
    CHECK_FALSE(a.claim()); // too late to be cancelled again
    CHECK(s.queue.size() == 3);
    s.hand.free = 3;
    s.serve();
    CHECK(s.decided() == "b+ d+ e+ ");
    CHECK(s.queue.rejected.of(rejection::cancelled) == 2);
}

TEST_CASE("A message to cancel the waiters of a context finds those aside and those of flows") {
    asio::io_context going;
    asio::io_context staying;
    caller large{'l', 9}, of_flow{'f'}, next_of_flow{'n'}, other{'o'};
    large.home = of_flow.home = &going;
    next_of_flow.home = other.home = &staying;
    of_flow.set_flow(1);
    next_of_flow.set_flow(1);
    scene s;
    s.queue.prepare_flows();
    s.hand.limit = 5;
    s.arrive(large);
    s.serve();
    REQUIRE(s.queue.has_aside());
    s.arrive(of_flow);
    s.arrive(next_of_flow);
    s.arrive(other);
    s.cancel(going);
    CHECK(s.decided() == "f- l- ");
    CHECK_FALSE(s.queue.has_aside());
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "n+ o+ ");
}

TEST_CASE("A waiter that is cancelled before its context's waiters are ends once, by its own cancellation") {
    asio::io_context going;
    caller a{'a'}, b{'b'};
    a.home = b.home = &going;
    scene s;
    s.arrive(a);
    s.arrive(b);
    REQUIRE(a.claim());
    a.result = wait_result::timed_out; // its message is not sent yet
    s.cancel(going);
    s.cancel(going);
    CHECK(s.decided() == "b- ");
    CHECK(s.queue.size() == 1);
    s.withdraw(a);
    CHECK(s.decided() == "a~ ");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("A waiter of a context whose waiters are cancelled keeps the permit that it was granted before") {
    asio::io_context going;
    caller a{'a'}, b{'b'};
    a.home = b.home = &going;
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 1;
    s.serve();
    s.cancel(going); // in the same round of the owner
    CHECK(s.decided() == "a+ b- ");
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
