// wait_queue_partition_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// How partitions share the permits, and the room to wait.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "support/wait_queue_scene.hpp"

namespace {

using flowguard::detail::waiter;
using flowguard::priority;
using support::caller;
using support::scene;

} // namespace

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
    s.serve(); // the highest priority of partition 1, which then comes to 2 / 0.25 = 8
    CHECK(s.decided() == "c+ ");
    s.hand.free = 1;
    s.serve(); // a: partition 0 then comes to 4 / 0.5 = 8
    CHECK(s.decided() == "a+ ");
    s.queue.shares().leave(1);
    s.hand.free = 2;
    s.serve();
    CHECK(s.decided() == "b+ d+ ");
    CHECK(s.queue.shares().in_flight(0) == 5);
    CHECK(s.queue.shares().in_flight(1) == 2);
    CHECK(s.queue.shares().in_flight(2) == 0);
}

TEST_CASE("A partition without a share is served only when no other partition waits") {
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

TEST_CASE("With fewer permits than partitions, each partition has turns in proportion to its share") {
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
        s.queue.shares().leave(served[served.size() - 3] == 'a' ? 0 : 1); // released before the next grant
    }
    CHECK(std::count(served.begin(), served.end(), 'a') == 20);
    CHECK(std::count(served.begin(), served.end(), 'b') == 80);
}

TEST_CASE("A partition that did not wait has saved up no turns") {
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

TEST_CASE("A partition that had more than its share by chance does not lose its later turns") {
    scene s{{.shares = {0.9, 0.05, 0.05}}};
    std::vector<std::unique_ptr<caller>> callers;
    std::vector<std::size_t> in_flight;
    std::string served;
    const auto serve = [&](int n, std::size_t limit) {
        for (int i = 0; i < n; ++i) {
            for (const std::size_t partition : {0U, 1U, 2U}) // each partition always has a waiter
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
    serve(3000, 2); // a gets one of the two permits; by rounding, b and c together get as many
    served.clear();
    serve(60, 1);
    CHECK(served.find('b') < 25);
    CHECK(served.find('c') < 25);
}

TEST_CASE("In a full queue, the caller of a small partition is kept if the partition's share is free") {
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

TEST_CASE("Above max_waiters, the partition furthest beyond its share loses its lowest priority first") {
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

TEST_CASE("A heavy waiter has its turn although a partition waits whose long calls are more than its share") {
    scene s{{.shares = {0.5, 0.4, 0.1}}};
    s.hand.limit = 10;
    s.hand.free = 8;
    for (int i = 0; i < 2; ++i)
        s.queue.shares().enter(2); // for ever
    caller waits_for_them{'c', priority::critical, 2};
    s.arrive(waits_for_them);
    std::vector<std::unique_ptr<caller>> light;
    for (int i = 0; i < 200; ++i) {
        light.push_back(std::make_unique<caller>('b', priority::critical, 1));
        s.arrive(*light.back());
    }
    s.serve();
    CHECK(s.decided() == "b+ b+ b+ b+ b+ b+ b+ b+ ");
    caller heavy{'a', 8};
    s.arrive(heavy);
    std::string served;
    for (int i = 0; i < 100 && s.queue.shares().in_flight(1) != 0; ++i) {
        s.queue.shares().leave(1);
        ++s.hand.free;
        s.serve();
        served = s.decided();
    }
    CHECK(served == "a+ ");
}
