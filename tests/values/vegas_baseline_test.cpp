// vegas_baseline_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/baseline.hpp" // first: the header is self-contained

#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::baseline;
using flowguard::detail::vegas::measurement;

constexpr double infinity = std::numeric_limits<double>::infinity();

measurement of(double rtt, double count = 100, double variation = 0.5, double in_flight = 20) {
    return {.rtt = rtt, .count = count, .variation = variation, .in_flight = in_flight};
}

baseline from(const measurement& m) {
    baseline base;
    base.learn(m);
    return base;
}

// ---- The mean ----

TEST_CASE("A baseline is unknown at first, and nothing is near it or above it") {
    const baseline base;
    CHECK_FALSE(base.is_known());
    CHECK(base.rtt() == 0.0);
    CHECK(base.samples() == 0.0);
    CHECK(base.variation() == 0.0);
    CHECK_FALSE(base.is_exceeded_by(of(10)));
    CHECK_FALSE(base.is_near(of(10)));
    CHECK_FALSE(base.is_met_by(of(10)));
    CHECK_FALSE(base.looks_like_foreign_queue(of(10)));
    CHECK_FALSE(base.confirms(of(10)));
    CHECK_FALSE(base.is_doubtful());
}

TEST_CASE("A baseline is undercut by an RTT that is shorter by more than 3.5 standard errors") {
    // The error is 0.5 · √(m² / 100 + 10² / 100): 0.64 for 8, so that 8 is 3.1 errors away; 0.62 for 7.5, and 4.
    CHECK_FALSE(from(of(10)).is_undercut_by(of(8)));
    CHECK(from(of(10)).is_undercut_by(of(7.5)));
    CHECK_FALSE(from(of(10)).is_undercut_by(of(20)));
    CHECK_FALSE(baseline().is_undercut_by(of(1)));
    CHECK_FALSE(from(of(10)).is_undercut_by({.rtt = 1}));
}

TEST_CASE("A measurement without an RTT teaches a baseline nothing") {
    baseline base = from(of(10));
    base.learn({});
    base.learn({.rtt = 20, .in_flight = 1});
    CHECK(base.rtt() == 10.0);
    CHECK(base.samples() == 100.0);
    CHECK_FALSE(base.is_exceeded_by({.rtt = 20}));
    CHECK(base.is_near({.rtt = 20}));
}

TEST_CASE("The baseline averages over samples that agree") {
    baseline base = from(of(10, 100, 0.5));
    // The error is 0.8 · √(10.9² / 50 + 10² / 100) = 1.5.
    base.learn(of(10.9, 50, 0.8));
    CHECK(base.rtt() == Approx(10.3)); // (100 · 10 + 50 · 10.9) / 150
    CHECK(base.samples() == 150.0);
    CHECK(base.variation() == Approx(0.6)); // (100 · 0.5 + 50 · 0.8) / 150
}

TEST_CASE("The baseline remembers 2000 samples") {
    baseline base;
    for (int i = 0; i < 10; ++i)
        base.learn(of(10, 500, 1.6));
    CHECK(base.samples() == 2000.0);
    base.learn(of(10.5, 500, 1.6));
    CHECK(base.rtt() == Approx(10.1)); // (2000 · 10 + 500 · 10.5) / 2500
    CHECK(base.samples() == 2000.0);
}

TEST_CASE("The baseline is replaced by what is more than 3.5 standard errors from it") {
    // 0.5 · √(8.2² + 10²) / √100 = 0.647, and 1.8 of it.
    baseline averaging = from(of(10));
    CHECK(averaging.errors_from(of(8.2)) == Approx(2.784).epsilon(1e-3));
    averaging.learn(of(8.2));
    CHECK(averaging.rtt() == Approx(9.1));
    CHECK(averaging.samples() == 200.0);
    // 0.5 · √(7.5² + 10²) / √100 = 0.625, and 2.5 of it.
    baseline replaced = from(of(10, 100, 0.5, 40));
    CHECK(replaced.errors_from(of(7.5)) == Approx(4));
    replaced.learn(of(7.5));
    CHECK(replaced.rtt() == 7.5);
    CHECK(replaced.samples() == 100.0);
}

