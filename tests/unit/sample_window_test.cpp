// sample_window_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/control/sample_window.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/limit_strategy.hpp"

namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using flowguard::detail::sample_window;

using entry = sample_window::entry;
using leaving = sample_window::leaving;

std::uint32_t generation = 0; // of the member that entered last

void open(sample_window& w, std::size_t size, std::size_t limit, std::size_t limit_after, nanoseconds now,
          nanoseconds within = sample_window::unbounded) {
    w.open({.size = size, .limit = limit, .limit_after = limit_after, .within = within}, now);
}

// Enters, and says what that was, and whether few were in flight.
entry enter(sample_window& w, nanoseconds now, std::size_t in_flight, bool& low) {
    const entry e = w.enter(now, in_flight, low, generation);
    if (e == entry::last)
        w.fill(now);
    return e;
}

entry enter(sample_window& w, nanoseconds now, std::size_t in_flight = 1) {
    bool low = false;
    return enter(w, now, in_flight, low);
}

// Enters, and says whether few were in flight.
bool enters_low(sample_window& w, std::size_t in_flight) {
    bool low = false;
    REQUIRE(enter(w, 0ns, in_flight, low) != entry::none);
    return low;
}

// Whether that closed the window.
bool leave(sample_window& w) {
    return w.leave(generation) == leaving::last;
}

bool succeed_and_leave(sample_window& w, nanoseconds rtt, bool low = false) {
    w.succeed(rtt, low);
    return leave(w);
}

flowguard::window summary_of(const sample_window& w, nanoseconds now) {
    flowguard::window summary;
    w.summarize(now, summary);
    return summary;
}

// A window of `size`, all of whose places were taken at `last`, one ns apart.
void fill(sample_window& w, std::size_t size, nanoseconds last) {
    open(w, size, 10, 0, 0ns);
    for (std::size_t i = 1; i <= size; ++i)
        REQUIRE(enter(w, last - nanoseconds{static_cast<std::int64_t>(size - i)}) != entry::none);
}

TEST_CASE("A window that was never opened has no members") {
    sample_window w;
    CHECK(enter(w, 1us) == entry::none);
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("The first K admitted are members, and later ones are not") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    CHECK(enter(w, 1us) == entry::member);
    CHECK(enter(w, 2us) == entry::member);
    CHECK(enter(w, 3us) == entry::last);
    for (int i = 0; i < 5; ++i)
        CHECK(enter(w, 4us) == entry::none);
    CHECK(summary_of(w, 9us).admitted == 3);
}

TEST_CASE("A window of one has its last member first") {
    sample_window w;
    open(w, 1, 10, 0, 0ns);
    CHECK(enter(w, 1us) == entry::last);
    CHECK(enter(w, 1us) == entry::none);
    CHECK(succeed_and_leave(w, 5us));
}

TEST_CASE("Members who leave make no room for others") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0us);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK(enter(w, 1us) == entry::last);
    CHECK(enter(w, 2us) == entry::none);
}

TEST_CASE("The last to leave closes the window, once") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    for (int i = 0; i < 3; ++i)
        enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    w.drop(1us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("A window does not close before its places are taken") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0ns);
    CHECK_FALSE(succeed_and_leave(w, 1us));
    CHECK_FALSE(w.is_left());
    CHECK(w.close_if_straggling(1h) == 0);
}

