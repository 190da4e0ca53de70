// vegas_usual_drops_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/strategies/vegas/usual_drops.hpp" // first: the header is self-contained

#include <vector>

#include <catch2/catch.hpp>

#include "flowguard/strategies/vegas/measurement.hpp"

namespace {

using flowguard::detail::vegas::measurement;
using flowguard::detail::vegas::usual_drops;

// A window in which this share of `ended` requests was dropped.
measurement dropped(double share, double ended = 100, double limit = 100) {
    return {.ended = ended, .drops = share, .limit = limit};
}

// `usual` is the usual share of drops; `tolerance` is let pass beyond it.
double excess_of(double share, double usual, double tolerance = 0.05, double ended = 100) {
    usual_drops drops{tolerance};
    drops.set(usual);
    return drops.excess(dropped(share, ended));
}

TEST_CASE("If no drops are usual, all that are not tolerated are too many") {
    struct row {
        double share;
        double tolerance;
        double excess;
    };
    for (const row& r : std::vector<row>{{0, 0.05, 0},
                                         {0.05, 0.05, 0},
                                         {0.06, 0.05, 0.06}, // with the tolerated ones
                                         {1, 0.05, 1},
                                         {0, 0, 0},
                                         {0.01, 0, 0.01},
                                         {0.89, 0.9, 0},
                                         {0.91, 0.9, 0.91}}) {
        CAPTURE(r.share, r.tolerance);
        CHECK(usual_drops{r.tolerance}.excess(dropped(r.share)) == Approx(r.excess));
    }
}

TEST_CASE("Drops beyond the usual ones are too many if that is no bad luck") {
    struct row {
        double share;
        double ended;
        double excess; // beyond 20 %, the usual share
    };
    for (const row& r :
         std::vector<row>{{0.1, 100, 0},
                          {0.2, 100, 0},
                          {0.32, 100, 0}, // two standard errors, √(0.2 · 0.8 / 100) = 4 % each, and 5 %: up to 33 %
                          {0.34, 100, 0.14},
                          {0.25, 10'000, 0}, // 2 · 0.4 % and 5 %: up to 25.8 %
                          {0.26, 10'000, 0.06},
                          {1, 1, 0}, // one drop alone: 2 · 40 % and 5 %
                          {1, 4, 0.8}}) { // 2 · 20 % and 5 %
        CAPTURE(r.share, r.ended);
        CHECK(excess_of(r.share, 0.2, 0.05, r.ended) == Approx(r.excess));
    }
}

TEST_CASE("At most half of the requests is usual") {
    CHECK(excess_of(0.7, 0.8) == Approx(0.2)); // more than 2 · 5 % and 5 %
    CHECK(excess_of(0.64, 0.8) == 0.0);
    usual_drops drops{0.05};
    drops.learn(dropped(0.9, 100, 1));
    CHECK(drops.excess(dropped(1)) == Approx(0.5));
}

TEST_CASE("An ordinary window shows at most how many drops are usual, luck aside") {
    usual_drops drops{0.05};
    drops.learn(dropped(0.3)); // none have been so far
    CHECK(drops.excess(dropped(0.06)) == Approx(0.06));

    drops.set(0.2);
    drops.learn(dropped(0.15)); // 15 % and two standard errors of 4 % are more than 20 %
    CHECK(drops.excess(dropped(0.5)) == Approx(0.3));
    drops.learn(dropped(0)); // two standard errors, 8 %
    CHECK(drops.excess(dropped(0.5)) == Approx(0.42));
}

TEST_CASE("Drops at a limit of one are usual") {
    usual_drops drops{0.05};
    drops.learn(dropped(0.3, 100, 1));
    CHECK(drops.excess(dropped(0.3)) == 0.0);
    CHECK(drops.excess(dropped(0.5)) == Approx(0.2));
    drops.learn(dropped(0, 100, 1)); // no drop any more
    CHECK(drops.excess(dropped(0.06)) == Approx(0.06));
}

} // namespace
