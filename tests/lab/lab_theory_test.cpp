// lab_theory_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The lab's simulation must give what queueing theory says.

#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "runs.hpp"
#include "theory.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <catch2/catch.hpp>

namespace {

using lab::record;
using lab::scenario;
using lab::spread;

struct waiting {
    double mean;     // seconds, in the queue alone
    double expected; // by theory
};

// The mean wait over some seeds. For each seed, a second run with the same random numbers has so many workers that no
// request waits. The wait is the difference of the two runs, so that the noise of the service times cancels out. Theory
// gets the rates that the random numbers happened to have, because half of the noise of a wait comes from them.
template <class Theory> // takes the offered load, in workers; returns the wait, in mean service times
waiting mean_wait(scenario s, std::uint64_t seeds, Theory theory) {
    scenario nobody_waits = s;
    nobody_waits.phases[0].workers += 150 + 10 * std::sqrt(s.phases[0].workers);
    waiting w{};
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const record queued = run(s, fixed(no_limit), seed, 1);
        const record unqueued = run(nobody_waits, fixed(no_limit), seed, 1);
        const double service = unqueued.time_in_flight / offered(unqueued);
        w.mean += (queued.time_in_flight / offered(queued) - service) / static_cast<double>(seeds);
        w.expected += service * theory(offered(queued) / s.length() * service) / static_cast<double>(seeds);
    }
    return w;
}

// Erlang's delay formula, from the same paper as erlang_b(): the share of callers that wait is C = B / (1 − ρ (1 − B)).
// The mean wait, in mean service times, is then C / (n − load).
double erlang_wait(std::size_t n, double load) {
    const double b = erlang_b(n, load);
    const auto servers = static_cast<double>(n);
    return b / (1 - load / servers * (1 - b)) / (servers - load);
}

// The standard error of each mean is at most 1.3 %, measured with 40 seeds. So a match within 3 % is no luck.
void check_against_erlang_c(std::size_t workers, double utilisation, std::uint64_t seeds) {
    const scenario s = queue(static_cast<double>(workers), utilisation, 200'000);
    const waiting w = mean_wait(s, seeds, [workers](double load) { return erlang_wait(workers, load); });
    INFO(workers << " workers, utilisation " << utilisation);
    CHECK(w.mean == Approx(w.expected).epsilon(0.03));
}

TEST_CASE("One worker makes callers wait as Erlang C says") {
    CHECK(erlang_wait(1, 0.8) == Approx(4)); // ρ / (1 − ρ)
    check_against_erlang_c(1, 0.5, 1);
    check_against_erlang_c(1, 0.8, 2);
    check_against_erlang_c(1, 0.9, 8);
}

TEST_CASE("Four workers make callers wait as Erlang C says") {
    CHECK(erlang_wait(2, 1) == Approx(1.0 / 3)); // by hand: B = 0.2, C = 1 / 3
    check_against_erlang_c(4, 0.5, 3);
    check_against_erlang_c(4, 0.8, 3);
    check_against_erlang_c(4, 0.9, 10);
}

TEST_CASE("40 workers at a utilisation of 0.9 make callers wait as Erlang C says") {
    check_against_erlang_c(40, 0.9, 25);
}

TEST_CASE("40 workers at a utilisation of 0.8 make callers wait as Erlang C says") {
    check_against_erlang_c(40, 0.8, 30);
}

TEST_CASE("40 workers that are half idle make hardly any caller wait") {
    // The wait is three millionths of a service time. That is too rare to be measured to 3 %.
    CHECK(erlang_wait(40, 20) == Approx(2.8e-6).epsilon(0.01));
    const waiting w = mean_wait(queue(40, 0.5, 200'000), 2, [](double load) { return erlang_wait(40, load); });
    CHECK(w.mean >= 0);
    CHECK(w.mean < 3e-5);
}

TEST_CASE("A limit equal to the number of workers rejects callers as Erlang B says") {
    const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 4, 40);
    const double utilisation = GENERATE(0.8, 1.0, 1.5);
    // Erlang B holds for every distribution of the service times.
    const spread services = GENERATE(spread::exponential, spread::fixed, spread::bimodal);
    const scenario s = queue(static_cast<double>(workers), utilisation, 200'000, services);
    const record r = run(s, fixed(workers));
    INFO(workers << " workers, utilisation " << utilisation);
    CHECK(rejected(r) / offered(r) ==
          Approx(erlang_b(workers, static_cast<double>(workers) * utilisation)).epsilon(0.03).margin(0.002));
}

// F. Pollaczek (1930), A. Khinchine (1932): with one worker and Poisson arrivals the mean wait is
// ρ · (1 + v²) / (2 (1 − ρ)) mean service times, where v is the variation of the service times.
TEST_CASE("One worker makes callers wait as Pollaczek and Khinchine say") {
    const auto check = [](spread services, double squared_variation, double utilisation, std::uint64_t seeds) {
        const waiting w = mean_wait(queue(1, utilisation, 200'000, services), seeds, [squared_variation](double load) {
            return load * (1 + squared_variation) / (2 * (1 - load));
        });
        INFO("v² " << squared_variation);
        CHECK(w.mean == Approx(w.expected).epsilon(0.03));
    };
    check(spread::fixed, 0, 0.8, 2); // M/D/1
    check(spread::fixed, 0, 0.5, 1);
    check(spread::exponential, 1, 0.5, 1);
    check(spread::lognormal, 2.25, 0.5, 6);
    check(spread::bimodal, 0.9 * 0.37 * 0.37 + 0.1 * 6.67 * 6.67 - 1, 0.5, 2);
    check(spread::two_classes, (1 + 2500) / 2.0 / (25.5 * 25.5) - 1, 0.5, 2);
}

// L. Kleinrock: Queueing Systems, Volume 2, section 4.4 (1976): if all requests share one server equally, their mean
// time there is s / (1 − ρ), for every distribution of the service times.
TEST_CASE("Requests that share one server take as long as theory says") {
    const spread services = GENERATE(spread::fixed, spread::exponential, spread::bimodal);
    scenario s = queue(1, 0.5, 200'000, services);
    s.contention = 1; // with n in service, each is n times slower
    double mean = 0;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        const record r = run(s, fixed(no_limit), seed, 1);
        mean += r.time_in_flight / offered(r) / 2;
    }
    CHECK(mean == Approx(2).epsilon(0.03));
}

TEST_CASE("Little's law holds in every run") {
    for (const named_change& how : varied_scenarios()) {
        const scenario s = varied(how);
        INFO(how.name);
        const record r = run(s, vegas(s.guards()));
        REQUIRE(r.in_flight_integral > 0);
        CHECK(r.time_in_flight == Approx(r.in_flight_integral).epsilon(1e-6));
        const record shared = run(s, vegas(1));
        CHECK(shared.time_in_flight == Approx(shared.in_flight_integral).epsilon(1e-6));
        const record unlimited = run(s, fixed(no_limit));
        CHECK(unlimited.time_in_flight == Approx(unlimited.in_flight_integral).epsilon(1e-6));
    }
}

} // namespace