TEST_CASE("The summary has the outcomes, and the successes' RTTs") {
    sample_window w;
    open(w, 6, 12, 0, 1ms);
    for (int i = 1; i <= 6; ++i)
        enter(w, 1ms + i * 10us, static_cast<std::size_t>(4 + i % 3));
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 200us);
    succeed_and_leave(w, 600us);
    w.drop(1000us);
    CHECK_FALSE(leave(w));
    w.drop(3000us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));

    const flowguard::window s = summary_of(w, 5ms);
    CHECK(s.admitted == 6);
    CHECK(s.all.samples == 3);
    CHECK(s.dropped == 2);
    CHECK(s.ignored == 1);
    CHECK(s.all.mean == 300us);
    CHECK(s.dropped_mean_rtt == 2000us);
    CHECK(s.limit == 12);
    CHECK(s.max_in_flight == 6);
    CHECK(s.length == 4ms);
    CHECK(s.admitting == 50us);
    CHECK(static_cast<double>(s.all.min().count()) == Approx(100e3).epsilon(0.07));
    CHECK(static_cast<double>(s.all.quantile(0.5).count()) == Approx(200e3).epsilon(0.07));
    CHECK(static_cast<double>(s.all.quantile(1).count()) == Approx(600e3).epsilon(0.07));
}

TEST_CASE("What was in flight counts all members by the time for which they held permits") {
    sample_window w;
    open(w, 10, 100, 0, 0ns);
    for (int i = 0; i < 10; ++i)
        enter(w, i * 10ms, 50); // 0.1 a millisecond
    succeed_and_leave(w, 100ms);
    w.drop(20ms);
    CHECK_FALSE(leave(w));
    for (int i = 0; i < 7; ++i) {
        w.ignore(1ms);
        CHECK_FALSE(leave(w));
    }
    SECTION("and is ignored") {
        w.ignore(3ms);
        CHECK(leave(w));
        CHECK(summary_of(w, 200ms).mean_in_flight == Approx(0.1 * (100 + 20 + 7 + 3) / 10));
    }
    SECTION("and is unfinished, since the last admission at least") {
        const auto late = 90ms + 10s;
        REQUIRE(w.close_if_straggling(late) == 1);
        CHECK(summary_of(w, late).mean_in_flight == 50); // 0.1 × 10,127 ms / 10, but never so many were
    }
}

TEST_CASE("A window without successes has no RTT") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    w.drop(4us);
    CHECK_FALSE(leave(w));
    w.ignore(0ns);
    CHECK(leave(w));
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.all.samples == 0);
    CHECK(s.all.mean == 0ns);
    CHECK(s.all.min() == 0ns);
    CHECK(s.all.quantile(0.9) == 0ns);
    CHECK(s.dropped_mean_rtt == 4us);
    CHECK(s.low.samples == 0);
    CHECK(s.low.mean == 0ns);
}

TEST_CASE("Few in flight are a third of the limit, or one") {
    sample_window w;
    open(w, 4, 9, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK(enters_low(w, 3));
    CHECK_FALSE(enters_low(w, 4));
    CHECK_FALSE(enters_low(w, 9));

    open(w, 2, 2, 0, 0ns);
    CHECK(enters_low(w, 1));
    CHECK_FALSE(enters_low(w, 2));
}

TEST_CASE("The summary has the RTTs of those admitted with few in flight "
          "apart, and among all") {
    sample_window w;
    open(w, 4, 9, 0, 0ns);
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
    CHECK(s.all.samples == 4);
    CHECK(s.all.mean == 1000us);
    CHECK(static_cast<double>(s.all.min().count()) == Approx(100e3).epsilon(0.07));
}

TEST_CASE("Mean in flight is the rate of admission times the mean time in flight") {
    sample_window w;
    open(w, 4, 10, 0, 0ns);
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
        CHECK_FALSE(leave(w));
        w.drop(80us);
        CHECK(leave(w));
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
    open(w, 2, 10, 0, 0ns);
    enter(w, 5us, 3);
    enter(w, 5us, 4);
    succeed_and_leave(w, 1us);
    CHECK(succeed_and_leave(w, 1us));
    CHECK(summary_of(w, 1ms).mean_in_flight == Approx(4.0));

    open(w, 1, 10, 0, 0ns);
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
        REQUIRE_FALSE(leave(w));
    }
    CHECK(w.close_if_straggling(100us + 15ms) == 0); // 30 means of 500 us, for 2 are left
    CHECK(w.close_if_straggling(100us + 15ms + 1ns) != 0);
}

