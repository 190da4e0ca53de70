// vegas_paced_limit_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/paced_limit.hpp" // first: the header is self-contained

#include <chrono>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/limits.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::vegas::spacing_of;
using flowguard::detail::vegas::whole;
using flowguard::duration;

constexpr double ms = 1e6; // nanoseconds

TEST_CASE("A limit is rounded to whole permits, but at least one") {
    for (const auto& [limit, permits] : std::vector<std::pair<double, std::size_t>>{
             {0, 1}, {0.01, 1}, {0.49, 1}, {1, 1}, {1.49, 1}, {1.5, 2}, {99.49, 99}, {99.5, 100}, {100'000, 100'000}}) {
        CAPTURE(limit);
        CHECK(whole(limit) == permits);
    }
}

TEST_CASE("A limit below one is a spacing of the RTT over the limit") {
    struct row {
        double limit;
        double rtt;
        duration spacing;
    };
    for (const row& r : std::vector<row>{{0.5, 10 * ms, 20ms},
                                         {0.25, 10 * ms, 40ms},
                                         {0.01, 10 * ms, 1s},
                                         {1, 10 * ms, 0ns},
                                         {1.4, 10 * ms, 0ns}, // one permit, and nothing more
                                         {100, 10 * ms, 0ns},
                                         {0.5, 0, 1ns}, // no RTT is known: never 0, which would be no spacing
                                         {0.01, 3.6e6 * ms, 1000s}, // at most
                                         {0.01, std::numeric_limits<double>::infinity(), 1000s}}) {
        CAPTURE(r.limit, r.rtt);
        CHECK(spacing_of(r.limit, r.rtt) == r.spacing);
    }
}

} // namespace
