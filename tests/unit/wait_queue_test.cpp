// wait_queue_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The races between grants, cancellations and closing, each written down as an order of steps.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::abandon_message;
using flowguard::detail::cancel_message;
using flowguard::detail::enqueue_message;
using flowguard::detail::queue_message;
using flowguard::detail::wait_policy;
using flowguard::detail::wait_queue;
using flowguard::detail::wait_result;
using flowguard::detail::waiter;
using flowguard::detail::waiter_list;
using flowguard::priority;
using flowguard::rejection;
using support::manual_clock;

class caller final : public waiter {
public:
    explicit caller(char called, std::size_t permits = 1) : waiter(permits), name(called) { make_cancellable(); }
    caller(char called, priority rank, std::size_t partition = 0) : caller(called) {
        lane = flowguard::detail::lane_number(partition, rank);
    }

    void complete() noexcept override {}
    void destroy() noexcept override {}
    void watch() noexcept override {}
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
    std::size_t limit = 1'000'000;
    int aside_noted = 0;
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
    void grant() { in_hand = 0; }
    std::size_t reach() const { return std::max(limit, free + in_hand); }
    void note_aside() { ++aside_noted; }
};

struct scene {
    explicit scene(const wait_policy& policy = {}) : queue(policy) {}

    wait_queue queue;
    permits hand;
    waiter_list done;

    void arrive(caller& c) { queue.apply(c.arrival(), done); }
    void withdraw(caller& c) { queue.apply(c.withdrawal(), done); }
    void serve() { CHECK_FALSE(queue.serve(hand, done, 1'000'000)); }

    void shed() { queue.shed(done); }

    // The waiters of a context that goes end up among those decided on as well, so that decided() tells them.
    void abandon(const asio::execution_context& context) {
        abandon_message message(context);
        queue.apply(message, done);
        CHECK_FALSE(message.applied.load()); // those decided on before are not completed yet
        queue.confirm_abandoned();
        CHECK(message.applied.load());
        while (waiter* w = message.abandoned.pop_front())
            done.push_back(*w);
    }

    // Whoever is decided on, in order: granted +, aborted -, timed out ~, closed x, shed !, overdue ?, abandoned 0.
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
            case wait_result::overdue:
                names += "? ";
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
    a.withdrawal().older = &b.arrival();
    b.arrival().older = &a.arrival();
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

TEST_CASE("Who has a permit waiting for it is not turned away") {
    caller a{'a'}, b{'b'};
    scene s{{.max_waiters = 0}};
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 1;
    s.serve();
    s.shed();
    CHECK(s.decided() == "a+ b! ");
}

TEST_CASE("Who is cancelled while too many wait is decided once, by its cancellation, and gives its place up") {
    caller a{'a'}, b{'b'}, c{'c'};
    scene s{{.max_waiters = 2}};
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
    CHECK(s.queue.rejected.of(rejection::queue_full) == 0);
    CHECK(s.queue.rejected.of(rejection::cancelled) == 1);
}

namespace {

// A target of 5 ms and an interval of 100 ms, and the time in ms.
struct adaptive_scene : scene {
    explicit adaptive_scene(std::size_t max_waiters = 100)
        : scene({.max_waiters = max_waiters,
                 .order = flowguard::wait_order::adaptive,
                 .target = 5ms,
                 .interval = 100ms,
                 .now = []() noexcept -> std::chrono::nanoseconds { return manual_clock::at; }}) {
        at(0);
    }

    void at(int ms) { manual_clock::at = std::chrono::milliseconds(ms); }

    // Whoever comes then finds `free` permits.
    void comes_at(int ms, caller& c) {
        at(ms);
        arrive(c);
        looks();
    }

    void permit_at(int ms) {
        at(ms);
        hand.free = 1;
        looks();
    }

    void looks() {
        serve();
        shed();
    }
};

} // namespace

TEST_CASE("A queue stands when whoever was first in line waited for longer than the target for a whole interval") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.permit_at(99); // still first come, first served
    CHECK(s.decided() == "a+ ");
    s.comes_at(99, c);
    s.permit_at(100); // it stands, c is served, and b kept, for it is next
    CHECK(s.decided() == "c+ ");
    s.comes_at(101, d);
    CHECK(s.decided() == "b? ");
    s.permit_at(102);
    CHECK(s.decided() == "d+ ");
    CHECK(s.queue.rejected.of(rejection::overdue) == 1);
}