TEST_CASE("Members of a slower kind do not straggle") {
    sample_window w;
    fill(w, 100, 100us);
    for (int i = 0; i < 50; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 1ms));
    CHECK(w.close_if_straggling(100us + 50ms) == 0);
    for (int i = 0; i < 49; ++i)
        REQUIRE_FALSE(succeed_and_leave(w, 50ms));
    CHECK(succeed_and_leave(w, 50ms));
}

TEST_CASE("Members straggle after a millisecond at the least") {
    sample_window w;
    fill(w, 3, 100us);
    succeed_and_leave(w, 1us);
    CHECK(w.close_if_straggling(100us + 1ms) == 0);
    CHECK(w.close_if_straggling(100us + 1ms + 1ns) != 0);
}

TEST_CASE("Who was ignored does not make the others look slow") {
    sample_window w;
    fill(w, 5, 100us);
    REQUIRE_FALSE(succeed_and_leave(w, 500us));
    for (int i = 0; i < 3; ++i) {
        w.ignore(0ns);
        REQUIRE_FALSE(leave(w));
    }
    CHECK(w.close_if_straggling(100us + 105ms) == 0); // 10 + 200 means of 500 us
    CHECK(w.close_if_straggling(100us + 105ms + 1ns) != 0);
}

// What was ignored says nothing of how long the others should take.
TEST_CASE("When the others were ignored, members straggle by the RTT of earlier windows, or after a second") {
    struct row {
        nanoseconds expected;
        nanoseconds after; // 10 means, and 500 more, for half of the window is left
    };
    for (const row& r : {row{0ns, 1s}, row{1us, 1ms}, row{100us, 51ms}}) {
        sample_window w;
        w.open({.size = 2, .limit = 10, .expected_rtt = r.expected}, 0ns);
        enter(w, 0ns);
        enter(w, 100us);
        w.ignore(2us);
        REQUIRE_FALSE(leave(w));
        CAPTURE(r.expected.count());
        CHECK(w.close_if_straggling(100us + r.after) == 0);
        CHECK(w.close_if_straggling(100us + r.after + 1ns) != 0);
    }
}

TEST_CASE("A window is not closed between its last slot and the word that it is full") {
    sample_window w;
    open(w, 2, 10, 0, 0ns);
    bool low = false;
    REQUIRE(w.enter(0ns, 1, low, generation) == entry::member);
    REQUIRE(w.enter(0ns, 2, low, generation) == entry::last);
    REQUIRE_FALSE(succeed_and_leave(w, 1us));
    CHECK(w.close_if_straggling(24h) == 0);
    w.fill(0ns);
    CHECK(w.close_if_straggling(24h) != 0);
}

TEST_CASE("Nobody straggles while nobody is done") {
    sample_window w;
    fill(w, 3, 100us);
    CHECK(w.close_if_straggling(24h) == 0);
}

TEST_CASE("Nobody straggles while there are places left") {
    sample_window w;
    open(w, 3, 10, 0, 0ns);
    enter(w, 0ns);
    enter(w, 0ns);
    succeed_and_leave(w, 2us);
    CHECK(w.close_if_straggling(24h) == 0);
}

TEST_CASE("Nobody straggles when the clock steps backwards") {
    sample_window w;
    fill(w, 3, 1h);
    succeed_and_leave(w, 2us);
    CHECK(w.close_if_straggling(0ns) == 0);
}

TEST_CASE("Stragglers of an early close are unfinished, and no samples") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    succeed_and_leave(w, 300us, true);
    REQUIRE(w.close_if_straggling(111ms) != 0);

    const flowguard::window s = summary_of(w, 111ms);
    CHECK(s.admitted == 4);
    CHECK(s.unfinished == 2);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 200us);
    CHECK(static_cast<double>(s.all.quantile(1).count()) == Approx(300e3).epsilon(0.07));
    CHECK(s.dropped == 0);
    CHECK(s.low.samples == 1);
    CHECK(s.low.mean == 300us);
}

