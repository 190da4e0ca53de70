// waiting_lanes_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/queue/waiting_lanes.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/detail/queue/standing_times.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::lane_number;
using flowguard::detail::standing_times;
using flowguard::detail::wait_policy;
using flowguard::detail::waiter;
using flowguard::detail::waiting_lanes;
using flowguard::priority;
using flowguard::wait_order;

std::chrono::nanoseconds now{};

void look(waiting_lanes& lanes) {
    lanes.look([]() -> standing_times { throw std::logic_error("the times are known"); });
}

class caller final : public waiter {
public:
    caller(char called, lane_number waits_in) : waiter(1), name(called) { lane = waits_in; }

    void complete() noexcept override {}
    void destroy() noexcept override {}
    void watch() noexcept override {}
    asio::execution_context* context() override { return nullptr; }

    const char name;
};

// A waiter that comes: at what time, and with which name, priority and partition.
struct arrival {
    std::chrono::nanoseconds at;
    char name;
    priority of = priority::critical;
    std::size_t partition = 0;
};

class lanes_with {
public:
    lanes_with(wait_policy policy, const std::vector<arrival>& arrivals) : lanes_(timed(std::move(policy))) {
        for (const arrival& a : arrivals) {
            now = a.at;
            lanes_.push_back(callers_.emplace_back(a.name, lane_number(a.partition, a.of)));
            look(lanes_);
        }
    }

    // The order in which the waiters are served, if all are served at this time.
    std::string served_at(std::chrono::nanoseconds time) {
        now = time;
        std::string names;
        while (!lanes_.empty()) {
            look(lanes_);
            waiter* const w = lanes_.next();
            lanes_.count_turn(*w);
            lanes_.remove(*w);
            names += name_of(w);
        }
        return names;
    }

    // The order in which the waiters are evicted, if there is always one too many.
    std::string evicted_at(std::chrono::nanoseconds time) {
        now = time;
        std::string names;
        while (!lanes_.empty()) {
            waiter* const w = lanes_.least();
            lanes_.remove(*w);
            names += name_of(w);
        }
        return names;
    }

    waiting_lanes& operator*() { return lanes_; }

    static std::string name_of(const waiter* w) {
        return w != nullptr ? std::string(1, static_cast<const caller*>(w)->name) : "nobody";
    }

private:
    static wait_policy timed(wait_policy policy) {
        policy.now = []() noexcept { return now; };
        return policy;
    }

    std::deque<caller> callers_;
    waiting_lanes lanes_;
};

constexpr priority p0 = priority::critical_plus;
constexpr priority p1 = priority::critical;
constexpr priority p2 = priority::sheddable_plus;
constexpr priority p3 = priority::sheddable;

