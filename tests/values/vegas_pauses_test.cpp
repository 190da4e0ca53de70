// vegas_pauses_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/pauses.hpp" // first: the header is self-contained

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::pauses;

measurement of(double rtt, double in_flight = 20, double limit = 20, bool bound = true) {
    return {.rtt = rtt,
            .success_rtt = rtt,
            .count = 100,
            .ended = 100,
            .limit = limit,
            .in_flight = in_flight,
            .bound = bound};
}

baseline of_ten() {
    baseline base;
    base.learn(of(10));
    return base;
}

// Sees the two windows again and again.
pauses after(int times, const measurement& one, const measurement& other) {
    pauses p;
    for (int i = 0; i < times; ++i) {
        p.see(one, of_ten());
        p.see(other, of_ten());
    }
    return p;
}

} // namespace

TEST_CASE("At first pauses are not usual") {
    pauses p;
    CHECK_FALSE(p.are_usual());
    p.see(of(10), of_ten());
    p.see({}, of_ten());
    CHECK_FALSE(p.are_usual());
}

TEST_CASE("Pauses are usual from the fourth pair of windows on that shows one") {
    CHECK_FALSE(after(2, of(10), of(30)).are_usual()); // three pairs
    pauses p = after(2, of(10), of(30));
    p.see(of(10), of_ten());
    CHECK(p.are_usual());
}

TEST_CASE("A long RTT is a pause if a neighbour with as high a limit had no queue, and much more throughput") {
    CHECK(after(10, of(10), of(21)).are_usual());
    CHECK_FALSE(after(10, of(10), of(19)).are_usual()); // not twice the RTT
    CHECK_FALSE(after(10, of(13), of(30)).are_usual()); // the neighbour had a queue
    CHECK_FALSE(after(10, of(10, 10), of(30)).are_usual()); // two thirds of the throughput: not less
    CHECK(after(10, of(10, 11), of(30)).are_usual());
    CHECK(after(10, of(10, 20, 16), of(30, 20, 20)).are_usual()); // nearly the same limit
    CHECK_FALSE(after(10, of(10, 15, 15), of(30, 20, 20)).are_usual()); // a lower limit may have ended a queue
    CHECK(after(10, of(10, 20, 40), of(30, 20, 20)).are_usual());
    CHECK_FALSE(after(10, of(10), {}).are_usual());
}

TEST_CASE("Pairs without a pause speak against pauses, a fifth as much") {
    pauses p = after(10, of(10), of(30));
    for (int i = 0; i < 34; ++i) // from 10 pairs to 3.4
        p.see(of(10), of_ten());
    CHECK(p.are_usual()); // the first of these is a pair with a pause
    for (int i = 0; i < 3; ++i)
        p.see(of(10), of_ten());
    CHECK_FALSE(p.are_usual());
}

TEST_CASE("Pairs of which none is calm say nothing of pauses") {
    pauses p = after(10, of(10), of(30));
    for (int i = 0; i < 100; ++i)
        p.see(of(20), of_ten());
    CHECK(p.are_usual());
}

TEST_CASE("The calmest of the latest seven windows counts") {
    pauses p;
    p.see(of(11), of_ten());
    for (int i = 0; i < 6; ++i) {
        p.see(of(30), of_ten());
        CHECK(p.calmest().rtt == 11.0);
    }
    p.see(of(29), of_ten());
    CHECK(p.calmest().rtt == 29.0);
    p.see(of(12), of_ten());
    CHECK(p.calmest().rtt == 12.0);
}

TEST_CASE("A calm window with another limit does not count") {
    pauses p;
    p.see(of(10, 20, 20), of_ten());
    p.see(of(30, 20, 26), of_ten());
    CHECK(p.calmest().rtt == 10.0);
    CHECK(p.calmest().limit == 26.0); // the latest
    p.see(of(30, 20, 27), of_ten());
    CHECK(p.calmest().rtt == 30.0);
}

TEST_CASE("The limit binds in the calmest window if it did in one of the latest seven") {
    pauses p;
    p.see(of(10, 12, 20, false), of_ten());
    CHECK_FALSE(p.calmest().bound);
    p.see(of(30), of_ten());
    CHECK(p.calmest().bound);
    for (int i = 0; i < 6; ++i)
        p.see(of(10, 12, 20, false), of_ten());
    CHECK(p.calmest().bound);
    p.see(of(10, 12, 20, false), of_ten());
    CHECK_FALSE(p.calmest().bound);
}