TEST_CASE("Stragglers are counted though they leave before the early close is read") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h + 1ms) == 3);
    for (int i = 0; i < 3; ++i)
        CHECK(w.leave(generation) == leaving::straggler);
    const flowguard::window s = summary_of(w, 1h + 1ms);
    CHECK(s.unfinished == 3);
    CHECK(s.all.samples == 1);
    CHECK(s.all.mean == 100us);
}

TEST_CASE("A window that was closed early is closed for everybody else") {
    sample_window w;
    fill(w, 2, 1ms);
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h) != 0);
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK_FALSE(w.is_left());
    CHECK_FALSE(succeed_and_leave(w, 9ms)); // the straggler, late
    CHECK(w.is_left());
    CHECK(w.close_if_straggling(24h) == 0);

    open(w, 1, 10, 0, 1h);
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK(enter(w, 1h) == entry::last);
    CHECK(succeed_and_leave(w, 1us)); // closed early before, and now as usual
}

TEST_CASE("An early close says how many members it was without") {
    sample_window w;
    fill(w, 4, 1ms);
    succeed_and_leave(w, 100us);
    CHECK(w.close_if_straggling(1h) == 3);
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(w.is_left());
        CHECK(w.leave(generation) == leaving::straggler);
    }
    CHECK(w.is_left());
}

TEST_CASE("Stragglers of an earlier opening leave a window as it is") {
    sample_window w;
    fill(w, 3, 1ms);
    const std::uint32_t earlier = generation;
    CHECK(w.is_open(earlier));
    succeed_and_leave(w, 100us);
    REQUIRE(w.close_if_straggling(1h) == 2);
    CHECK_FALSE(w.is_open(earlier));

    open(w, 2, 10, 0, 1h);
    CHECK(enter(w, 1h) == entry::member);
    CHECK(generation != earlier);
    CHECK(w.is_open(generation));
    CHECK_FALSE(w.is_open(earlier));
    CHECK(w.leave(earlier) == leaving::straggler);
    CHECK(enter(w, 1h) == entry::last);
    CHECK(w.leave(earlier) == leaving::straggler);
    CHECK_FALSE(succeed_and_leave(w, 5us));
    CHECK(succeed_and_leave(w, 5us));
    const flowguard::window s = summary_of(w, 1h + 1ms);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 5us);
}

TEST_CASE("Long-running calls do not count as in flight") {
    sample_window w;
    w.open({.size = 3, .limit = 9, .long_running = 12}, 0ns);
    CHECK(enters_low(w, 13));
    CHECK(enters_low(w, 15));
    CHECK_FALSE(enters_low(w, 16));
    CHECK(summary_of(w, 1us).max_in_flight == 4);
    w.open({.size = 1, .limit = 9, .long_running = 12}, 0ns); // of which some have ended
    CHECK(enters_low(w, 5));
    CHECK(summary_of(w, 1us).max_in_flight == 1);
}

// Bounded windows

TEST_CASE("A window without a bound is never overdue") {
    sample_window w;
    open(w, 3, 10, 20, 0ns);
    CHECK_FALSE(w.needs_a_look());
    CHECK_FALSE(w.end_if_overdue(24h));
    CHECK(enter(w, 24h) == entry::member);
}

