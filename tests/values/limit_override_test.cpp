// limit_override_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/control/limit_override.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "flowguard/detail/control/turns.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::limit_override;
using flowguard::detail::limit_setting;
using flowguard::detail::semaphore_state;
using flowguard::detail::turns;
using flowguard::duration;
using flowguard::max_limit;

struct scene {
    semaphore_state& semaphore = *new semaphore_state(1);
    turns t{semaphore};
    limit_override o{semaphore, t};

    scene() = default;
    scene(const scene&) = delete;
    scene& operator=(const scene&) = delete;
    ~scene() { semaphore.orphan(); }

    // As a closer does, in the present epoch.
    void want(const limit_setting& now, const limit_setting& after) { REQUIRE(o.want(o.look().epoch, now, after)); }
    void want(const limit_setting& now) { want(now, now); }

    limit_setting in_force() const { return {semaphore.limit(), t.spacing()}; }
};

TEST_CASE("Bounds clamp a limit, and a lower bound above one takes its spacing away") {
    struct row {
        std::size_t least, most;
        limit_setting wanted, bounded;
    };
    for (const row& r : {
             row{1, max_limit, {1, 5s}, {1, 5s}},
             row{1, max_limit, {max_limit}, {max_limit}},
             row{1, 1, {1, 5s}, {1, 5s}},
             row{1, 1, {20}, {1}},
             row{2, 2, {1, 5s}, {2}},
             row{2, 9, {1, 5s}, {2}},
             row{2, 9, {5}, {5}},
             row{2, 9, {10}, {9}},
             row{7, 7, {6}, {7}},
             row{7, 7, {8}, {7}},
         }) {
        CAPTURE(r.least, r.most, r.wanted.limit);
        scene s;
        s.want(r.wanted);
        CHECK(s.in_force() == r.wanted);
        s.o.set_bounds(r.least, r.most);
        CHECK(s.in_force() == r.bounded);
        CHECK(s.o.bounded(r.wanted) == r.bounded);
        s.o.set_bounds(1, max_limit);
        CHECK(s.in_force() == r.wanted);
    }
}

TEST_CASE("An epoch ends with each change by hand that concerns the limit in force, and only then") {
    scene s;
    s.want({10});
    std::uint64_t epoch = s.o.look().epoch;
    const auto begins_epoch = [&] {
        const bool begins = s.o.look().epoch != epoch;
        CHECK(s.o.epoch() == s.o.look().epoch);
        epoch = s.o.look().epoch;
        return begins;
    };
    CHECK_FALSE(s.o.unpin());
    CHECK_FALSE(s.o.set_bounds(1, 10));
    CHECK_FALSE(begins_epoch());
    CHECK(s.o.set_bounds(1, 9));
    CHECK(begins_epoch());
    CHECK_FALSE(s.o.set_bounds(1, 9));
    CHECK_FALSE(s.o.set_bounds(3, 9));
    CHECK_FALSE(begins_epoch());
    CHECK(s.o.pin(9)); // the limit is the same, but somebody else has decided on it
    CHECK(begins_epoch());
    CHECK_FALSE(s.o.pin(9));
    CHECK_FALSE(s.o.set_bounds(5, 6));
    CHECK_FALSE(begins_epoch());
    CHECK(s.o.pin(8));
    CHECK(begins_epoch());
    CHECK(s.o.unpin());
    CHECK(begins_epoch());
    CHECK(s.in_force() == limit_setting{6});
    s.o.restart({6});
    CHECK(begins_epoch());
    s.want({7});
    CHECK_FALSE(begins_epoch());
}

TEST_CASE("In an epoch that is over, a closer changes nothing") {
    scene s;
    const std::uint64_t before = s.o.look().epoch;
    s.want({3}, {10});
    s.o.pin(20);
    CHECK_FALSE(s.o.want(before, {5}, {5}));
    CHECK_FALSE(s.o.end_probe(before));
    s.o.unpin();
    CHECK(s.in_force() == limit_setting{10});
    CHECK_FALSE(s.o.want(before, {5}, {5}));
    CHECK_FALSE(s.o.end_probe(before));
    CHECK(s.in_force() == limit_setting{10});
}

TEST_CASE("A probe is followed by the limit after it, by its end or by a change by hand") {
    scene s;
    s.want({1, 5ms}, {10});
    CHECK(s.in_force() == limit_setting{1, 5ms});
    CHECK(s.o.end_probe(s.o.look().epoch));
    CHECK(s.in_force() == limit_setting{10});
    s.want({3}, {10});
    s.o.set_bounds(1, 20);
    CHECK(s.in_force() == limit_setting{3});
    s.o.set_bounds(1, 8); // the limit after the probe is another one
    CHECK(s.in_force() == limit_setting{8});
    s.want({3}, {10});
    CHECK(s.in_force() == limit_setting{3});
    s.o.restart({4, 0ns});
    CHECK(s.in_force() == limit_setting{4});
}

TEST_CASE("A change tells the limits before and after it") {
    scene s;
    s.want({1, 5ms});
    const auto pinned = s.o.pin(30);
    REQUIRE(pinned);
    CHECK(pinned->before == 1);
    CHECK(pinned->now == limit_setting{30});
    const auto unpinned = s.o.unpin();
    REQUIRE(unpinned);
    CHECK(unpinned->before == 30);
    CHECK(unpinned->now == limit_setting{1, 5ms});
    const auto bounded = s.o.set_bounds(4, 5);
    REQUIRE(bounded);
    CHECK(bounded->before == 1);
    CHECK(bounded->now == limit_setting{4});
    const limit_override::change restarted = s.o.restart({20});
    CHECK(restarted.before == 4);
    CHECK(restarted.now == limit_setting{5});
}

TEST_CASE("The stats name what holds the limit where it is") {
    scene s;
    const auto reason = [&] {
        flowguard::guard_stats stats;
        stats.limit_reason = "the strategy's";
        s.o.report(stats);
        return std::string(stats.limit_reason);
    };
    s.want({10});
    CHECK(reason() == "the strategy's");
    s.o.set_bounds(2, 9);
    CHECK(reason() == "bounds set by hand");
    s.want({9});
    CHECK(reason() == "the strategy's");
    s.o.pin(9);
    CHECK(reason() == "pinned by hand");
    s.o.unpin();
    CHECK(reason() == "the strategy's");
}

} // namespace
