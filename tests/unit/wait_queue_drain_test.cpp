// wait_queue_drain_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Drains in a wait_queue: they wait beside the line, until the owner says that the semaphore is idle.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <string>

#include "flowguard/rejection.hpp"
#include "support/asio.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using flowguard::detail::queue_message;
using flowguard::detail::reopen_message;
using flowguard::detail::wait_result;
using flowguard::rejection;
using support::caller;
using support::drain_caller;
using support::scene;

// Whether the drain was completed once, with that result.
bool has_ended(const drain_caller& d, wait_result result) {
    return d.completions == 1 && d.result == result;
}

// Writes down what has ended when it is applied, and that the queue deletes it.
class recorded_reopen final : public reopen_message {
public:
    recorded_reopen(std::string& log, const drain_caller& drain, bool was_closed) : log_(log), drain_(drain) {
        ends_waiters = was_closed;
    }
    ~recorded_reopen() override { log_ += "deleted "; }

    void applied() noexcept override { log_ += drain_.completions == 1 ? "after the drain, " : "before the drain, "; }

private:
    std::string& log_;
    const drain_caller& drain_;
};

} // namespace

TEST_CASE("A drain is in no line: it counts as no waiter, and takes no permit") {
    drain_caller drain;
    scene s{{.max_waiters = 0}};
    CHECK_FALSE(s.queue.has_drains());
    s.arrive(drain);
    CHECK(s.queue.has_drains());
    CHECK(s.queue.empty());
    CHECK(s.queue.size() == 0);
    CHECK(s.queue.next() == nullptr);
    s.hand.free = 1;
    s.serve();
    s.shed();
    CHECK(s.hand.asked.empty());
    CHECK(drain.completions == 0);
    CHECK(s.queue.has_drains());
    s.queue.end_drains(wait_result::granted);
    CHECK(has_ended(drain, wait_result::granted));
    CHECK_FALSE(drain.claim()); // too late to be cancelled
}

TEST_CASE("Waiters are served past a drain, and the only one in line is known as such") {
    caller a{'a'}, b{'b'};
    drain_caller drain;
    scene s;
    s.arrive(a);
    s.arrive(drain);
    s.arrive(b);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "a+ b+ ");
    CHECK(s.hand.asked == "1 1! ");
    CHECK(drain.completions == 0);
}

TEST_CASE("All drains end together, each at once and only once, and not through the list of the waiters") {
    caller a{'a'};
    drain_caller first, second, late;
    scene s;
    s.arrive(first);
    s.arrive(a);
    s.arrive(second);
    s.queue.end_drains(wait_result::granted);
    CHECK(has_ended(first, wait_result::granted));
    CHECK(has_ended(second, wait_result::granted));
    CHECK_FALSE(s.queue.has_drains());
    s.arrive(late);
    s.queue.end_drains(wait_result::aborted);
    CHECK(has_ended(late, wait_result::aborted));
    CHECK(first.completions + second.completions == 2);
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 1);
}

TEST_CASE("A drain that is cancelled, or whose time is over, ends at once, and counts as no rejection") {
    for (const wait_result why : {wait_result::aborted, wait_result::timed_out}) {
        drain_caller leaves, stays;
        scene s;
        s.arrive(leaves);
        s.arrive(stays);
        REQUIRE(leaves.claim());
        leaves.result = why;
        s.withdraw(leaves);
        CHECK(has_ended(leaves, why));
        CHECK(s.queue.has_drains());
        CHECK(s.decided().empty());
        CHECK(s.queue.size() == 0);
        CHECK(s.queue.rejected.of(rejection::cancelled) + s.queue.rejected.of(rejection::timed_out) == 0);
        s.queue.end_drains(wait_result::granted);
        CHECK(has_ended(leaves, why));
        CHECK(has_ended(stays, wait_result::granted));
    }
}

TEST_CASE("A drain that is claimed by its cancellation stays until the message comes") {
    drain_caller drain;
    scene s;
    s.arrive(drain);
    REQUIRE(drain.claim());
    drain.result = wait_result::timed_out;
    s.queue.end_drains(wait_result::granted);
    CHECK(drain.completions == 0);
    CHECK(s.queue.has_drains()); // so that the semaphore's state exists until then
    s.withdraw(drain);
    CHECK(has_ended(drain, wait_result::timed_out));
    CHECK_FALSE(s.queue.has_drains());
}

TEST_CASE("What ends all waiters, or those of a context, ends no drain") {
    asio::io_context context;
    caller a{'a'}, b{'b'}, c{'c'};
    drain_caller drain;
    a.home = b.home = c.home = drain.home = &context;
    scene s;
    s.arrive(drain);
    s.arrive(a);
    s.queue.end_all(wait_result::closed, s.done);
    s.arrive(b);
    s.queue.apply(*new queue_message(queue_message::kind::cancel_all), s.done); // the queue deletes it
    s.arrive(c);
    s.cancel(context);
    CHECK(s.decided() == "ax b- c- ");
    CHECK(drain.completions == 0);
    CHECK(s.queue.has_drains());
}

TEST_CASE("A context that is destroyed takes its drains along uncalled, and no others") {
    asio::io_context going;
    asio::io_context staying;
    drain_caller taken, claimed, kept;
    taken.home = claimed.home = &going;
    kept.home = &staying;
    scene s;
    for (drain_caller* d : {&taken, &claimed, &kept})
        s.arrive(*d);
    REQUIRE(claimed.claim());
    claimed.result = wait_result::aborted;
    flowguard::detail::abandon_message message(going);
    s.queue.apply(message, s.done);
    CHECK(message.abandoned.pop_front() == &taken);
    CHECK(message.abandoned.empty());
    CHECK(taken.result == wait_result::abandoned);
    s.withdraw(claimed);
    s.queue.end_drains(wait_result::granted);
    CHECK(taken.completions == 0); // the thread that destroys the context destroys it
    CHECK(has_ended(claimed, wait_result::aborted));
    CHECK(has_ended(kept, wait_result::granted));
}

TEST_CASE("A message to reopen ends the drains before it, then tells, and ends the waiters of a closed semaphore") {
    const bool was_closed = GENERATE(false, true);
    caller a{'a'}, b{'b'};
    drain_caller before, after;
    std::string log;
    scene s;
    s.arrive(a);
    s.arrive(before);
    s.queue.apply(*new recorded_reopen(log, before, was_closed), s.done); // the queue deletes it
    s.arrive(b);
    s.arrive(after);
    CHECK(log == "after the drain, deleted ");
    CHECK(has_ended(before, wait_result::aborted));
    CHECK(after.completions == 0);
    CHECK(s.decided() == (was_closed ? "ax " : ""));
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == (was_closed ? "b+ " : "a+ b+ "));
    CHECK(after.completions == 0);
}

TEST_CASE("Messages are applied the oldest first: a drain after a reopening stays") {
    drain_caller before, after;
    std::string log;
    auto* const reopen = new recorded_reopen(log, before, false); // the queue deletes it
    scene s;
    queue_message& oldest = before.arrival();
    queue_message& newest = after.arrival();
    newest.older = reopen;
    reopen->older = &oldest;
    oldest.older = nullptr;
    s.queue.apply_all(&newest, s.done);
    CHECK(has_ended(before, wait_result::aborted));
    CHECK(after.completions == 0);
    CHECK(s.queue.has_drains());
}
