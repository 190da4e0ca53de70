// standing_queue_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/queue/standing_queue.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

#include "flowguard/detail/queue/standing_times.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::standing_queue;
using flowguard::detail::standing_times;

constexpr standing_times times{.target = 5ms, .interval = 100ms};

// One look at the queue: its time, how long the first waiter has waited, and whether the queue stands afterwards.
struct look {
    std::chrono::nanoseconds at;
    std::chrono::nanoseconds waited;
    bool stands;
};

void check(const std::vector<look>& looks) {
    standing_queue queue;
    for (const look& l : looks) {
        INFO("at " << l.at.count() << " ns");
        queue.look(l.waited, l.at, times);
        CHECK(queue.stands() == l.stands);
    }
}

TEST_CASE("A queue stands after a whole interval of waits that are too long") {
    check({{0ms, 6ms, false}, {50ms, 6ms, false}, {99ms, 6ms, false}, {100ms, 6ms, true}, {101ms, 6ms, true}});
}

TEST_CASE("A wait of exactly the target is not too long") {
    check({{0ms, 5ms, false}, {200ms, 5ms, false}, {400ms, 5ms, false}});
    check({{0ms, 5ms + 1ns, false}, {200ms, 5ms + 1ns, true}});
}

TEST_CASE("One short wait restarts the interval, so that a burst does not make a queue stand") {
    check({{0ms, 6ms, false},
           {90ms, 6ms, false},
           {95ms, 1ms, false},
           {100ms, 6ms, false},
           {194ms, 6ms, false},
           {195ms, 6ms, true}});
}

TEST_CASE("A standing queue drains after a whole interval of short waits") {
    check({{0ms, 6ms, false},
           {100ms, 6ms, true},
           {110ms, 1ms, true},
           {150ms, 6ms, true}, // a long wait in between
           {160ms, 1ms, true},
           {249ms, 1ms, true},
           {250ms, 1ms, false}});
}

TEST_CASE("A clock that is set back restarts the interval") {
    check({{1h, 6ms, false}, {1h + 99ms, 6ms, false}, {0ms, 6ms, false}, {99ms, 6ms, false}, {100ms, 6ms, true}});
}

TEST_CASE("Without an interval, each look decides") {
    standing_queue queue;
    queue.look(6ms, 0ms, {.target = 5ms});
    CHECK(queue.stands());
    queue.look(5ms, 0ms, {.target = 5ms});
    CHECK_FALSE(queue.stands());
}

TEST_CASE("Each look counts by the times that hold then") {
    standing_queue queue;
    queue.look(6ms, 0ms, times);
    queue.look(6ms, 60ms, {.target = 5ms, .interval = 60ms}); // the interval has become shorter
    CHECK(queue.stands());
    queue.look(6ms, 70ms, {.target = 6ms, .interval = 60ms}); // the target has become longer
    CHECK(queue.stands());
    queue.look(6ms, 120ms, {.target = 6ms, .interval = 60ms});
    CHECK_FALSE(queue.stands());
}

} // namespace
