// clock_time_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/base/clock_time.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>

#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/queue/standing_queue.hpp"
#include "flowguard/detail/queue/standing_times.hpp"
#include "support/manual_clock.hpp"

namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using namespace flowguard::detail;

using ticks_of_100ns = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;
using short_seconds = std::chrono::duration<std::int16_t>;
using real_seconds = std::chrono::duration<double>;

constexpr standing_times times{.target = 5ms, .interval = 100ms};

TEST_CASE("Sums and differences of times stay within their type") {
    constexpr nanoseconds most = nanoseconds::max();
    constexpr nanoseconds least = nanoseconds::min();
    CHECK(saturated_sum(2ns, 3ns) == 5ns);
    CHECK(saturated_sum(most, 1ns) == most);
    CHECK(saturated_sum(most - 1ns, 1ns) == most);
    CHECK(saturated_sum(least, -1ns) == least);
    CHECK(saturated_sum(least, most) == -1ns);
    CHECK(saturated_sum(-5ns, most) == most - 5ns);
    CHECK(saturated_difference(2ns, 3ns) == -1ns);
    CHECK(saturated_difference(most, -1ns) == most);
    CHECK(saturated_difference(least, 1ns) == least);
    CHECK(saturated_difference(0ns, least) == most);
    CHECK(saturated_difference(-1ns, least) == most);
    CHECK(saturated_difference(least, least) == 0ns);
    CHECK(saturated_difference(most, least) == most);
    CHECK(saturated_difference(real_seconds{1}, real_seconds{0.25}) == real_seconds{0.75});
}

TEST_CASE("Times in another unit are rounded up, and stay within their type") {
    CHECK(saturated_cast<std::chrono::seconds>(1500ms) == 2s);
    CHECK(saturated_cast<std::chrono::seconds>(1000ms) == 1s);
    CHECK(saturated_cast<std::chrono::seconds>(-1500ms) == -1s);
    CHECK(saturated_cast<std::chrono::seconds>(nanoseconds::max()) == 9'223'372'037s);
    CHECK(saturated_cast<nanoseconds>(3s) == 3s);
    CHECK(saturated_cast<nanoseconds>(std::chrono::seconds::max()) == nanoseconds::max());
    CHECK(saturated_cast<nanoseconds>(std::chrono::seconds::min()) == nanoseconds::min());
    CHECK(saturated_cast<nanoseconds>(ticks_of_100ns{133'500'000'000'000'000}) == nanoseconds::max());
    CHECK(saturated_cast<nanoseconds>(ticks_of_100ns{92'233'720'368'547'758}).count() == 9'223'372'036'854'775'800);
    CHECK(saturated_cast<short_seconds>(24h).count() == 32767);
    CHECK(saturated_cast<short_seconds>(-24h).count() == -32768);
    CHECK(saturated_cast<short_seconds>(1ms).count() == 1);
    CHECK(saturated_cast<real_seconds>(1500ms).count() == 1.5);
    CHECK(saturated_cast<nanoseconds>(real_seconds{1.5}) == 1500ms);
    CHECK(saturated_cast<nanoseconds>(real_seconds{1e30}) == nanoseconds::max());
    CHECK(saturated_cast<nanoseconds>(real_seconds{-1e30}) == nanoseconds::min());
}

TEST_CASE("A clock whose epoch is centuries ago counts in nanoseconds from its first time on") {
    using clock = support::manual_clock_of<ticks_of_100ns>;
    clock::at = ticks_of_100ns{133'500'000'000'000'000}; // 2024, from 1601
    CHECK(time_now<clock>() == 0ns);
    clock::at += 3ms;
    CHECK(time_now<clock>() == 3ms);
    clock::at -= 1h;
    CHECK(time_now<clock>() == 3ms - 1h);
    clock::at = ticks_of_100ns::min();
    CHECK(time_now<clock>() == nanoseconds::min());
}

TEST_CASE("A deadline after some time stays within its clock") {
    using clock = support::manual_clock_of<nanoseconds>;
    const auto deadline = [](nanoseconds now, nanoseconds length) {
        clock::at = now;
        return after<clock>(length).time.time_since_epoch();
    };
    CHECK(deadline(9h, 1s) == 9h + 1s);
    CHECK(deadline(9h, nanoseconds::max()) == nanoseconds::max());
    CHECK(deadline(-9h, nanoseconds::max()) == nanoseconds::max() - 9h);
    CHECK(deadline(9h, nanoseconds::min()) == nanoseconds::min() + 9h);
    CHECK(deadline(-9h, nanoseconds::min()) == nanoseconds::min());
    CHECK(deadline(nanoseconds::min(), 1s) == nanoseconds::min() + 1s);
    CHECK(deadline(nanoseconds::min(), -1s) == nanoseconds::min());
}

TEST_CASE("A queue stands after an interval of waits that are too long, whatever time the clock shows") {
    const nanoseconds start = GENERATE(as<nanoseconds>{}, 9h, -9h, nanoseconds::min(), nanoseconds::max() - 300ms);
    standing_queue queue;
    const auto stands = [&](nanoseconds waited, nanoseconds now) {
        queue.look(waited, now, times);
        return queue.stands();
    };
    CHECK_FALSE(stands(1ms, start));
    CHECK_FALSE(stands(6ms, start + 99ms));
    CHECK(stands(6ms, start + 100ms));
    CHECK(stands(1ms, start + 199ms));
    CHECK_FALSE(stands(1ms, start + 200ms));
}

TEST_CASE("A queue does not stand at the first look") {
    standing_queue queue;
    queue.look(6ms, 9h, times);
    CHECK_FALSE(queue.stands());
    queue.look(6ms, 9h + 100ms, times);
    CHECK(queue.stands());
}

TEST_CASE("A clock set back delays the end of a standing queue by at most one interval") {
    standing_queue queue;
    queue.look(1ms, 9h, times);
    queue.look(6ms, 9h + 100ms, times);
    REQUIRE(queue.stands());
    queue.look(1ms, 8h, times);
    CHECK(queue.stands());
    queue.look(1ms, 8h + 99ms, times);
    CHECK(queue.stands());
    queue.look(1ms, 8h + 100ms, times);
    CHECK_FALSE(queue.stands());
}

TEST_CASE("A clock set forward by years makes a queue stand at the second look with a long wait, not earlier") {
    standing_queue queue;
    queue.look(1ms, nanoseconds::min(), times);
    queue.look(1ms, nanoseconds::max(), times);
    CHECK_FALSE(queue.stands());
}

} // namespace
