// vegas_natural_experiment_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/natural_experiment.hpp" // first: the header is self-contained

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::natural_experiment;
using finding = natural_experiment::finding;

// A window of 100 samples in which the limit was used.
measurement of(double in_flight, double rtt, double variation = 0.5, double count = 100) {
    return {.rtt = rtt, .count = count, .variation = variation, .limit = in_flight, .in_flight = in_flight};
}

// Adds the same window several times. Returns the first finding.
std::optional<finding> learn(natural_experiment& e, int times, const measurement& m) {
    std::optional<finding> first;
    for (int i = 0; i < times; ++i)
        if (const auto found = e.learn(m); found && !first)
            first = found;
    return first;
}

// How many windows like this it takes until a finding; 0 if there is none in a thousand.
int windows_until_finding(natural_experiment e, const measurement& m) {
    for (int n = 1; n <= 1000; ++n)
        if (e.learn(m))
            return n;
    return 0;
}

// Five windows with 90 in flight, of 10 each.
natural_experiment after_ninety(double variation = 0.5) {
    natural_experiment e;
    learn(e, 5, of(90, 10, variation));
    return e;
}

// ---- What is a finding ----

TEST_CASE("The same concurrency is no experiment, whatever the RTT") {
    natural_experiment e;
    for (const double rtt : {10.0, 20.0, 5.0, 40.0})
        CHECK_FALSE(learn(e, 50, of(90, rtt)));
    CHECK_FALSE(learn(e, 50, of(65, 40))); // 90 / 1.4 = 64.3
    CHECK_FALSE(learn(e, 50, of(125, 40))); // 90 · 1.4 = 126
}

TEST_CASE("A queue, whose RTT falls with the concurrency, gives no finding") {
    natural_experiment e;
    learn(e, 5, of(90, 30));
    CHECK_FALSE(learn(e, 50, of(30, 10)));
}

TEST_CASE("A fall to a third with the same or a longer RTT shows that nothing queued") {
    for (const double rtt : {10.0, 19.0, 100.0}) {
        natural_experiment e = after_ninety();
        CHECK_FALSE(e.learn(of(30, rtt))); // 100 samples
        const auto found = e.learn(of(30, rtt)); // 200
        CAPTURE(rtt);
        REQUIRE(found);
        CHECK(found->limit_before == 90.0);
        CHECK(found->low.rtt == Approx(rtt));
        CHECK(found->low.count == 200.0);
        CHECK(found->low.in_flight == Approx(30));
        CHECK(found->low.variation == Approx(0.5));
    }
}

TEST_CASE("The RTT did not follow if it fell by less than the fifth root of the fall") {
    for (const auto& [exponent, windows] :
         std::vector<std::pair<double, int>>{{0, 2}, {-1, 2}, {0.19, 2}, {0.21, 0}, {0.65, 0}, {1, 0}}) {
        CAPTURE(exponent);
        CHECK(windows_until_finding(after_ninety(), of(30, 10 / std::pow(3.0, exponent))) == windows);
    }
}

TEST_CASE("A fall by 1.6 is enough") {
    CHECK(windows_until_finding(after_ninety(), of(56.2, 10)) == 2); // 90 / 1.6 = 56.25
    CHECK(windows_until_finding(after_ninety(), of(56.3, 10)) == 0);
}

TEST_CASE("A finding has the mean of the windows after the fall, and the highest limit before it") {
    natural_experiment e;
    e.learn({.rtt = 10, .count = 100, .limit = 100, .in_flight = 80}); // demand was below the limit
    e.learn({.rtt = 10, .count = 100, .limit = 90, .in_flight = 80});
    e.learn(of(40, 10, 0.5, 100));
    const auto found = e.learn(of(28, 14, 0.9, 300));
    REQUIRE(found);
    CHECK(found->limit_before == 100.0);
    CHECK(found->low.rtt == Approx(13)); // (100 · 10 + 300 · 14) / 400
    CHECK(found->low.in_flight == Approx(31)); // (100 · 40 + 300 · 28) / 400
    CHECK(found->low.variation == Approx(0.8)); // (100 · 0.5 + 300 · 0.9) / 400
    CHECK(found->low.count == 400.0);
}

TEST_CASE("RTTs of zero are no finding, but a rise from zero is one") {
    natural_experiment e;
    learn(e, 5, of(90, 0));
    CHECK(windows_until_finding(e, of(30, 0)) == 0);
    CHECK(windows_until_finding(e, of(30, 10)) == 2);
    CHECK(windows_until_finding(after_ninety(), of(30, 0)) == 0);
}

// ---- How many samples it takes ----

TEST_CASE("A finding needs 200 samples after the fall") {
    CHECK(windows_until_finding(after_ninety(0), of(30, 10, 0, 1)) == 200);
    CHECK(windows_until_finding(after_ninety(0), of(30, 10, 0, 199)) == 2);
    CHECK(windows_until_finding(after_ninety(0), of(30, 10, 0, 200)) == 1);
}

TEST_CASE("A finding needs more samples if the RTTs vary much, but 4000 are always enough") {
    // The error of the exponent, v √(1 / 500 + 1 / n) / ln 3, must be at most 0.15: so n is 200 for a v of 1.6 (0.122),
    // 982.9 for 3, and out of reach for 4.
    CHECK(windows_until_finding(after_ninety(1.6), of(30, 10, 1.6, 10)) == 20);
    CHECK(windows_until_finding(after_ninety(3), of(30, 10, 3, 10)) == 99);
    CHECK(windows_until_finding(after_ninety(3), of(30, 10, 0, 10)) == 99); // the larger variation counts
    CHECK(windows_until_finding(after_ninety(0), of(30, 10, 3, 10)) == 99);
    CHECK(windows_until_finding(after_ninety(4), of(30, 10, 4, 10)) == 400);
    CHECK(windows_until_finding(after_ninety(4), of(30, 5, 4, 10)) == 0); // ln 2 / ln 3 = 0.63: it followed
}

