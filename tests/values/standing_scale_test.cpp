// standing_scale_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/control/standing_scale.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>

namespace {

using namespace std::chrono_literals;
using flowguard::detail::standing_scale;
using flowguard::detail::standing_times;
using flowguard::duration;

TEST_CASE("The times of a queue follow from what is known of the service") {
    struct row {
        const char* what;
        standing_scale::facts known;
        standing_times expected;
    };
    const standing_scale scale({}, {});
    for (const row& r : {
             row{"nothing", {}, {5ms, 100ms}},
             row{"a mean RTT: half of it, and two turnovers", {.mean_rtt = 1s, .limit = 10}, {700ms, 10s}},
             row{"a short RTT", {.mean_rtt = 1ms, .limit = 10}, {5ms, 100ms}},
             row{"an RTT of 0", {.mean_rtt = 0ms, .limit = 10}, {5ms, 100ms}},
             row{"a limit of one", {.mean_rtt = 1s, .limit = 1}, {2500ms, 10s}},
             row{"a high limit", {.mean_rtt = 1s, .limit = 1000}, {502ms, 10s}},
             row{"a baseline: a queue in the service does not lengthen the interval",
                 {.baseline = 100ms, .mean_rtt = 1s, .limit = 10},
                 {250ms, 1s}},
             row{"a baseline above the mean is out of date",
                 {.baseline = 1h, .mean_rtt = 1s, .limit = 10},
                 {700ms, 10s}},
             row{"a baseline without a mean", {.baseline = 1s, .limit = 10}, {5ms, 100ms}},
             row{"a limit below one", {.mean_rtt = 100ms, .limit = 1, .spacing = 2s}, {5s, 20s}},
             row{"times of a clock that was set", {.mean_rtt = duration::max(), .limit = 1}, {150min, 10h}},
             row{"times of a clock that was set back", {.baseline = -1s, .mean_rtt = duration::min()}, {5ms, 100ms}},
             row{"a limit of 0, as a semaphore may have", {.mean_rtt = 1s, .limit = 0}, {2500ms, 10s}},
         }) {
        INFO(r.what);
        CHECK(scale.times(r.known).target.count() == r.expected.target.count());
        CHECK(scale.times(r.known).interval.count() == r.expected.interval.count());
    }
}

TEST_CASE("A target or an interval that is given is used as it is") {
    const standing_scale::facts known{.mean_rtt = 1s, .limit = 10};
    CHECK(standing_scale(1ms, {}).times(known) == standing_times{1ms, 10s});
    CHECK(standing_scale({}, 2ms).times(known) == standing_times{700ms, 2ms});
    CHECK(standing_scale(0ms, 0ms).times(known) == standing_times{});
    CHECK(standing_scale(1ms, {}).adjusts());
    CHECK(standing_scale({}, 2ms).adjusts());
    CHECK(standing_scale({}, {}).adjusts());
    CHECK_FALSE(standing_scale(0ms, 0ms).adjusts());
}

} // namespace