TEST_CASE("The waiter to serve next, and the waiter to evict, for each policy") {
    struct row {
        const char* what;
        wait_policy policy;
        std::vector<arrival> arrivals;
        std::chrono::nanoseconds at;
        std::string served;
        std::string evicted;
    };
    const wait_policy plain;
    const wait_policy ageing{.ageing = 10ms};
    const wait_policy adaptive{.order = wait_order::adaptive, .times = {.target = 5ms, .interval = 20ms}};
    const wait_policy halves{.shares = {0.5, 0.5}};
    for (const row& r : {
             row{"one lane: the first comes first, the last is evicted, and the next is kept to the end",
                 plain,
                 {{0ms, 'a'}, {1ms, 'b'}, {2ms, 'c'}},
                 3ms,
                 "abc",
                 "cba"},
             row{"priorities before arrival",
                 plain,
                 {{0ms, 'a', p3}, {1ms, 'b', p1}, {2ms, 'c', p0}, {3ms, 'd', p2}},
                 4ms,
                 "cbda",
                 "adbc"},
             row{"ageing, before it counts", ageing, {{0ms, 'a', p3}, {1ms, 'b', p1}}, 9ms, "ba", "ab"},
             row{"ageing: 20 ms longer are worth two priorities, and the older of equals is first",
                 ageing,
                 {{0ms, 'a', p3}, {21ms, 'b', p1}},
                 25ms,
                 "ab",
                 "ba"},
             row{"an adaptive order is first in, first out while no queue stands",
                 adaptive,
                 {{0ms, 'a'}, {1ms, 'b'}, {2ms, 'c'}},
                 3ms,
                 "abc",
                 "cba"},
             row{"an adaptive order serves the last first once its queue stands",
                 adaptive,
                 {{0ms, 'a'}, {6ms, 'b'}, {26ms, 'c'}},
                 27ms,
                 "cba",
                 "abc"},
             row{"partitions with equal shares take turns",
                 halves,
                 {{0ms, 'a', p1, 0}, {1ms, 'b', p1, 0}, {2ms, 'c', p1, 1}, {3ms, 'd', p1, 1}},
                 4ms,
                 "acbd",
                 "dbca"}, // evicts from the partition with more waiters, and the next waiter last
         }) {
        INFO(r.what);
        CHECK(lanes_with(r.policy, r.arrivals).served_at(r.at) == r.served);
        CHECK(lanes_with(r.policy, r.arrivals).evicted_at(r.at) == r.evicted);
    }
}

TEST_CASE("Lanes count their waiters, in total and by priority") {
    lanes_with l({}, {{0ms, 'a', p3}, {1ms, 'b', p1}, {2ms, 'c', p3}});
    CHECK_FALSE((*l).empty());
    CHECK_FALSE((*l).has_only_one());
    CHECK((*l).waiting_of(p3) == 2);
    CHECK((*l).waiting_of(p1) == 1);
    CHECK((*l).waiting_of(p0) == 0);
    CHECK(l.served_at(3ms) == "bac");
    CHECK((*l).empty());
    CHECK((*l).waiting_of(p3) == 0);
}

TEST_CASE("A bound leaves room for callers on their way if they may evict a waiter, and only then") {
    lanes_with l({.max_waiters = 2}, {{0ms, 'a', p2}});
    const caller high('x', lane_number(0, p0));
    const caller low('y', lane_number(0, p3));
    CHECK((*l).is_bounded());
    CHECK((*l).most_waiters_with(high.lane) == 2 + 64);
    CHECK((*l).most_waiters_with(low.lane) == 2);
    CHECK_FALSE((*l).has_too_many());
    lanes_with unbounded({}, {});
    CHECK_FALSE((*unbounded).is_bounded());
    lanes_with none({.max_waiters = 0}, {});
    CHECK((*none).most_waiters_with(high.lane) == 0);
}

TEST_CASE("A waiter is overdue after the target in a lane that stands, unless it is the next one") {
    lanes_with l({.order = wait_order::adaptive, .times = {.target = 5ms, .interval = 20ms}},
                 {{0ms, 'a'}, {1ms, 'b'}, {20ms, 'c'}});
    now = 20ms;
    CHECK(lanes_with::name_of((*l).overdue()) == "nobody"); // the lane does not stand yet
    now = 26ms;
    look(*l);
    for (const char* overdue : {"a", "b"}) {
        waiter* const w = (*l).overdue();
        CHECK(lanes_with::name_of(w) == overdue);
        if (w != nullptr)
            (*l).remove(*w);
    }
    CHECK(lanes_with::name_of((*l).overdue()) == "nobody"); // c is next
    CHECK(lanes_with::name_of((*l).next()) == "c");
}

TEST_CASE("All waiters can be visited, and removed meanwhile") {
    lanes_with l({}, {{0ms, 'a', p3}, {1ms, 'b', p1}, {2ms, 'c', p1}});
    std::string seen;
    (*l).for_each([&](waiter& w) {
        seen += lanes_with::name_of(&w);
        (*l).remove(w);
    });
    CHECK(seen == "bca");
    CHECK((*l).empty());
}

} // namespace
