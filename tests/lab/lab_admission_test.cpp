// lab_admission_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the orders of waiting achieve, in the simulation of the admission benchmark. Its time is virtual, so that
// results are the same on every machine.

#include "admission/simulation.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <cstddef>

namespace {

using admission::outcome;
using admission::setup;
using admission::simulation;
using flowguard::guard_options;
using flowguard::wait_order;

const guard_options adaptive{.order = wait_order::adaptive};

void check_sum(const outcome& o) {
    CHECK(o.offered > 0);
    CHECK(o.in_time + o.late + o.shed + o.cancelled == o.offered);
}

} // namespace

TEST_CASE("At twice the capacity, an adaptive queue answers most calls in time, and a FIFO queue hardly any") {
    const bool cancel = GENERATE(false, true);
    const outcome fifo = simulation({.clients_cancel = cancel}).run();
    const outcome better = simulation({.options = adaptive, .clients_cancel = cancel}).run();
    check_sum(fifo);
    check_sum(better);
    CHECK(better.goodput >= 0.9);
    CHECK(better.goodput >= 3 * fifo.goodput);
    CHECK(fifo.in_time > 0);
    CHECK(better.time_to_rejection < 0.01);
    CHECK((fifo.cancelled > 0) == cancel);
}

TEST_CASE("An adaptive queue keeps the workers busy, however long the tasks are") {
    const outcome slow =
        simulation({.options = adaptive, .workers = 2, .service = 1, .timeout = 5, .length = 600}).run();
    check_sum(slow);
    CHECK(slow.goodput >= 0.85);
}

TEST_CASE("Below the capacity, an adaptive queue sheds hardly any caller") {
    const outcome light = simulation({.options = adaptive, .load = 0.7}).run();
    check_sum(light);
    CHECK(static_cast<double>(light.shed) < 0.005 * static_cast<double>(light.offered));
    const outcome fifo = simulation({.load = 0.7}).run();
    CHECK(fifo.shed == 0);
    CHECK(light.goodput == Approx(fifo.goodput).epsilon(0.005));
}