TEST_CASE("A wait within the target begins the interval anew") {
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

TEST_CASE("A queue that stands keeps whoever has waited within the target, and serves the last first") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, c); // it stands, and both are overdue
    CHECK(s.decided() == "a? b? ");
    s.comes_at(108, d);
    s.comes_at(110, e);
    s.permit_at(111); // c has waited for exactly the target
    CHECK(s.decided() == "e+ ");
    s.permit_at(112);
    CHECK(s.decided() == "d+ ");
    s.permit_at(200); // the last one is not shed, however long it waited
    CHECK(s.decided() == "c+ ");
}

TEST_CASE("A queue in which nobody waited for too long for a whole interval serves who comes first") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'}, f{'f'}, g{'g'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.comes_at(6, b);
    s.comes_at(106, c);
    CHECK(s.decided() == "a? b? ");
    s.permit_at(107); // nobody waits any more, but it may be for a moment only
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

TEST_CASE("Of more than may wait, a queue that stands turns away those who came first") {
    caller a{'a'}, b{'b'}, c{'c'}, d{'d'}, e{'e'};
    adaptive_scene s{2};
    s.comes_at(0, a);
    s.comes_at(1, b);
    s.comes_at(6, c); // not yet
    CHECK(s.decided() == "c! ");
    s.comes_at(106, d);
    CHECK(s.decided() == "a? b? ");
    s.comes_at(107, e);
    caller f{'f'};
    s.comes_at(108, f);
    CHECK(s.decided() == "d! ");
    CHECK(s.queue.size() == 2);
}

