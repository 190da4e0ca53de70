// vegas_suspected_rise_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/suspected_rise.hpp" // first: the header is self-contained

#include <catch2/catch.hpp>

namespace {

using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::suspected_rise;

measurement of(double rtt, double count = 60, double variation = 1) {
    return {.rtt = rtt, .count = count, .variation = variation, .in_flight = 3};
}

TEST_CASE("Two probes make a suspected rise a believed one") {
    suspected_rise rise;
    CHECK_FALSE(rise.is_suspected());
    rise.see_probe(of(2), true);
    CHECK(rise.is_suspected());
    CHECK_FALSE(rise.is_believed());
    rise.see_probe(of(2), true);
    CHECK(rise.is_believed());
}

TEST_CASE("Without a probe, a suspicion stays a suspicion") {
    suspected_rise rise;
    for (int i = 0; i < 100; ++i)
        rise.suspect(10, 2);
    CHECK(rise.is_suspected());
    CHECK_FALSE(rise.is_believed());
}

TEST_CASE("A suspicion remembers the highest limit that fell for nothing") {
    suspected_rise rise;
    CHECK(rise.limit_before() == 0.0);
    rise.suspect(90, 2);
    rise.suspect(40, 2);
    CHECK(rise.limit_before() == 90.0);
}

TEST_CASE("A suspicion that is cleared leaves nothing behind") {
    suspected_rise rise;
    rise.suspect(90, 2);
    rise.see_probe(of(2), true);
    rise.clear();
    CHECK_FALSE(rise.is_suspected());
    CHECK(rise.limit_before() == 0.0);
    rise.see_probe(of(2), true);
    CHECK_FALSE(rise.is_believed());
    CHECK(rise.with_earlier(of(5)).count == 120.0); // only the probe since then, and this one
}

TEST_CASE("Probes that leave the rise open make no belief") {
    suspected_rise rise;
    rise.suspect(10, 3);
    for (int i = 0; i < 100; ++i)
        rise.see_probe(of(2), false);
    CHECK(rise.is_suspected());
    CHECK_FALSE(rise.is_believed());
}

TEST_CASE("A probe supports a suspicion if its RTT is nearer to the first suspected one than to the baseline") {
    suspected_rise rise;
    CHECK_FALSE(rise.is_supported_by(of(100), 1)); // there is no suspicion
    rise.suspect(10, 4); // the mean of ln 1 and ln 4 is ln 2
    CHECK_FALSE(rise.is_supported_by(of(1.99), 1));
    CHECK(rise.is_supported_by(of(2.01), 1));
    rise.suspect(20, 100);
    rise.see_probe(of(100), true);
    CHECK(rise.is_supported_by(of(2.01), 1));

    suspected_rise by_probe;
    by_probe.see_probe(of(9), true);
    CHECK_FALSE(by_probe.is_supported_by(of(2.99), 1));
    CHECK(by_probe.is_supported_by(of(3.01), 1));
}

TEST_CASE("The probes of a suspicion are one measurement") {
    suspected_rise rise;
    CHECK(rise.with_earlier(of(2)).rtt == Approx(2));
    rise.see_probe(of(2, 10, 1), true);
    rise.see_probe(of(3, 20, 0.4), false);
    const measurement all = rise.with_earlier({.rtt = 4, .count = 30, .variation = 0.8, .in_flight = 7});
    CHECK(all.rtt == Approx(3.3333333)); // (10 · 2 + 20 · 3 + 30 · 4) / 60
    CHECK(all.variation == Approx(0.7)); // (10 · 1 + 20 · 0.4 + 30 · 0.8) / 60
    CHECK(all.count == 60.0);
}

} // namespace
