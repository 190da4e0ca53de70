// wait_queue_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The races between grants, cancellations and closing, each written down as an order of steps.

#include "flowguard/detail/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>

#include <asio/io_context.hpp>

namespace {

using flowguard::detail::cancel_message;
using flowguard::detail::enqueue_message;
using flowguard::detail::queue_message;
using flowguard::detail::wait_queue;
using flowguard::detail::wait_result;
using flowguard::detail::waiter;
using flowguard::detail::waiter_list;

class caller final : public waiter {
public:
    explicit caller(char called, std::size_t permits = 1) : waiter(permits), name(called) { make_cancellable(); }

    void complete() noexcept override {}
    void destroy() noexcept override {}
    asio::execution_context* context() override { return home; }

    enqueue_message& arrival() { return *this; }
    cancel_message& withdrawal() { return *this; }

    const char name;
    asio::io_context* home = nullptr;
};

// Permits, and who has the queue's attention.
struct permits {
    std::size_t free = 0;
    std::size_t in_hand = 0;
    std::string asked; // what take() was asked for: "2", or "2!" if by the last in line

    bool take(std::size_t n, bool last) {
        asked += std::to_string(n) + (last ? "! " : " ");
        free += in_hand;
        in_hand = 0;
        if (free < n)
            return false;
        free -= n;
        in_hand = n;
        return true;
    }
    void give_away() { in_hand = 0; }
};

struct scene {
    explicit scene(std::size_t max_waiters = 100) : queue(max_waiters) {}

    wait_queue queue;
    permits hand;
    waiter_list done;

    void arrive(caller& c) { queue.apply(c.arrival(), done); }
    void withdraw(caller& c) { queue.apply(c.withdrawal(), done); }
    void serve() { queue.serve(hand, done); }

    void shed() { queue.shed_excess(done); }

    // Whoever is decided on, in order: granted +, aborted -, timed out ~, closed x, shed !, abandoned 0.
    std::string decided() {
        std::string names;
        while (waiter* w = done.pop_front()) {
            names += static_cast<caller*>(w)->name;
            switch (w->result) {
            case wait_result::granted:
                names += "+ ";
                break;
            case wait_result::aborted:
                names += "- ";
                break;
            case wait_result::timed_out:
                names += "~ ";
                break;
            case wait_result::closed:
                names += "x ";
                break;
            case wait_result::shed:
                names += "! ";
                break;
            case wait_result::abandoned:
                names += "0 ";
                break;
            }
        }
        return names;
    }
};

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

TEST_CASE("A stack of messages is applied from its oldest to its newest") {
    caller a{'a'}, b{'b'};
    scene s;
    REQUIRE(a.claim()); // a comes, b comes, a withdraws: all before the owner looks
    a.result = wait_result::aborted;
    a.withdrawal().next = &b.arrival();
    b.arrival().next = &a.arrival();
    s.queue.apply_all(&a.withdrawal(), s.done);
    CHECK(s.decided() == "a- ");
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
}

TEST_CASE("A waiter that wants several permits is not overtaken while they come together") {
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

TEST_CASE("Who is behind a waiter that wants too much is served when that one withdraws") {
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

TEST_CASE("A grant that comes first wins against a cancellation") {
    caller a{'a'};
    scene s;
    s.arrive(a);
    s.hand.free = 1;
    s.serve();
    CHECK_FALSE(a.claim()); // the canceller goes away
    CHECK(s.decided() == "a+ ");
    CHECK(s.hand.in_hand == 0);
}

TEST_CASE("A cancellation that comes first wins, and the permit goes to the next") {
    caller a{'a'}, b{'b'};
    scene s;
    s.arrive(a);
    s.arrive(b);
    REQUIRE(a.claim()); // the canceller has yet to say so
    a.result = wait_result::aborted;
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
    CHECK(s.queue.empty());
    CHECK(s.queue.size() == 1); // a is still to come: the semaphore has to stay for its message
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 0);
    CHECK(s.hand.free + s.hand.in_hand == 0);
}

TEST_CASE("A permit for the only waiter, who has just withdrawn, stays in hand") {
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

TEST_CASE("Of more than may wait, those who came last are turned away") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'};
    scene s{2};
    s.arrive(a);
    s.arrive(b);
    s.shed();
    CHECK(s.decided().empty());
    s.arrive(c);
    s.arrive(d);
    s.shed();
    CHECK(s.decided() == "d! c! ");
    CHECK(s.queue.size() == 2);
    CHECK(s.queue.refused.of(wait_result::shed) == 2);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "a+ b+ ");
    CHECK_FALSE(c.claim()); // too late to be cancelled
}

TEST_CASE("Who has a permit waiting for it is not turned away") {
    caller a{'a'}, b{'b'};
    scene s{0};
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 1;
    s.serve();
    s.shed();
    CHECK(s.decided() == "a+ b! ");
}

TEST_CASE("Who is cancelled while too many wait is decided once, by its cancellation, and gives its place up") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s{2};
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    REQUIRE(c.claim());
    c.result = wait_result::aborted;
    s.shed();
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 3); // its message is still to come
    s.withdraw(c);
    CHECK(s.decided() == "c- ");
    CHECK(s.queue.size() == 2);
    CHECK(s.queue.refused.of(wait_result::shed) == 0);
    CHECK(s.queue.refused.of(wait_result::aborted) == 1);
}

TEST_CASE("Closing ends everybody in line once, but for those whose cancellation came first") {
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
    s.queue.end_all(wait_result::closed, s.done); // again: nobody twice
    CHECK(s.decided().empty());
    s.withdraw(b);
    CHECK(s.decided() == "b- ");
    CHECK_FALSE(a.claim());
}

TEST_CASE("A message to cancel everybody ends those who are in line, and nobody who comes later") {
    caller a{'a'}, b{'b'};
    scene s;
    s.arrive(a);
    s.queue.apply(*new queue_message(queue_message::kind::cancel_all), s.done); // which the queue deletes
    s.arrive(b);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 1);
}

TEST_CASE("Those who wait in a context that goes are taken out of line, and nobody else") {
    asio::io_context going;
    asio::io_context staying;
    caller a{'a'}, b{'b'}, c{'c'};
    a.home = c.home = &going;
    b.home = &staying;
    scene s;
    s.arrive(a);
    s.arrive(b);
    s.arrive(c);
    s.queue.doom(going, s.done);
    CHECK(s.decided() == "a0 c0 ");
    CHECK_FALSE(a.claim()); // too late to be cancelled
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "b+ ");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("Who is cancelled as its context goes is decided once, by its cancellation") {
    asio::io_context going;
    caller a{'a'};
    a.home = &going;
    scene s;
    s.arrive(a);
    REQUIRE(a.claim());
    a.result = wait_result::aborted;
    s.queue.doom(going, s.done);
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 1);
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 0);
}