TEST_CASE("What is left of a bounded window ends with the bound, and is settled by one") {
    sample_window w;
    open(w, 10, 3, 20, 1s, 100ms);
    CHECK(w.needs_a_look());
    REQUIRE(enter(w, 1s) == entry::member);
    REQUIRE(enter(w, 1010ms) == entry::member);
    succeed_and_leave(w, 5ms);
    CHECK_FALSE(w.end_if_overdue(1100ms - 1ns));
    CHECK(w.end_if_overdue(1100ms));
    CHECK_FALSE(w.end_if_overdue(1100ms)); // by one
    CHECK(w.limit_after() == 20);
    CHECK(enter(w, 1101ms) == entry::none);
    CHECK(w.settle(1101ms) == leaving::one_of_many); // not yet
    CHECK(w.close_if_straggling(24h) == 0);
    w.leave_to_settle();
    CHECK(w.needs_a_look());

    SECTION("before its last member is done") {
        CHECK(w.settle(1102ms) == leaving::one_of_many);
        CHECK_FALSE(w.needs_a_look());
        CHECK(succeed_and_leave(w, 7ms));
    }
    SECTION("after its last member was done") {
        CHECK_FALSE(succeed_and_leave(w, 7ms));
        CHECK_FALSE(w.is_left());
        CHECK(w.settle(1102ms) == leaving::last);
    }
    CHECK(w.is_left());
    CHECK(w.settle(1103ms) == leaving::one_of_many);
    const flowguard::window s = summary_of(w, 1200ms);
    CHECK(s.admitted == 2);
    CHECK(s.all.samples == 2);
    CHECK(s.all.mean == 6ms);
    CHECK(s.limit == 3);
    CHECK(s.admitting == 102ms);
    CHECK(s.length == 200ms);
}

TEST_CASE("A bounded window that nobody entered ends empty") {
    sample_window w;
    open(w, 10, 3, 20, 1s, 100ms);
    REQUIRE(w.end_if_overdue(2s));
    w.leave_to_settle();
    CHECK(w.settle(2s) == leaving::last);
    const flowguard::window s = summary_of(w, 2s);
    CHECK(s.admitted == 0);
    CHECK(s.all.samples == 0);
    CHECK(s.all.mean == 0ns);
    CHECK(s.mean_in_flight == 0);
    CHECK(s.max_in_flight == 0);
    CHECK(s.admitting == 0ns);

    open(w, 2, 10, 0, 3s); // and is as good as any
    CHECK(enter(w, 3s) == entry::member);
    CHECK(enter(w, 3s) == entry::last);
    CHECK_FALSE(succeed_and_leave(w, 1ms));
    CHECK(succeed_and_leave(w, 1ms));
    CHECK(summary_of(w, 4s).admitted == 2);
}

TEST_CASE("A bounded window that was filled in time has no bound any more") {
    sample_window w;
    open(w, 1, 3, 20, 1s, 100ms);
    REQUIRE(enter(w, 1050ms) == entry::last);
    CHECK_FALSE(w.needs_a_look());
    CHECK_FALSE(w.end_if_overdue(24h));
    CHECK(succeed_and_leave(w, 1ms));
}

TEST_CASE("Members of a window that ended with its bound straggle as others do") {
    sample_window w;
    open(w, 10, 3, 20, 0ns, 100ms);
    REQUIRE(enter(w, 0ns) == entry::member);
    REQUIRE(enter(w, 0ns) == entry::member);
    succeed_and_leave(w, 100us);
    REQUIRE(w.end_if_overdue(100ms));
    w.leave_to_settle();
    REQUIRE(w.settle(100ms) == leaving::one_of_many);
    CHECK(w.close_if_straggling(100ms + 51ms) == 0); // 10 + 500 means, for one of two is left
    CHECK(w.close_if_straggling(100ms + 51ms + 1ns) == 1);
}

// Clocks that are set

TEST_CASE("A clock set back by an hour delays the end of a bound by the bound at most") {
    sample_window w;
    open(w, 10, 3, 20, 9h, 100ms);
    CHECK_FALSE(w.end_if_overdue(8h));
    CHECK_FALSE(w.end_if_overdue(8h + 100ms - 1ns));
    CHECK(w.end_if_overdue(8h + 100ms));
}

TEST_CASE("A clock set back by an hour delays the close without stragglers by their timeout at most") {
    sample_window w;
    fill(w, 3, 9h);
    succeed_and_leave(w, 1us);
    CHECK(w.close_if_straggling(8h) == 0);
    CHECK(w.close_if_straggling(8h + 1ms) == 0);
    CHECK(w.close_if_straggling(8h + 1ms + 1ns) == 2);
    CHECK(summary_of(w, 8h + 1ms + 1ns).unfinished == 2);
}

