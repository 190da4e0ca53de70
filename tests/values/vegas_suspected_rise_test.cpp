// vegas_suspected_rise_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/suspected_rise.hpp" // first: the header is self-contained

#include <catch2/catch.hpp>

namespace {

using flowguard::detail::vegas::suspected_rise;

TEST_CASE("Two probes make a suspected rise a believed one") {
    suspected_rise rise;
    CHECK_FALSE(rise.is_suspected());
    rise.see_probe();
    CHECK(rise.is_suspected());
    CHECK_FALSE(rise.is_believed());
    rise.see_probe();
    CHECK(rise.is_believed());
}

TEST_CASE("Without a probe, a suspicion stays a suspicion") {
    suspected_rise rise;
    for (int i = 0; i < 100; ++i)
        rise.suspect(10);
    CHECK(rise.is_suspected());
    CHECK_FALSE(rise.is_believed());
}

TEST_CASE("A suspicion remembers the highest limit that fell for nothing") {
    suspected_rise rise;
    CHECK(rise.limit_before() == 0.0);
    rise.suspect(90);
    rise.suspect(40);
    CHECK(rise.limit_before() == 90.0);
}

TEST_CASE("A suspicion that is cleared leaves nothing behind") {
    suspected_rise rise;
    rise.suspect(90);
    rise.see_probe();
    rise.clear();
    CHECK_FALSE(rise.is_suspected());
    CHECK(rise.limit_before() == 0.0);
    rise.see_probe();
    CHECK_FALSE(rise.is_believed());
}

} // namespace
