// wait_queue_flow_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Waiters that belong to flows, among others, in a wait_queue.

#include "flowguard/detail/queue/wait_queue.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/manual_clock.hpp"
#include "support/random_numbers.hpp"
#include "support/wait_queue_scene.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::lane_number;
using flowguard::detail::wait_policy;
using flowguard::detail::wait_result;
using flowguard::detail::waiter;
using support::manual_clock;

struct caller final : support::caller {
    caller(char called, std::optional<std::uint64_t> of, std::size_t permits = 1, lane_number waits_in = lane_number())
        : support::caller(called, permits) {
        lane = waits_in;
        if (of)
            set_flow(*of);
    }
};

struct flow_scene : support::scene {
    explicit flow_scene(const wait_policy& policy = {}) : scene(policy) { queue.prepare_flows(); }

    void serve(std::size_t more_permits) {
        hand.free += more_permits;
        scene::serve();
        hand.free += hand.in_hand;
        hand.in_hand = 0;
    }

    // The names of the waiters that were served since the last call.
    std::string served() {
        std::string names;
        while (waiter* w = done.pop_front()) {
            CHECK(w->result == wait_result::granted);
            names += static_cast<caller*>(w)->name;
        }
        return names;
    }
};

} // namespace

TEST_CASE("A waiter that goes aside has had the turn of its flow") {
    flow_scene s;
    caller heavy{'h', 1, 5}, a{'a', 1}, b{'b', 2}, c{'c', 2}, d{'d', 2};
    for (caller* w : {&heavy, &a, &b, &c, &d})
        s.arrive(*w);
    s.hand.limit = 4;
    s.serve(1);
    CHECK(s.served() == "b"); // not a
    s.serve(2);
    CHECK(s.served() == "ac");
    s.hand.limit = 5;
    s.serve(5);
    CHECK(s.served() == "h");
    s.serve(1);
    CHECK(s.served() == "d");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("If all waiters want more than the limit, flows go aside in turns, and come back so") {
    flow_scene s;
    caller a{'a', 1, 2}, b{'b', 1, 2}, c{'c', 1, 2}, x{'x', 2, 2}, n{'n', std::nullopt, 2};
    for (caller* w : {&a, &b, &c, &x, &n})
        s.arrive(*w);
    s.hand.limit = 1;
    s.serve(0);
    CHECK(s.queue.has_aside());
    s.hand.limit = 10;
    s.serve(10);
    CHECK(s.served() == "axnbc");
}

TEST_CASE("A waiter of a flow that came back from aside may be cancelled, and the others are served") {
    flow_scene s;
    caller heavy{'h', 1, 5}, a{'a', 1}, b{'b', 2};
    for (caller* w : {&heavy, &a, &b})
        s.arrive(*w);
    s.hand.limit = 4;
    s.serve(0); // heavy goes aside
    s.hand.limit = 5;
    s.serve(1); // heavy comes back, and is next
    CHECK(s.served().empty());
    REQUIRE(heavy.claim());
    heavy.result = wait_result::aborted;
    s.withdraw(heavy);
    CHECK(s.done.pop_front() == &heavy);
    s.serve(1);
    CHECK(s.served() == "ba");
    CHECK(s.queue.size() == 0);
}

TEST_CASE("Each waiter, of a flow or not, is decided on exactly once, and no permit is lost") {
    std::size_t of_each_end[8] = {};
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        support::random_numbers random(seed);
        wait_policy policy;
        policy.now = support::manual_time;
        policy.max_waiters = random.below(3) == 0 ? 30 : 5 + random.below(10);
        if (random.below(2) == 0) {
            policy.order = flowguard::wait_order::adaptive;
            policy.times = {.target = 5ms, .interval = 20ms};
        }
        if (random.below(3) == 0)
            policy.ageing = 10ms;
        std::size_t partitions = 1;
        if (random.below(2) == 0) {
            policy.shares = {0.5, 0.5};
            partitions = 2;
        }
        const std::size_t heaviest = seed % 3 == 0 ? (std::size_t{1} << 28) - 1 : 1 + seed % 3;
        manual_clock::at = 1h;
        flow_scene s(policy);
        s.hand.limit = heaviest;
        std::vector<std::unique_ptr<caller>> callers;
        std::set<const waiter*> waiting; // those that are not decided on
        std::size_t held = 0;
        std::size_t made = 0; // permits
        const auto collect = [&] {
            while (waiter* w = s.done.pop_front()) {
                REQUIRE(waiting.erase(w) == 1);
                ++of_each_end[static_cast<std::size_t>(w->result)];
                if (w->result == wait_result::granted) {
                    held += w->wanted;
                    if (partitions > 1)
                        s.queue.shares().leave(w->lane.partition());
                }
            }
        };
        for (int step = 0; step < 2000; ++step) {
            manual_clock::at += std::chrono::milliseconds(random.below(4));
            switch (random.below(8)) {
            case 0:
            case 1:
            case 2:
            case 3: {
                const lane_number lane(random.below(partitions), static_cast<flowguard::priority>(random.below(4)));
                const std::optional<std::uint64_t> flow =
                    random.below(3) == 0 ? std::nullopt : std::optional<std::uint64_t>(random.below(6) << 60);
                callers.push_back(std::make_unique<caller>('w', flow, 1 + random.below(heaviest), lane));
                waiting.insert(callers.back().get());
                s.arrive(*callers.back());
                break;
            }
            case 4:
                if (!callers.empty()) {
                    caller& c = *callers[random.below(callers.size())];
                    if (waiting.contains(&c) && c.claim()) {
                        c.result = random.below(2) == 0 ? wait_result::aborted : wait_result::timed_out;
                        if (random.below(2) == 0)
                            s.serve(0); // finds a claimed waiter in line
                        s.withdraw(c);
                    }
                }
                break;
            case 5:
                s.hand.limit = random.below(2) == 0 ? heaviest : random.below(heaviest + 1);
                break;
            case 6:
                s.serve(held); // all that is held comes back
                held = 0;
                break;
            default: {
                const std::size_t more = random.below(3) == 0 ? heaviest : 1;
                made += more;
                s.serve(more);
                break;
            }
            }
            s.shed();
            collect();
            REQUIRE(s.queue.size() == waiting.size());
            REQUIRE(s.hand.free + held == made);
        }
        s.queue.end_all(wait_result::closed, s.done);
        collect();
        REQUIRE(waiting.empty());
        REQUIRE(s.queue.empty());
        REQUIRE(s.queue.size() == 0);
    }
    for (const wait_result r : {wait_result::granted, wait_result::aborted, wait_result::timed_out, wait_result::closed,
                                wait_result::shed, wait_result::overdue})
        CHECK(of_each_end[static_cast<std::size_t>(r)] > 0);
}