TEST_CASE("RTTs are at most 73 minutes, so that their sums do not overflow") {
    constexpr nanoseconds longest{std::int64_t{1} << 42};
    sample_window w;
    fill(w, 3, 1ms);
    succeed_and_leave(w, nanoseconds::max());
    w.drop(nanoseconds::max());
    CHECK_FALSE(leave(w));
    CHECK(succeed_and_leave(w, nanoseconds::min()));
    flowguard::window s = summary_of(w, nanoseconds::max());
    CHECK(s.all.mean == longest / 2);
    CHECK(s.dropped_mean_rtt == longest);

    fill(w, 4, 1ms);
    succeed_and_leave(w, longest);
    REQUIRE(w.close_if_straggling(nanoseconds::max()) == 3);
    s = summary_of(w, nanoseconds::max());
    CHECK(s.all.mean == longest);
    CHECK(s.length == nanoseconds::max());

    // Less where there are so many that it takes less.
    constexpr std::size_t many = std::size_t{1} << 25;
    open(w, many, 10, 0, 0ns);
    enter(w, 0ns);
    succeed_and_leave(w, longest);
    CHECK(summary_of(w, 1ms).all.mean == nanoseconds{INT64_MAX >> 25});
}

TEST_CASE("The time of the first admission is of its own opening") {
    sample_window w;
    fill(w, 2, 1s);
    succeed_and_leave(w, 1ms);
    succeed_and_leave(w, 1ms);
    open(w, 2, 10, 0, 2s, 100ms);
    REQUIRE(w.end_if_overdue(3s));
    w.leave_to_settle();
    REQUIRE(w.settle(3s) == leaving::last);
    CHECK(summary_of(w, 3s).admitting == 0ns);
}

TEST_CASE("A window starts afresh when it is opened again") {
    sample_window w;
    open(w, 2, 10, 7, 0ns);
    CHECK(w.limit_after() == 7);
    enter(w, 1us, 9);
    enter(w, 2us, 9);
    w.drop(1ms);
    (void)leave(w);
    w.ignore(0ns);
    REQUIRE(leave(w));

    open(w, 3, 20, 0, 10us);
    CHECK(w.limit_after() == 0);
    CHECK_FALSE(w.is_left());
    CHECK(w.close_if_straggling(24h) == 0);
    CHECK(enter(w, 20us, 2) == entry::member);
    CHECK(enter(w, 21us, 3) == entry::member);
    CHECK(enter(w, 22us, 2) == entry::last);
    succeed_and_leave(w, 5us);
    succeed_and_leave(w, 5us, true);
    CHECK(succeed_and_leave(w, 5us));

    const flowguard::window s = summary_of(w, 50us);
    CHECK(s.admitted == 3);
    CHECK(s.all.samples == 3);
    CHECK(s.low.samples == 1);
    CHECK(s.dropped == 0);
    CHECK(s.ignored == 0);
    CHECK(s.dropped_mean_rtt == 0ns);
    CHECK(s.all.mean == 5us);
    CHECK(s.limit == 20);
    CHECK(s.max_in_flight == 3);
    CHECK(s.length == 40us);
    CHECK(s.admitting == 2us);
}

TEST_CASE("A clock that steps backwards makes lengths 0, never negative") {
    sample_window w;
    open(w, 2, 10, 0, 5ms);
    enter(w, 4ms, 2);
    enter(w, 3ms, 2);
    succeed_and_leave(w, 0ns);
    CHECK(succeed_and_leave(w, 0ns));
    const flowguard::window s = summary_of(w, 1ms);
    CHECK(s.length == 0ns);
    CHECK(s.admitting == 0ns);
    CHECK(s.all.mean == 0ns);
    CHECK(s.mean_in_flight == Approx(2.0));
}

} // namespace
