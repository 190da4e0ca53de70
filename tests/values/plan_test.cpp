// plan_test.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/limit_strategy.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>

namespace {

using namespace std::chrono_literals;
using flowguard::plan;

// A plan whose parts are all set.
plan full() {
    plan p(3, 20, 10, 100ms);
    p.spacing = 1ms;
    p.then_spacing = 2ms;
    p.scheduled = {.begins_in = 1s, .limit = 4, .admissions = 5, .within = 200ms, .spacing = 3ms};
    return p;
}

template <class Change>
bool equals_full_after(Change change) {
    plan p = full();
    change(p);
    return p == full();
}

} // namespace

TEST_CASE("Two plans are equal if all their parts are") {
    CHECK(full() == full());
    CHECK(plan(7) == 7U);
    CHECK_FALSE(equals_full_after([](plan& p) { p.limit = 2; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.admissions = 21; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.then = 11; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.within = 101ms; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.spacing = 0ms; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.then_spacing = 0ms; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.scheduled.begins_in = 2s; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.scheduled.limit = 3; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.scheduled.admissions = 6; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.scheduled.within = 0ms; }));
    CHECK_FALSE(equals_full_after([](plan& p) { p.scheduled.spacing = 4ms; }));
}