TEST_CASE("A finding needs more samples if there were few before the fall") {
    natural_experiment e;
    e.learn(of(90, 10, 1.6));
    // 1.6 · √(1 / 100 + 1 / n) / ln 3 is 0.15 for an n of 1644.
    CHECK(windows_until_finding(e, of(30, 10, 1.6, 10)) == 165);
}

TEST_CASE("A deeper fall makes the error of the exponent smaller") {
    // 3 √(1 / 500 + 1 / n) / ln 9 is 0.15 for an n of 99.
    CHECK(windows_until_finding(after_ninety(3), of(10, 10, 3, 10)) == 20);
}

TEST_CASE("Samples before the fall are forgotten after some 500 more") {
    // The RTT was 30 for long, and then 10 for n windows of 100 samples, of which the mean is 10 + 20 (5 / 6)ⁿ. A mean
    // below 10 · 3^0.2 = 12.46 makes 10 with a third in flight a finding: (5 / 6)^11 = 0.1346, and (5 / 6)^12 = 0.1122.
    for (const auto& [windows, until] : std::vector<std::pair<int, int>>{{11, 0}, {12, 2}}) {
        natural_experiment e;
        learn(e, 50, of(90, 30));
        learn(e, windows, of(90, 10));
        CAPTURE(windows);
        CHECK(windows_until_finding(e, of(30, 10)) == until);
    }
}

TEST_CASE("A long first window before the fall weighs no more than 500 samples") {
    // The mean is 10 + 20 · (5 / 6)ⁿ, as above: 2000 samples would need more windows.
    for (const auto& [windows, until] : std::vector<std::pair<int, int>>{{11, 0}, {12, 2}}) {
        natural_experiment e;
        e.learn(of(90, 30, 0.5, 2000));
        learn(e, windows, of(90, 10));
        CAPTURE(windows);
        CHECK(windows_until_finding(e, of(30, 10)) == until);
    }
}

// ---- One experiment after another ----

TEST_CASE("More in flight by more than 1.4 times begins another experiment") {
    struct row {
        double in_flight; // after 30, which took 100
        double limit_before; // 0: there is no finding
    };
    for (const row& r : std::vector<row>{{90, 90},
                                         {42.1, 42.1}, // the 100 do not count any more
                                         {41.9, 0}}) { // the mean RTT of both is 55, from which it fell to 10
        natural_experiment e;
        learn(e, 5, of(30, 100));
        learn(e, 5, of(r.in_flight, 10));
        const auto found = learn(e, 2, of(15, 10));
        CAPTURE(r.in_flight);
        CHECK((found ? found->limit_before : 0) == r.limit_before);
    }
}

TEST_CASE("A finding is not repeated, and the next fall is compared with the one before") {
    natural_experiment e = after_ninety();
    REQUIRE(learn(e, 2, of(30, 10)));
    CHECK_FALSE(learn(e, 50, of(30, 10)));
    const auto second = learn(e, 2, of(10, 10));
    REQUIRE(second);
    CHECK(second->limit_before == 30.0);
}

TEST_CASE("A fall that only took away a queue may be followed by one that does not") {
    natural_experiment e;
    learn(e, 5, of(90, 30));
    REQUIRE_FALSE(learn(e, 2, of(30, 10)));
    const auto second = learn(e, 2, of(10, 10)); // compared with the 10 at 30, not with the 30 at 90
    REQUIRE(second);
    CHECK(second->limit_before == 30.0);
}

TEST_CASE("A fall that goes on counts on, however deep it is") {
    natural_experiment e = after_ninety();
    for (const double in_flight : {50.0, 10.0, 2.0})
        CHECK_FALSE(e.learn(of(in_flight, 10, 0.5, 50)));
    const auto found = e.learn(of(0.4, 10, 0.5, 50));
    REQUIRE(found);
    CHECK(found->low.in_flight == Approx(15.6)); // (50 + 10 + 2 + 0.4) / 4
    CHECK(found->limit_before == 90.0);
}

TEST_CASE("A return to the concurrency from before begins to count anew") {
    natural_experiment e = after_ninety();
    CHECK_FALSE(e.learn(of(30, 10, 0.5, 199)));
    CHECK_FALSE(e.learn(of(90, 10)));
    CHECK_FALSE(e.learn(of(30, 10, 0.5, 199)));
    CHECK(e.learn(of(30, 10, 0.5, 1)));
}

TEST_CASE("A concurrency in between counts on neither side") {
    natural_experiment e = after_ninety();
    CHECK_FALSE(e.learn(of(30, 10)));
    CHECK_FALSE(learn(e, 50, of(60, 1000))); // below 90 / 1.4, but above 90 / 1.6
    const auto found = e.learn(of(30, 10));
    REQUIRE(found);
    CHECK(found->low.rtt == Approx(10));
}

TEST_CASE("A window without an RTT or without anything in flight changes nothing") {
    natural_experiment e = after_ninety();
    CHECK_FALSE(e.learn(of(30, 10)));
    CHECK_FALSE(learn(e, 50, of(30, 0, 0, 0)));
    CHECK_FALSE(learn(e, 50, of(1000, 0, 0, 0)));
    CHECK_FALSE(learn(e, 50, of(0, 10)));
    CHECK_FALSE(learn(e, 50, {}));
    const auto found = e.learn(of(30, 10));
    REQUIRE(found);
    CHECK(found->limit_before == 90.0);
    CHECK(found->low.count == 200.0);
}

} // namespace
