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

const guard_options in_turn = guard_options::for_batch();

void check_sum(const outcome& o) {
    CHECK(o.offered > 0);
    CHECK(o.in_time + o.late + o.shed + o.cancelled == o.offered);
}

} // namespace

TEST_CASE("At twice the capacity, the default answers most calls in time, and a FIFO queue hardly any") {
    const bool cancel = GENERATE(false, true);
    const outcome fifo = simulation({.options = in_turn, .clients_cancel = cancel}).run();
    const outcome better = simulation({.clients_cancel = cancel}).run();
    check_sum(fifo);
    check_sum(better);
    CHECK(better.goodput >= 0.97);
    CHECK(better.goodput >= 3 * fifo.goodput);
    CHECK(fifo.in_time > 0);
    CHECK(better.time_to_rejection < 0.01);
    CHECK((fifo.cancelled > 0) == cancel);
}

TEST_CASE("The default keeps the workers busy in an overload, however long the tasks are") {
    struct row {
        std::size_t workers;
        double service;
        double length;
    };
    for (const row& r : {row{10, 0.001, 6}, row{10, 0.1, 200}, row{10, 2, 4000}, row{4, 0.1, 500}, row{2, 2, 20'000}}) {
        INFO(r.workers << " workers, tasks of " << r.service << " s");
        const outcome o =
            simulation({.workers = r.workers, .service = r.service, .timeout = 10 * r.service, .length = r.length})
                .run();
        check_sum(o);
        CHECK(o.goodput >= 0.97);
    }
}

TEST_CASE("Below the capacity, the default sheds hardly any caller") {
    const double service = GENERATE(0.001, 0.01, 2);
    const setup s{.service = service, .load = 0.8, .timeout = 10 * service, .length = 6000 * service};
    const outcome light = simulation(s).run();
    check_sum(light);
    CHECK(static_cast<double>(light.shed) < 0.01 * static_cast<double>(light.offered));
    setup same = s;
    same.options = in_turn;
    const outcome fifo = simulation(same).run();
    CHECK(fifo.shed == 0);
    CHECK(light.goodput == Approx(fifo.goodput).epsilon(0.005));
}

TEST_CASE("A guard that finds its limit answers most calls in time at twice the capacity, with the default options") {
    const outcome o = simulation({.initial_limit = 10}).run();
    check_sum(o);
    CHECK(o.goodput >= 0.97);
}

TEST_CASE("With flows, a greedy tenant takes nothing from 999 modest ones; without them, nearly everything") {
    const guard_options options = GENERATE(guard_options::for_batch(), guard_options{});
    setup s{.options = options, .load = 5.5, .length = 4, .modest_tenants = 999, .greedy_load = 5};
    const outcome together = simulation(s).run();
    s.flows = true;
    const outcome apart = simulation(s).run();
    for (const outcome* o : {&together, &apart}) {
        check_sum(*o);
        CHECK(o->modest.offered + o->greedy.offered == o->offered);
        CHECK(o->modest.in_time + o->greedy.in_time == o->in_time);
    }
    CHECK(together.modest.in_time < apart.modest.offered / 4);
    CHECK(static_cast<double>(apart.modest.in_time) > 0.94 * static_cast<double>(apart.modest.offered));
    CHECK(apart.modest.wait(1) < 0.03);
}
