// turns_test.cpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/control/turns.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/limits.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::semaphore_state;
using flowguard::detail::turns;
using flowguard::duration;

struct scene {
    semaphore_state& semaphore = *new semaphore_state(1);
    turns t{semaphore};

    scene() = default;
    scene(const scene&) = delete;
    scene& operator=(const scene&) = delete;
    ~scene() { semaphore.orphan(); }

    void set_limit(std::size_t limit, duration spacing) { semaphore.finish_change(t.begin_limit(limit, spacing)); }

    // An admission whose permit comes back at once. Returns false if no permit was free.
    bool admit(duration now) {
        if (!semaphore.try_take(1, false))
            return false;
        t.begin(now);
        return semaphore.release(1);
    }

    // The first ms at which the turn ends, from `now` on.
    duration turn_after(duration now) {
        while (!t.end_if_due(now))
            now += 1ms;
        return now;
    }
};

TEST_CASE("Without a spacing there are no turns") {
    scene s;
    s.set_limit(1, 0ns);
    CHECK(s.t.spacing() == 0ns);
    CHECK_FALSE(s.t.begin(1h));
    CHECK_FALSE(s.t.is_pending());
    CHECK_FALSE(s.t.end_if_due(1h));
    CHECK_FALSE(s.t.time_left(1h));
    CHECK(s.admit(1h));
    CHECK(s.admit(1h));
}

TEST_CASE("A turn is pending from an admission until its time has come") {
    scene s;
    s.set_limit(1, 100ms);
    CHECK(s.t.spacing() == 100ms);
    CHECK_FALSE(s.t.is_pending());
    REQUIRE(s.admit(1h));
    CHECK(s.t.is_pending());
    CHECK_FALSE(s.admit(1h));
    CHECK(s.semaphore.limit() == 1);
    const duration left = *s.t.time_left(1h);
    CHECK(left >= 50ms);
    CHECK(left < 150ms);
    CHECK_FALSE(s.t.end_if_due(1h + left - 1ns));
    CHECK(s.t.time_left(1h + left) == 0ns);
    CHECK(s.t.time_left(2h) == 0ns);
    CHECK(s.t.end_if_due(1h + left));
    CHECK_FALSE(s.t.end_if_due(1h + left));
    CHECK_FALSE(s.t.is_pending());
    CHECK(s.admit(1h + left));
}

TEST_CASE("The mean of the turns is the spacing") {
    scene s;
    s.set_limit(1, 100ms);
    duration now = 1h;
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(s.admit(now));
        now = s.turn_after(now);
    }
    CHECK(now - 1h > 97s);
    CHECK(now - 1h < 103s);
}

TEST_CASE("An admission that is late by up to a spacing does not delay the next turn") {
    // The caller comes 0 to 90 ms after its turn.
    scene s;
    s.set_limit(1, 100ms);
    duration now = 1h;
    int late = 0;
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(s.admit(now));
        if (s.t.is_pending())
            now = s.turn_after(now);
        late = (late + 37) % 10;
        now += late * 10ms;
    }
    CHECK(now - 1h > 97s);
    CHECK(now - 1h < 108s);
}

TEST_CASE("An end of a spacing ends the wait; a turn that is pending then has no effect") {
    for (const std::size_t limit : {std::size_t{1}, std::size_t{7}}) {
        CAPTURE(limit);
        scene s;
        s.set_limit(1, 1h);
        REQUIRE(s.admit(1h));
        s.set_limit(limit, 0ns);
        CHECK(s.semaphore.available() == limit);
        CHECK(s.t.is_pending());
        CHECK(s.t.time_left(1h) == 0ns);
        CHECK_FALSE(s.t.end_if_due(1h)); // nothing to unbar
        CHECK_FALSE(s.t.is_pending());
        CHECK(s.semaphore.available() == limit);
    }
}

TEST_CASE("Another spacing leaves the semaphore barred until the turn") {
    scene s;
    s.set_limit(1, 100ms);
    REQUIRE(s.admit(1h));
    s.set_limit(1, 200ms);
    CHECK_FALSE(s.admit(1h));
    CHECK(s.turn_after(1h) < 1h + 151ms);
    CHECK(s.admit(1h + 151ms));
}

TEST_CASE("A bar that comes after the end of its spacing ends with the next look") {
    scene s;
    s.set_limit(1, 1h);
    REQUIRE(s.admit(1h));
    s.set_limit(1, 0ns);
    REQUIRE(s.semaphore.bar()); // as a thread does that has read the old spacing
    CHECK(s.t.end_if_due(1h));
    CHECK(s.semaphore.available() == 1);
}

TEST_CASE("A turn is no further away than one and a half spacings, although the clock is set back") {
    scene s;
    s.set_limit(1, 100ms);
    REQUIRE(s.admit(9h));
    CHECK(s.t.time_left(1h) == 150ms);
    CHECK_FALSE(s.t.end_if_due(1h));
    CHECK(s.t.time_left(1h) == 100ms);
    CHECK(s.t.end_if_due(1h + 100ms));
    REQUIRE(s.admit(1h + 100ms)); // the latest turn is hours ahead
    CHECK(s.t.time_left(1h + 100ms) < 150ms);
}

TEST_CASE("Extreme times and spacings do not overflow") {
    for (const duration spacing : {duration{1}, duration{2}, duration::max()})
        for (const duration now : {duration::min(), duration{-1}, duration{}, duration::max() - duration{1}}) {
            CAPTURE(spacing.count(), now.count());
            scene s;
            s.set_limit(1, spacing);
            REQUIRE(s.admit(now));
            if (s.t.is_pending()) {
                CHECK(*s.t.time_left(now) >= 0ns);
                static_cast<void>(s.t.end_if_due(now));
                CHECK(s.t.end_if_due(duration::max()));
            }
            CHECK(s.admit(now));
        }
    scene s;
    s.set_limit(1, duration::min());
    CHECK(s.t.spacing() == 0ns);
}

TEST_CASE("The numbers depend on what was measured, and on nothing else") {
    const auto turn = [](duration first, std::int64_t measured) {
        scene s;
        s.t.stir(measured);
        s.set_limit(1, 1h);
        REQUIRE(s.admit(first));
        return *s.t.time_left(first);
    };
    CHECK(turn(1h, 5) == turn(1h, 5));
    CHECK(turn(1h, 5) != turn(1h, 6));
    CHECK(turn(1h, 5) != turn(1h + 1ns, 5));
}

} // namespace