TEST_CASE("RTTs without any variation differ by infinitely many errors, or by none") {
    const baseline base = from(of(10));
    CHECK(base.errors_from(of(10, 100, 0)) == 0.0);
    CHECK(base.errors_from(of(10.001, 100, 0)) == infinity);
    CHECK(base.errors_from(of(9.999, 100, 0)) == infinity);
    CHECK(base.is_exceeded_by(of(10.001, 100, 0)));
    CHECK_FALSE(base.is_exceeded_by(of(9.999, 100, 0)));
}

TEST_CASE("One sample is a weak measurement") {
    baseline base = from(of(10));
    // 0.5 · √(20² / 1 + 10² / 100) = 10.01, so that 20 is only one error away.
    CHECK(base.errors_from(of(20, 1)) == Approx(0.9988).epsilon(1e-3));
    CHECK_FALSE(base.is_exceeded_by(of(20, 1)));
    base.learn(of(20, 1));
    CHECK(base.rtt() == Approx(1020.0 / 101));
}

TEST_CASE("A baseline of zero takes RTTs of zero") {
    const baseline base = from(of(0));
    CHECK(base.is_known());
    CHECK(base.is_met_by(of(0)));
    CHECK(base.is_near(of(0)));
    CHECK(base.confirms(of(0, 100, 0.5, 30)));
    CHECK_FALSE(base.is_exceeded_by(of(0)));
    CHECK(base.is_exceeded_by(of(1, 100, 0)));
}

// ---- Comparisons ----

TEST_CASE("An RTT of up to 1.25 baselines shows no queue") {
    const baseline base = from(of(10));
    CHECK(base.is_met_by(of(12.5)));
    CHECK_FALSE(base.is_met_by(of(12.51)));
    CHECK(base.is_met_by(of(1)));
}

TEST_CASE("An RTT is near the baseline if it shows no queue, or is within 3.5 errors and 2.5 or 5 baselines") {
    const baseline base = from(of(10));
    struct row {
        double rtt;
        double count;
        double variation;
        bool near;
    };
    for (const row& r : std::vector<row>{{12.5, 100, 0, true},
                                         {12.6, 100, 0, false},
                                         {13.3, 40, 0.5, true}, // 0.5 · √(13.3² / 40 + 1) = 1.16, and 2.8 of it
                                         {14, 1000, 0.5, false}, // 0.5 · √(14² / 1000 + 1) = 0.55, and 7.3 of it
                                         {25, 50, 3, true}, // 3 · √(25² / 50 + 1) = 11.0
                                         {25.1, 50, 3, false},
                                         {25.1, 49, 3, true}, // fewer than 50 samples: 5 baselines,
                                         {50, 10, 1.6, true}, // 1.6 · √(50² / 10 + 1) = 25.3
                                         {50.1, 10, 1.6, false},
                                         {50, 49, 1, false}, // but within 3.5 errors: √(50² / 49 + 1) = 7.2
                                         {100, 0, 0, true}}) { // no RTT
        CAPTURE(r.rtt, r.count, r.variation);
        CHECK(base.is_near(of(r.rtt, r.count, r.variation)) == r.near);
    }
}

TEST_CASE("A longer RTT looks like a wait if its spread did not grow with it") {
    const baseline base = from(of(10, 100, 1.6));
    CHECK(base.looks_like_foreign_queue(of(160, 100, 0.79))); // 1.6 · (10 / 160)^¼ = 0.8
    CHECK_FALSE(base.looks_like_foreign_queue(of(160, 100, 0.81)));
    CHECK(base.looks_like_foreign_queue(of(20, 100, 0.8))); // the spread stayed: 1.6 · (1 / 2)^¼ = 1.35
    CHECK_FALSE(base.looks_like_foreign_queue(of(20, 100, 1.6))); // it doubled with the RTT
    CHECK_FALSE(base.looks_like_foreign_queue(of(10, 100, 0)));
    CHECK_FALSE(base.looks_like_foreign_queue(of(5, 100, 0)));
    CHECK_FALSE(from(of(10, 100, 0)).looks_like_foreign_queue(of(20, 100, 0))); // nothing spread before
}