TEST_CASE("Who is cancelled while it is overdue is decided once, by its cancellation") {
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

TEST_CASE("A higher priority is served first, and within a priority who came first") {
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

TEST_CASE("Of more than may wait, the lowest priority is shed first, even if it came first") {
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

namespace {

std::chrono::nanoseconds manual_time() noexcept {
    return manual_clock::at;
}

} // namespace

TEST_CASE("Without ageing, a lower priority waits for as long as there is a higher one") {
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

TEST_CASE("With ageing, each so much of a wait is worth a priority, and of equals who waits for longest is first") {
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
    CHECK(second(1h, priority::critical_plus) == "l+ "); // who has aged further than the highest priority
}

TEST_CASE("A priority that stands does not age: it serves who came last, and sheds those who wait") {
    caller a{'a', priority::sheddable}, b{'b', priority::sheddable}, c{'c', priority::sheddable};
    caller high{'h', priority::critical};
    scene s{{.order = flowguard::wait_order::adaptive,
             .target = 40ms,
             .interval = 50ms,
             .ageing = 20ms,
             .now = manual_time}};
    manual_clock::at = 0ms;
    s.arrive(a);
    manual_clock::at = 30ms;
    s.arrive(b);
    manual_clock::at = 50ms;
    s.arrive(c);
    s.arrive(high);
    s.serve(); // nobody is free, but it sees that they stand
    s.shed();
    CHECK(s.decided() == "a? ");
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "h+ c+ ");
}

TEST_CASE("A lane that was empty begins anew") {
    caller a{'a'}, b{'b'};
    adaptive_scene s;
    s.comes_at(0, a);
    s.permit_at(0);
    CHECK(s.decided() == "a+ ");
    s.at(1000);
    s.arrive(b);
    s.permit_at(1006); // held up between its coming and the first look
    CHECK(s.decided() == "b+ ");
    caller c{'c'}, d{'d'};
    s.comes_at(1007, c);
    s.comes_at(1008, d);
    s.permit_at(1009);
    CHECK(s.decided() == "c+ "); // it does not stand
}

TEST_CASE("The partition with the least of its share in flight is served first, whatever the priorities") {
    caller a{'a', priority::critical_plus, 0}, b{'b', priority::sheddable, 1};
    caller c{'c', priority::critical, 1}, d{'d', priority::sheddable, 0};
    scene s{{.shares = {0.5, 0.25, 0.25}}};
    for (int i = 0; i < 3; ++i)
        s.queue.shares().enter(0); // 3 / 0.5 = 6
    s.queue.shares().enter(1); // 1 / 0.25 = 4
    for (caller* w : {&a, &b, &c, &d})
        s.arrive(*w);
    s.hand.free = 1;
    s.serve(); // the highest priority of partition 1, which has 8 then
    CHECK(s.decided() == "c+ ");
    s.hand.free = 1;
    s.serve(); // partition 0 comes to 8
    CHECK(s.decided() == "a+ ");
    s.queue.shares().leave(1);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "b+ d+ ");
    CHECK(s.queue.shares().in_flight(0) == 5);
    CHECK(s.queue.shares().in_flight(1) == 2);
    CHECK(s.queue.shares().in_flight(2) == 0);
}

TEST_CASE("A partition without a share is served when no other waits") {
    caller a{'a', priority::critical_plus, 0}, b{'b', priority::sheddable, 1};
    scene s{{.shares = {0, 1}}};
    for (int i = 0; i < 100; ++i)
        s.queue.shares().enter(1);
    s.arrive(a);
    s.arrive(b);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "b+ a+ ");
}

TEST_CASE("With fewer permits than partitions, each has turns by its share") {
    scene s{{.shares = {0.2, 0.8, 0}}};
    std::vector<std::unique_ptr<caller>> callers;
    for (int i = 0; i < 100; ++i)
        for (const std::size_t partition : {0U, 1U, 2U}) {
            callers.push_back(std::make_unique<caller>("abc"[partition], priority::critical, partition));
            s.arrive(*callers.back());
        }
    std::string served;
    for (int i = 0; i < 100; ++i) {
        s.hand.free = 1;
        s.serve();
        served += s.decided();
        s.queue.shares().leave(served[served.size() - 3] == 'a' ? 0 : 1); // before the permit is handed on
    }
    CHECK(std::count(served.begin(), served.end(), 'a') == 20);
    CHECK(std::count(served.begin(), served.end(), 'b') == 80);
}

TEST_CASE("A partition that did not wait has not saved up turns") {
    scene s{{.shares = {0.5, 0.5}}};
    std::vector<std::unique_ptr<caller>> callers;
    const auto arrive = [&](std::size_t partition, int n) {
        for (int i = 0; i < n; ++i) {
            callers.push_back(std::make_unique<caller>("ab"[partition], priority::critical, partition));
            s.arrive(*callers.back());
        }
    };
    std::string served;
    const auto serve = [&](int n) {
        for (int i = 0; i < n; ++i) {
            s.hand.free = 1;
            s.serve();
            const std::string one = s.decided();
            s.queue.shares().leave(one[0] == 'a' ? 0 : 1);
            served += one[0];
        }
    };
    arrive(0, 100);
    serve(50);
    arrive(1, 50);
    served.clear();
    serve(6);
    CHECK(served == "bababa");
}

TEST_CASE("What one partition had more than its share, by chance, does not cost it its later turns") {
    scene s{{.shares = {0.9, 0.05, 0.05}}};
    std::vector<std::unique_ptr<caller>> callers;
    std::vector<std::size_t> in_flight;
    std::string served;
    const auto serve = [&](int n, std::size_t limit) {
        for (int i = 0; i < n; ++i) {
            for (const std::size_t partition : {0U, 1U, 2U}) // all of them always wait
                if (std::none_of(callers.begin(), callers.end(), [&](const auto& c) {
                        return c->where == waiter::position::in_line && c->lane.partition() == partition;
                    })) {
                    callers.push_back(std::make_unique<caller>("abc"[partition], priority::critical, partition));
                    s.arrive(*callers.back());
                }
            while (in_flight.size() >= limit) {
                s.queue.shares().leave(in_flight.front());
                in_flight.erase(in_flight.begin());
            }
            s.hand.free = 1;
            s.serve();
            const char one = s.decided()[0];
            served += one;
            in_flight.push_back(static_cast<std::size_t>(one - 'a'));
            std::erase_if(callers, [](const auto& c) { return c->where == waiter::position::nowhere; });
        }
    };
    serve(3000, 2); // one permit for a, and by rounding as many for the others together
    served.clear();
    serve(60, 1);
    CHECK(served.find('b') < 25);
    CHECK(served.find('c') < 25);
}

TEST_CASE("In a full queue, a small partition's caller is kept where its share is free") {
    scene s{{.max_waiters = 10, .shares = {0.9, 0.05}}};
    for (int i = 0; i < 5; ++i)
        s.queue.shares().enter(0);
    std::vector<std::unique_ptr<caller>> callers;
    for (int i = 0; i < 10; ++i) {
        callers.push_back(std::make_unique<caller>('a', priority::critical_plus, 0));
        s.arrive(*callers.back());
    }
    caller small{'s', priority::sheddable, 1}; // comes to 1 / 0.05 = 20, the others to 15 / 0.9 = 16.7
    s.arrive(small);
    s.shed();
    CHECK(s.decided() == "a! ");
    s.hand.free = 1;
    s.serve();
    CHECK(s.decided() == "s+ ");
}

TEST_CASE("Of more than may wait, the partition furthest beyond its share is shed first, by its lowest priority") {
    caller a{'a', priority::critical_plus, 0}, b{'b', priority::critical, 0}, c{'c', priority::sheddable, 1};
    scene s{{.max_waiters = 2, .shares = {0.8, 0.2}}};
    for (int i = 0; i < 8; ++i)
        s.queue.shares().enter(0);
    s.arrive(a);
    s.arrive(b);
    s.arrive(c); // comes to 1 / 0.2 = 5, the others to 10 / 0.8 = 12.5
    s.shed();
    CHECK(s.decided() == "b! ");
    s.queue.shares().enter(1);
    s.queue.shares().enter(1);
    caller d{'d', priority::critical_plus, 1};
    s.arrive(d); // 4 / 0.2 = 20, the other to 9 / 0.8 = 11.25
    s.shed();
    CHECK(s.decided() == "c! ");
}

TEST_CASE("Of more than may wait, who is served next is kept, unless nobody else is there") {
    // It has aged to the highest priority.
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

TEST_CASE("Closing ends everybody in line once, of whatever priority and partition") {
    caller a{'a', priority::sheddable, 15}, b{'b', priority::critical_plus, 0}, c{'c', priority::critical, 7};
    scene s{{.shares = std::vector<double>(16, 0.0625)}};
    for (caller* w : {&a, &b, &c})
        s.arrive(*w);
    s.queue.end_all(wait_result::closed, s.done);
    CHECK(s.decided() == "bx cx ax ");
    CHECK(s.queue.empty());
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
    s.abandon(going);
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
    s.abandon(going);
    CHECK(s.decided().empty());
    CHECK(s.queue.size() == 1);
    s.withdraw(a);
    CHECK(s.decided() == "a- ");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("A round of grants is bounded, and goes on where it stopped") {
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

TEST_CASE("A waiter that wants more than the limit goes aside, and the others are served") {
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

TEST_CASE("A waiter aside has its turn first when the limit allows it") {
    caller heavy{'h', 5}, a{'a'}, b{'b'};
    scene s;
    s.hand.limit = 4;
    s.arrive(heavy);
    s.serve();
    CHECK(s.queue.has_aside());
    s.arrive(a);
    s.hand.limit = 5;
    s.hand.free = 4;
    s.serve(); // the permits for it come together; a does not overtake it
    CHECK(s.decided().empty());
    CHECK_FALSE(s.queue.has_aside());
    s.hand.free = 6;
    s.arrive(b);
    s.serve();
    CHECK(s.decided() == "h+ a+ ");
    CHECK(s.hand.free == 0);
}

TEST_CASE("A waiter whose turn it is goes aside when the limit is lowered below what it wants") {
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

TEST_CASE("A waiter aside is served by permits that were released beyond the limit") {
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

TEST_CASE("A waiter aside that can be served is not held up by another one that cannot") {
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

TEST_CASE("Waiters aside come back in the order in which they went") {
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
    s.serve(); // and the second does not get in front of it
    CHECK(s.decided().empty());
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "f+ ");
    s.hand.free = 3;
    s.serve();
    CHECK(s.decided() == "s+ a+ ");
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

TEST_CASE("Only a caller that may evict another waiter is let into a full queue") {
    caller a{'a', priority::critical}, b{'b', priority::sheddable}, c{'c', priority::critical_plus};
    SECTION("by priority") {
        scene s{wait_policy{.max_waiters = 1}};
        CHECK(s.queue.is_bounded());
        CHECK(s.queue.most_waiters_with(a) == 1);
        s.arrive(a);
        CHECK(s.queue.most_waiters_with(b) == 1);
        CHECK(s.queue.most_waiters_with(c) > 1);
    }
    SECTION("by the order") {
        scene s{wait_policy{.max_waiters = 1, .order = flowguard::wait_order::adaptive, .now = manual_time}};
        CHECK(s.queue.most_waiters_with(a) > 1);
    }
    SECTION("where no caller may wait, none is let in") {
        scene s{wait_policy{.max_waiters = 0, .order = flowguard::wait_order::adaptive, .now = manual_time}};
        CHECK(s.queue.most_waiters_with(a) == 0);
    }
    SECTION("where any number may wait, there is no bound") {
        CHECK_FALSE(scene{}.queue.is_bounded());
    }
}
