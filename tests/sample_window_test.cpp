// sample_window_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/sample_window.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/limit_strategy.hpp"

namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using flowguard::detail::sample_window;
using place = sample_window::place;

// Enters, and says which place that was, and whether few were in flight.
place enter(sample_window& w, nanoseconds now, std::size_t in_flight, bool& low) {
    const place p = w.enter(now, in_flight, low);
    if (p == place::last)
        w.fill(now);
    return p;
}

place enter(sample_window& w, nanoseconds now, std::size_t in_flight = 1) {
    bool low = false;
    return enter(w, now, in_flight, low);
}

// Enters, and says whether few were in flight.
bool enters_low(sample_window& w, std::size_t in_flight) {
    bool low = false;
    REQUIRE(enter(w, 0ns, in_flight, low) != place::none);
    return low;
}

bool succeed_and_leave(sample_window& w, nanoseconds rtt, bool low = false) {
    w.succeed(rtt, low);
    return w.leave();
}

flowguard::window summary_of(const sample_window& w, nanoseconds now) {
    flowguard::window summary;
    w.summarize(now, summary);
    return summary;
}

// A window of `size`, all of whose places were taken at `last`, one ns apart.
void fill(sample_window& w, std::size_t size, nanoseconds last) {
    w.open(size, 10, 0, 0ns);
    for (std::size_t i = 1; i <= size; ++i)
        REQUIRE(enter(w, last - nanoseconds{static_cast<std::int64_t>(size - i)}) != place::none);
}

TEST_CASE("A window that was never opened has no members") {
    sample_window w;
    CHECK(enter(w, 1us) == place::none);
    CHECK(w.is_left());
    CHECK_FALSE(w.close_if_straggling(1h));
}

TEST_CASE("The first K admitted are members, and later ones are not") {
    sample_window w;
    w.open(3, 10, 0, 0ns);
    CHECK(enter(w, 1us) == place::member);
    CHECK(enter(w, 2us) == place::member);
    CHECK(enter(w, 3us) == place::last);
    for (int i = 0; i < 5; ++i)
        CHECK(enter(w, 4us) == place::none);
    CHECK(summary_of(w, 9us).admitted == 3);
}

TEST_CASE("A window of one has its last member first") {
    sample_window w;
    w.open(1, 10, 0, 0ns);
    CHECK(enter(w, 1us) == place::last);
    CHECK(enter(w, 1us) == place::none);
    CHECK(succeed_and_leave(w, 5us));
}

TEST_CASE("Members who leave make no room for others") {
    sample_window w;
    w.open(2, 10, 0, 0ns);
    enter(w, 0us);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK(enter(w, 1us) == place::last);
    CHECK(enter(w, 2us) == place::none);
}

TEST_CASE("The last to leave closes the window, once") {
    sample_window w;
    w.open(3, 10, 0, 0ns);
    for (int i = 0; i < 3; ++i)
        enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    w.drop(1us);
    CHECK_FALSE(w.leave());
    w.ignore();
    CHECK(w.leave());
    CHECK(w.is_left());
    CHECK_FALSE(w.close_if_straggling(1h));
}

TEST_CASE("A window does not close before its places are taken") {
    sample_window w;
    w.open(2, 10, 0, 0ns);
    enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    CHECK_FALSE(w.close_if_straggling(1h));
}

TEST_CASE("The summary has the outcomes, and the successes' RTTs") {
    sample_window w;
    w.open(6, 12, 0, 1ms);
    for (int i = 1; i <= 6; ++i)
        enter(w, 1ms + i * 10us, static_cast<std::size_t>(4 + i % 3));
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 200us);
    succeed_and_leave(w, 600us);
    w.drop(1000us);
    CHECK_FALSE(w.leave());
    w.drop(3000us);
    CHECK_FALSE(w.leave());
    w.ignore();
    CHECK(w.leave());

    const flowguard::window s = summary_of(w, 5ms);
    CHECK(s.admitted == 6);
    CHECK(s.samples == 3);
    CHECK(s.dropped == 2);
    CHECK(s.ignored == 1);
    CHECK(s.mean_rtt == 300us);
    CHECK(s.dropped_mean_rtt == 2000us);
    CHECK(s.limit == 12);
    CHECK(s.max_in_flight == 6);
    CHECK(s.length == 4ms);
    CHECK(s.admitting == 50us);
    CHECK(static_cast<double>(s.min_rtt.count()) == Approx(100e3).epsilon(0.07));
    CHECK(static_cast<double>(s.quantile(0.5).count()) == Approx(200e3).epsilon(0.07));
    CHECK(static_cast<double>(s.quantile(1).count()) == Approx(600e3).epsilon(0.07));
}

