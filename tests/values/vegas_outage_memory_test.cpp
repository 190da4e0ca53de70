// vegas_outage_memory_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/outage_memory.hpp" // first: the header is self-contained

#include <catch2/catch.hpp>

namespace {

using flowguard::detail::vegas::outage_memory;

TEST_CASE("There is no outage at first") {
    outage_memory memory;
    CHECK_FALSE(memory.is_on());
    CHECK(memory.end() == 0.0);
}

TEST_CASE("An outage keeps the limit from before its first window") {
    outage_memory memory;
    memory.go_on(100);
    CHECK(memory.is_on());
    memory.go_on(25);
    memory.go_on(6.25);
    CHECK(memory.is_on());
    CHECK(memory.end() == 100.0);
    CHECK_FALSE(memory.is_on());
}

TEST_CASE("The next outage has a limit of its own") {
    outage_memory memory;
    memory.go_on(100);
    memory.end();
    CHECK(memory.end() == 0.0);
    memory.go_on(50);
    memory.go_on(200);
    CHECK(memory.end() == 50.0);
}

} // namespace
