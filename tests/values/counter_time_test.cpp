// counter_time_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/base/counter_time.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <cstdint>

namespace {

using flowguard::detail::counter_anchor;
using flowguard::detail::counter_calibration;
using flowguard::detail::counter_reading;
using flowguard::detail::counter_scale;
using flowguard::detail::scale_between;

constexpr std::int64_t start = 7'000'000'000; // ns
constexpr std::uint64_t counter_at_start = 1'000'000;

// The counter has two ticks a nanosecond here.
constexpr std::uint64_t ticks_at(std::int64_t since_start) {
    return counter_at_start + static_cast<std::uint64_t>(2 * since_start);
}

// A reading that takes some ns before it reads steady_clock, and some after it.
constexpr counter_reading reading(std::int64_t since_start, std::int64_t before = 20, std::int64_t after = 20) {
    return {ticks_at(since_start - before), start + since_start, ticks_at(since_start + after)};
}

constexpr counter_scale scale = scale_between(reading(0), reading(10'000'000'000));

counter_anchor anchor_at(std::int64_t since_start) {
    counter_anchor anchor;
    anchor.move_to(reading(since_start), scale);
    return anchor;
}

} // namespace

TEST_CASE("The scale is found from two readings, a little too slow") {
    constexpr double exact = 0.5 * 4294967296.0;
    CHECK(static_cast<double>(scale.factor) / exact == Approx(1 - counter_scale::slower).epsilon(1e-6));
    CHECK(scale.reach == Approx(200'000).epsilon(1e-6));
}

TEST_CASE("The scale is known once it cannot be wrong by more than a part in 8192") {
    CHECK(scale_between(reading(0), reading(0)).reach == 0);
    CHECK(scale_between(reading(0), reading(600'000)).reach == 0); // the readings took 80 ns
    CHECK(scale_between(reading(0), reading(700'000)).reach != 0);
    CHECK(scale_between(reading(0, 20, 1'000'000), reading(700'000)).reach == 0); // the thread lost its processor
    CHECK(scale_between(reading(0), reading(700'000, 1'000'000, 20)).reach == 0);
    CHECK(scale_between(reading(0, 20, 1'000'000), reading(9'000'000'000)).reach != 0);
}

TEST_CASE("The scale is not found across a reset of the counter, or of the clock") {
    CHECK(scale_between(reading(10'000'000), {0, start + 20'000'000, 40}).reach == 0);
    CHECK(scale_between(reading(10'000'000), reading(0)).reach == 0);
    CHECK(scale_between({ticks_at(0), start, ticks_at(10)}, {ticks_at(900'000), start, ticks_at(900'010)}).reach == 0);
}

TEST_CASE("The scale is not found where the counter was set far ahead") {
    const auto ahead_by = [](std::uint64_t ticks) {
        const counter_reading r = reading(10'000'000);
        return counter_reading{r.before + ticks, r.time, r.after + ticks};
    };
    CHECK(scale_between(reading(0), ahead_by(0)).reach != 0);
    CHECK(scale_between(reading(0), ahead_by(1'000'000'000)).reach == 0);
    CHECK(scale_between(reading(0), ahead_by(std::uint64_t{1} << 63)).reach == 0);
    CHECK(scale_between(reading(0), {ticks_at(0) + 100'000, start + 10'000'000, ticks_at(0) + 100'001}).reach == 0);
}

TEST_CASE("A thread finds the scale from two readings, and finds it anew after a second") {
    counter_calibration calibration;
    CHECK(calibration.scale_at(reading(0)).reach == 0);
    CHECK(calibration.scale_at(reading(100'000)).reach == 0); // too early
    CHECK(calibration.scale_at(reading(1'000'000)).reach == Approx(200'000).epsilon(1e-3));

    // The counter goes on with 3 ticks a nanosecond.
    const auto faster = [](std::int64_t since_start) {
        const std::uint64_t more = static_cast<std::uint64_t>(since_start - 1'000'000);
        const counter_reading r = reading(since_start);
        return counter_reading{r.before + more, r.time, r.after + more};
    };
    CHECK(calibration.scale_at(faster(1'002'000'000)).reach == Approx(200'000).epsilon(1e-3)); // begins anew
    CHECK(calibration.scale_at(faster(1'004'000'000)).reach == Approx(300'000).epsilon(1e-3));
    CHECK(calibration.scale_at(faster(9'000'000'000)).reach == Approx(300'000).epsilon(1e-3)); // begins anew
}

TEST_CASE("Times follow the counter from a reading on, and are never late") {
    const counter_anchor anchor = anchor_at(0);
    REQUIRE(anchor.is_set());
    for (std::int64_t t = 20; t < 100'000; t += 7) {
        INFO(t);
        REQUIRE(anchor.reaches(ticks_at(t)));
        const std::int64_t error = anchor.time_at(ticks_at(t)) - (start + t);
        REQUIRE(error <= 0);
        REQUIRE(error >= -120); // 20 for the reading, 100 for the scale
    }
}

TEST_CASE("A reading does not reach far, and not back") {
    const counter_anchor anchor = anchor_at(0);
    CHECK(anchor.reaches(ticks_at(99'000)));
    CHECK_FALSE(anchor.reaches(ticks_at(101'000)));
    CHECK_FALSE(anchor.reaches(ticks_at(3'600'000'000'000)));
    CHECK_FALSE(anchor.reaches(ticks_at(0))); // before the end of the reading
    CHECK_FALSE(anchor.reaches(0)); // the counter was reset
}

TEST_CASE("Without a scale, or after a reading that took long, nothing is extrapolated") {
    counter_anchor anchor;
    CHECK_FALSE(anchor.is_set());
    CHECK(anchor.move_to(reading(0), {}) == start);
    CHECK_FALSE(anchor.is_set());
    CHECK(anchor.move_to(reading(1'000, 20, 7'000), scale) == start + 1'000);
    CHECK_FALSE(anchor.is_set());
    CHECK(anchor.move_to(reading(9'000, 20, 6'000), scale) == start + 9'000);
    CHECK(anchor.is_set());
    CHECK(anchor.move_to(reading(200'000, 7'000, 20), scale) == start + 200'000);
    CHECK_FALSE(anchor.is_set());
}

TEST_CASE("If steady_clock falls behind the times that were read, the time stands still until it has caught up") {
    counter_anchor anchor = anchor_at(0);
    const std::int64_t latest = anchor.time_at(ticks_at(20 + 99'999));
    // steady_clock has advanced by 90 µs only while the counter counted 110 µs.
    const auto slow = [](std::int64_t time) {
        return counter_reading{ticks_at(time + 20'000), start + time, ticks_at(time + 20'040)};
    };
    const std::int64_t held = anchor.move_to(slow(90'000), scale);
    CHECK(held >= latest);
    CHECK(held < latest + 5);
    CHECK_FALSE(anchor.is_set());
    CHECK(anchor.move_to(slow(95'000), scale) == held);
    CHECK_FALSE(anchor.is_set());
    CHECK(anchor.move_to(slow(105'000), scale) == start + 105'000);
    CHECK(anchor.is_set());
}