TEST_CASE("A window without successes has no RTT") {
    sample_window w;
    w.open(2, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    w.drop(4us);
    CHECK_FALSE(w.leave());
    w.ignore();
    CHECK(w.leave());
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.samples == 0);
    CHECK(s.mean_rtt == 0ns);
    CHECK(s.min_rtt == 0ns);
    CHECK(s.quantile(0.9) == 0ns);
    CHECK(s.dropped_mean_rtt == 4us);
    CHECK(s.low.samples == 0);
    CHECK(s.low.mean == 0ns);
}

TEST_CASE("Few in flight are a third of the limit, or one") {
    sample_window w;
    w.open(4, 9, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK(enters_low(w, 3));
    CHECK_FALSE(enters_low(w, 4));
    CHECK_FALSE(enters_low(w, 9));

    w.open(2, 2, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK_FALSE(enters_low(w, 2));
}

TEST_CASE("The summary has the RTTs of those admitted with few in flight "
          "apart, and among all") {
    sample_window w;
    w.open(4, 9, 0, 0ns);
    for (int i = 0; i < 4; ++i)
        enter(w, 0ns);
    succeed_and_leave(w, 100us, true);
    succeed_and_leave(w, 300us, true);
    succeed_and_leave(w, 1000us, false);
    CHECK(succeed_and_leave(w, 2600us, false));

    const flowguard::window s = summary_of(w, 5ms);
    CHECK(s.low.samples == 2);
    CHECK(s.low.mean == 200us);
    CHECK(static_cast<double>(s.low.quantile(1).count()) == Approx(300e3).epsilon(0.07));
    CHECK(s.low.variation() == Approx(0.5).epsilon(0.1));
    CHECK(s.samples == 4);
    CHECK(s.mean_rtt == 1000us);
    CHECK(static_cast<double>(s.min_rtt.count()) == Approx(100e3).epsilon(0.07));
}

TEST_CASE("Mean in flight is the rate of admission times the mean time in flight") {
    sample_window w;
    w.open(4, 10, 0, 0ns);
    for (int i = 0; i < 4; ++i)
        enter(w, 100us + i * 10us, 9); // three intervals in 30 us: one in 10 us
    SECTION("of successes") {
        succeed_and_leave(w, 20us);
        succeed_and_leave(w, 40us);
        succeed_and_leave(w, 25us);
        CHECK(succeed_and_leave(w, 35us));
        CHECK(summary_of(w, 1ms).mean_in_flight == Approx(3.0));
    }
    SECTION("of drops as well") {
        succeed_and_leave(w, 20us);
        succeed_and_leave(w, 20us);
        w.drop(60us);
        CHECK_FALSE(w.leave());
        w.drop(80us);
        CHECK(w.leave());
        CHECK(summary_of(w, 1ms).mean_in_flight == Approx(4.5));
    }
    SECTION("and at most the most that there ever were") {
        for (int i = 0; i < 4; ++i)
            (void)succeed_and_leave(w, 1ms);
        CHECK(summary_of(w, 2ms).mean_in_flight == Approx(9.0));
    }
}

TEST_CASE("Mean in flight is the most there were when all were admitted at once") {
    sample_window w;
    w.open(2, 10, 0, 0ns);
    enter(w, 5us, 3);
    enter(w, 5us, 4);
    succeed_and_leave(w, 1us);
    CHECK(succeed_and_leave(w, 1us));
    CHECK(summary_of(w, 1ms).mean_in_flight == Approx(4.0));

    w.open(1, 10, 0, 0ns);
    enter(w, 5us, 7);
    CHECK(succeed_and_leave(w, 1us));
    CHECK(summary_of(w, 1ms).mean_in_flight == Approx(7.0));
}

TEST_CASE("Members straggle after ten times the mean of the others, and as long again for each per cent") {
    sample_window w;
    fill(w, 100, 100us);
    for (int i = 0; i < 49; ++i) {
        REQUIRE_FALSE(succeed_and_leave(w, 400us));
        w.drop(600us);
        REQUIRE_FALSE(w.leave());
    }
    CHECK_FALSE(w.close_if_straggling(100us + 15ms)); // 30 means of 500 us, for 2 are left
    CHECK(w.close_if_straggling(100us + 15ms + 1ns));
}

TEST_CASE("Members of a slower kind do not straggle") {
    sample_window w;
    fill(w, 100, 100us);
    for (int i = 0; i < 50; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 1ms));
    CHECK_FALSE(w.close_if_straggling(100us + 50ms));
    for (int i = 0; i < 49; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 50ms));
    CHECK(succeed_and_leave(w, 50ms));
}

TEST_CASE("Members straggle after a millisecond at the least") {
    sample_window w;
    fill(w, 3, 100us);
    succeed_and_leave(w, 1us);
    CHECK_FALSE(w.close_if_straggling(100us + 1ms));
    CHECK(w.close_if_straggling(100us + 1ms + 1ns));
}

TEST_CASE("Who was ignored does not make the others look slow") {
    sample_window w;
    fill(w, 5, 100us);
    REQUIRE_FALSE(succeed_and_leave(w, 500us));
    for (int i = 0; i < 3; ++i) {
        w.ignore();
        REQUIRE_FALSE(w.leave());
    }
    CHECK_FALSE(w.close_if_straggling(100us + 105ms)); // 10 + 200 means of 500 us
    CHECK(w.close_if_straggling(100us + 105ms + 1ns));
}