TEST_CASE("A spread of up to a tenth of the mean says nothing of waits") {
    CHECK(from(of(10, 100, 0.11)).looks_like_foreign_queue(of(20, 100, 0.05)));
    CHECK_FALSE(from(of(10, 100, 0.1)).looks_like_foreign_queue(of(20, 100, 0.05)));
    CHECK_FALSE(from(of(10, 100, 0.05)).looks_like_foreign_queue(of(20, 100, 0)));
}

TEST_CASE("A baseline is refuted by an RTT that is a tenth longer, unless that looks like a wait") {
    const baseline base = from(of(10, 100, 1.6));
    CHECK(base.is_refuted_by(of(11.1, 100, 1.6)));
    CHECK_FALSE(base.is_refuted_by(of(10.9, 100, 1.6)));
    CHECK_FALSE(base.is_refuted_by(of(5, 100, 1.6)));
    CHECK(base.is_refuted_by(of(19, 100, 1.6)));
    CHECK_FALSE(base.is_refuted_by(of(19, 100, 1.6 * 10 / 19)));
}

// ---- Where it comes from ----

TEST_CASE("A baseline from the start must be from a third less in flight, until it is confirmed") {
    baseline base = from(of(10, 100, 0.5, 20));
    CHECK(base.is_from_at_most(30));
    CHECK_FALSE(base.is_from_at_most(29.9));
    base.confirm();
    CHECK(base.is_from_at_most(20));
    CHECK_FALSE(base.is_from_at_most(19.9));
}

TEST_CASE("A baseline is from the mean of what was in flight") {
    baseline base = from(of(10, 100, 0.5, 20));
    base.learn(of(10, 300, 0.5, 8));
    base.confirm();
    CHECK(base.is_from_at_most(11)); // (100 · 20 + 300 · 8) / 400
    CHECK_FALSE(base.is_from_at_most(10.9));
}

TEST_CASE("The same RTT is confirmed by a baseline from no more in flight") {
    baseline base = from(of(10, 100, 0.5, 20));
    base.confirm();
    struct row {
        double rtt;
        double in_flight;
        bool confirms;
    };
    for (const row& r : std::vector<row>{{10, 20, true},
                                         {10, 100, true},
                                         {10, 19, false},
                                         {10.9, 20, true},
                                         {9.1, 20, true},
                                         {11.1, 20, false},
                                         {8.9, 20, false}}) {
        CAPTURE(r.rtt, r.in_flight);
        CHECK(base.confirms(of(r.rtt, 100, 0.5, r.in_flight)) == r.confirms);
    }
}

// ---- Doubt ----

void suspect(baseline& base, int times) {
    for (int i = 0; i < times; ++i)
        base.suspect();
}

TEST_CASE("A baseline is doubtful after a hundred windows above it") {
    baseline base = from(of(10));
    suspect(base, 99);
    CHECK_FALSE(base.is_doubtful());
    suspect(base, 1);
    CHECK(base.is_doubtful());
}

TEST_CASE("A window near the baseline makes up for ten above it, but not for those to come") {
    baseline base = from(of(10));
    base.trust(); // nothing to make up for
    suspect(base, 100);
    base.trust();
    CHECK_FALSE(base.is_doubtful());
    suspect(base, 9);
    CHECK_FALSE(base.is_doubtful());
    suspect(base, 1);
    CHECK(base.is_doubtful());
}

TEST_CASE("A baseline that starts over has the new samples alone, and no doubt") {
    baseline base = from(of(10, 1000));
    base.confirm();
    suspect(base, 100);
    base.start_over(of(11, 50, 0.7, 5));
    CHECK(base.rtt() == 11.0);
    CHECK(base.samples() == 50.0);
    CHECK(base.variation() == 0.7);
    CHECK_FALSE(base.is_doubtful());
    CHECK(base.is_from_at_most(5)); // still confirmed
    suspect(base, 99);
    CHECK_FALSE(base.is_doubtful());
    base.start_over_unconfirmed(of(12, 50, 0.7, 5));
    CHECK(base.rtt() == 12.0);
    CHECK_FALSE(base.is_from_at_most(5));
    CHECK(base.is_from_at_most(7.5));
}

} // namespace