TEST_CASE("Members straggle after a millisecond when the others were ignored") {
    sample_window w;
    fill(w, 2, 100us);
    w.ignore();
    REQUIRE_FALSE(w.leave());
    CHECK_FALSE(w.close_if_straggling(100us + 1ms));
    CHECK(w.close_if_straggling(100us + 1ms + 1ns));
}

TEST_CASE("A window is not closed between its last place and the word that it is full") {
    sample_window w;
    w.open(2, 10, 0, 0ns);
    bool low = false;
    REQUIRE(w.enter(0ns, 1, low) == place::member);
    REQUIRE(w.enter(0ns, 2, low) == place::last);
    REQUIRE_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.close_if_straggling(24h));
    w.fill(0ns);
    CHECK(w.close_if_straggling(24h));
}

TEST_CASE("Nobody straggles while nobody is done") {
    sample_window w;
    fill(w, 3, 100us);
    CHECK_FALSE(w.close_if_straggling(24h));
}

TEST_CASE("Nobody straggles while there are places left") {
    sample_window w;
    w.open(3, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    succeed_and_leave(w, 2us);
    CHECK_FALSE(w.close_if_straggling(24h));
}

TEST_CASE("Nobody straggles when the clock steps backwards") {
    sample_window w;
    fill(w, 3, 1h);
    succeed_and_leave(w, 2us);
    CHECK_FALSE(w.close_if_straggling(0ns));
}

TEST_CASE("An early close counts stragglers with their age") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 300us, true);
    REQUIRE(w.close_if_straggling(111ms));

    const flowguard::window s = summary_of(w, 111ms);
    CHECK(s.admitted == 4);
    CHECK(s.samples == 4);
    CHECK(s.mean_rtt == (100us + 300us + 110ms + 110ms) / 4);
    CHECK(static_cast<double>(s.quantile(1).count()) == Approx(110e6).epsilon(0.07));
    CHECK(static_cast<double>(s.quantile(0.5).count()) == Approx(300e3).epsilon(0.07));
    CHECK(s.low.samples == 1);
    CHECK(s.low.mean == 300us);
}

TEST_CASE("A window that was closed early is closed for everybody else") {
    sample_window w;
    fill(w, 2, 1ms);
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h));
    CHECK_FALSE(w.close_if_straggling(24h));
    CHECK_FALSE(w.is_left());
    CHECK_FALSE(succeed_and_leave(w, 9ms)); // the straggler, late
    CHECK(w.is_left());
    CHECK_FALSE(w.close_if_straggling(24h));

    w.open(1, 10, 0, 1h);
    CHECK_FALSE(w.close_if_straggling(24h));
    CHECK(enter(w, 1h) == place::last);
    CHECK(succeed_and_leave(w, 1us)); // closed early before, and now as usual
}

TEST_CASE("A window starts afresh when it is opened again") {
    sample_window w;
    w.open(2, 10, 7, 0ns);
    CHECK(w.limit_after() == 7);
    enter(w, 1us, 9);
    enter(w, 2us, 9);
    w.drop(1ms);
    (void)w.leave();
    w.ignore();
    REQUIRE(w.leave());

    w.open(3, 20, 0, 10us);
    CHECK(w.limit_after() == 0);
    CHECK_FALSE(w.is_left());
    CHECK_FALSE(w.close_if_straggling(24h));
    CHECK(enter(w, 20us, 2) == place::member);
    CHECK(enter(w, 21us, 3) == place::member);
    CHECK(enter(w, 22us, 2) == place::last);
    succeed_and_leave(w, 5us);
    succeed_and_leave(w, 5us, true);
    CHECK(succeed_and_leave(w, 5us));

    const flowguard::window s = summary_of(w, 50us);
    CHECK(s.admitted == 3);
    CHECK(s.samples == 3);
    CHECK(s.low.samples == 1);
    CHECK(s.dropped == 0);
    CHECK(s.ignored == 0);
    CHECK(s.dropped_mean_rtt == 0ns);
    CHECK(s.mean_rtt == 5us);
    CHECK(s.limit == 20);
    CHECK(s.max_in_flight == 3);
    CHECK(s.length == 40us);
    CHECK(s.admitting == 2us);
}

TEST_CASE("A clock that steps backwards makes lengths 0, never negative") {
    sample_window w;
    w.open(2, 10, 0, 5ms);
    enter(w, 4ms, 2);
    enter(w, 3ms, 2);
    succeed_and_leave(w, 0ns);
    CHECK(succeed_and_leave(w, 0ns));
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.length == 0ns);
    CHECK(s.admitting == 0ns);
    CHECK(s.mean_rtt == 0ns);
    CHECK(s.mean_in_flight == Approx(2.0));
}

} // namespace
