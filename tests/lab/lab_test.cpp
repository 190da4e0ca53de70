// lab_test.cpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The simulation lab of the benchmarks, against what queueing theory says and what the lab itself promises.

#include "lab/experiment.hpp"
#include "lab/oracle.hpp"
#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/score.hpp"
#include "lab/server.hpp"
#include "lab/simulation.hpp"
#include "lab/slots.hpp"
#include "support/random_numbers.hpp"
#include "theory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::limiter;
using lab::record;
using lab::recurring;
using lab::rejected_callers;
using lab::scenario;
using lab::spread;

using limiters = std::vector<std::unique_ptr<limiter>>;
using vegas_limiter = lab::guard_limiter<flowguard::vegas_strategy>;

constexpr std::size_t no_limit = 1'000'000'000;

limiters fixed(std::size_t limit) {
    limiters one;
    one.push_back(std::make_unique<lab::scheduled_limiter>(std::vector{limit}));
    return one;
}

limiters vegas(std::size_t count = 1, std::size_t initial_limit = 20) {
    limiters all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(std::make_unique<vegas_limiter>(
            flowguard::vegas_strategy({.initial_limit = initial_limit, .seed = i + 1})));
    return all;
}

record run(const scenario& s, limiters front, std::uint64_t seed = 1, std::size_t bins = 200) {
    lab::virtual_clock::set({}); // limiters ask for the time when they are made
    return lab::simulation(s, std::move(front), seed, bins).run();
}

double offered(const record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.offered; });
}

double rejected(const record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.rejected; });
}

double answered(const record& r) {
    return r.sum(0, r.bins.size(), [](const lab::bin& b) { return b.rtts.size(); });
}

double succeeded(const record& r) {
    return r.succeeded(0, r.bins.size());
}

bool same(const record& a, const record& b) {
    return std::equal(a.bins.begin(), a.bins.end(), b.bins.begin(), b.bins.end(),
                      [](const lab::bin& x, const lab::bin& y) {
                          return x.offered == y.offered && x.rejected == y.rejected && x.succeeded == y.succeeded &&
                                 x.limit == y.limit && x.rtts == y.rtts;
                      }) &&
           a.succeeded_by_guard == b.succeeded_by_guard && a.in_flight_integral == b.in_flight_integral &&
           a.time_in_flight == b.time_in_flight;
}

std::vector<std::size_t> offered_by_bin(const record& r) {
    std::vector<std::size_t> all;
    for (const lab::bin& b : r.bins)
        all.push_back(b.offered);
    return all;
}

std::vector<remembering_limiter::end> ends_of(const scenario& s, std::size_t limit) {
    std::vector<remembering_limiter::end> ends;
    limiters one;
    one.push_back(std::make_unique<remembering_limiter>(limit, ends));
    run(s, std::move(one));
    return ends;
}

// ---- Queueing theory ----

// Service times of 1 s in the mean. `workers` of them are enough for this utilisation.
scenario queue(double workers, double utilisation, double arrivals, spread services = spread::exponential) {
    scenario s;
    s.service = 1;
    s.services = services;
    s.phases = {{.length = arrivals / (workers * utilisation), .rate = workers * utilisation, .workers = workers}};
    return s;
}

struct waiting {
    double mean;     // seconds, in the queue alone
    double expected; // by theory
};

// The mean wait over some seeds. It is what a run takes longer than one with the same random numbers in which nobody
// waits, so that the noise of the service times is no part of it. Theory gets the rates that the random numbers
// happened to have: half of the noise of a wait is theirs.
template <class Theory> // from offered load, in workers
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

// Erlang's delay formula (the same paper), the share that waits: C = B / (1 − ρ (1 − B)). The mean wait over the mean
// service time is then C / (n − load).
double erlang_wait(std::size_t n, double load) {
    const double b = erlang_b(n, load);
    const auto servers = static_cast<double>(n);
    return b / (1 - load / servers * (1 - b)) / (servers - load);
}

// As measured with 40 seeds, the standard error of each mean is at most 1.3 %, so that 3 % is no luck.
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

TEST_CASE("40 workers that are half idle make nobody wait") {
    // Three in a million of a service time. That is too rare to be measured to 3 %.
    CHECK(erlang_wait(40, 20) == Approx(2.8e-6).epsilon(0.01));
    const waiting w = mean_wait(queue(40, 0.5, 200'000), 2, [](double load) { return erlang_wait(40, load); });
    CHECK(w.mean >= 0);
    CHECK(w.mean < 3e-5);
}

TEST_CASE("A limit that is the number of workers loses callers as Erlang B says") {
    const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 4, 40);
    const double utilisation = GENERATE(0.8, 1.0, 1.5);
    // Insensitive to how service times are spread.
    const spread services = GENERATE(spread::exponential, spread::fixed, spread::bimodal);
    const scenario s = queue(static_cast<double>(workers), utilisation, 200'000, services);
    const record r = run(s, fixed(workers));
    INFO(workers << " workers, utilisation " << utilisation);
    CHECK(rejected(r) / offered(r) ==
          Approx(erlang_b(workers, static_cast<double>(workers) * utilisation)).epsilon(0.03).margin(0.002));
}

// F. Pollaczek (1930), A. Khinchine (1932): with one worker and Poisson arrivals the mean wait is
// ρ · (1 + v²) / (2 (1 − ρ)) mean service times, v being the variation of the service times.
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

// L. Kleinrock: Queueing Systems, Volume 2, section 4.4 (1976): where all share one server equally, the mean time there
// is s / (1 − ρ), however service times are spread.
TEST_CASE("Requests that share one server take as long as theory says") {
    const spread services = GENERATE(spread::fixed, spread::exponential, spread::bimodal);
    scenario s = queue(1, 0.5, 200'000, services);
    s.contention = 1; // of n in service, each is n times slower
    double mean = 0;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        const record r = run(s, fixed(no_limit), seed, 1);
        mean += r.time_in_flight / offered(r) / 2;
    }
    CHECK(mean == Approx(2).epsilon(0.03));
}

TEST_CASE("A service time is 1 in the mean and varies as it says") {
    const auto moments = [](spread how) {
        support::random_numbers random(1);
        constexpr int n = 1'000'000;
        double sum = 0, squares = 0;
        for (int i = 0; i < n; ++i) {
            const double x = lab::draw(how, random);
            sum += x;
            squares += x * x;
        }
        return std::pair{sum / n, std::sqrt(squares / n - sum / n * sum / n)};
    };
    const auto check = [&](spread how, double variation) {
        const auto [mean, deviation] = moments(how);
        CHECK(mean == Approx(1).epsilon(0.01));
        CHECK(deviation == Approx(variation).epsilon(0.02).margin(1e-9));
    };
    check(spread::fixed, 0);
    check(spread::exponential, 1);
    check(spread::lognormal, 1.5);
    check(spread::bimodal, 1.89);
    check(spread::two_classes, 0.9608);
}

TEST_CASE("Random numbers are drawn in a set order") {
    support::random_numbers one(7), other(7);
    const double length = std::sqrt(2 * other.exponential());
    CHECK(one.normal() == Approx(length * std::cos(2 * std::numbers::pi * other.uniform())));
    for (int i = 0; i < 1000; ++i) {
        const double value = one.between(2, 32);
        CHECK((value > 2 && value < 32));
        CHECK(one.below(3) < 3);
    }
}

TEST_CASE("Offered load follows its pulses and its swing") {
    scenario s = queue(1, 0.5, 1);
    s.phases = {{.length = 400, .rate = 500, .workers = 1}};
    s.pulses = {.every = 2, .lasts = 0.5};
    s.pulse_factor = 5;
    const record pulsed = run(s, fixed(1), 1, 1600); // bins of 0.25 s
    double low = 0, high = 0;
    for (std::size_t i = 0; i < pulsed.bins.size(); ++i)
        (i % 8 < 6 ? low : high) += static_cast<double>(pulsed.bins[i].offered);
    CHECK(low / 300 == Approx(500).epsilon(0.02));
    CHECK(high / 100 == Approx(2500).epsilon(0.02));

    s.pulses = {};
    s.swing = 0.8;
    s.swing_period = 400;
    const record swung = run(s, fixed(1), 1, 4);
    CHECK(static_cast<double>(swung.bins[0].offered) / 100 == Approx(500 * (1 + 0.8 * 0.63662)).epsilon(0.02)); // 2 / π
    CHECK(static_cast<double>(swung.bins[2].offered) / 100 == Approx(500 * (1 - 0.8 * 0.63662)).epsilon(0.04));
    CHECK(offered(swung) / 400 == Approx(500).epsilon(0.02));
}

// ---- Little's law ----

struct named_change {
    const char* name;
    void (*change)(scenario&);
};

const std::vector<named_change>& varied_scenarios() {
    static const std::vector<named_change> all{
        {"plain", [](scenario&) {}},
        {"time-outs", [](scenario& s) { s.time_out = 0.012; }},
        {"downstream", [](scenario& s) { s.downstream = 0.05; }},
        {"stalls", [](scenario& s) { s.stalls = {.every = 1, .lasts = 0.3}; }},
        {"stalls and time-outs",
         [](scenario& s) {
             s.stalls = {.every = 1, .lasts = 0.3};
             s.time_out = 0.1;
         }},
        {"retries", [](scenario& s) { s.rejected = rejected_callers::retry; }},
        {"waiting", [](scenario& s) { s.rejected = rejected_callers::wait; }},
        {"waiting with time-outs",
         [](scenario& s) {
             s.rejected = rejected_callers::wait;
             s.time_out = 0.02;
         }},
        {"guards",
         [](scenario& s) {
             for (lab::phase& p : s.phases)
                 p.guards = 4;
             s.phases[1].guards = 2;
         }},
        {"sharing",
         [](scenario& s) {
             s.contention = 0.1;
             s.coherence = 0.002;
             s.stalls = {.every = 1, .lasts = 0.1};
         }},
        {"all",
         [](scenario& s) {
             s.services = spread::lognormal;
             s.downstream = 0.01;
             s.time_out = 0.05;
             s.stalls = {.every = 1, .lasts = 0.1};
             s.pulses = {.every = 0.7, .lasts = 0.2};
             s.pulse_factor = 3;
             s.rejected = rejected_callers::retry;
             for (lab::phase& p : s.phases)
                 p.guards = 3;
         }},
    };
    return all;
}

scenario varied(const named_change& how) {
    scenario s;
    s.phases = {{.length = 5, .rate = 1200, .workers = 8},
                {.length = 5, .rate = 1200, .workers = 8, .slowdown = 2},
                {.length = 5, .rate = 600, .workers = 12}};
    how.change(s);
    return s;
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

TEST_CASE("Nobody is lost or counted twice") {
    for (const named_change& how : varied_scenarios()) {
        scenario s = varied(how);
        s.phases.push_back({.length = 30, .rate = 0, .workers = 12, .guards = s.phases.back().guards});
        INFO(how.name);
        const record r = run(s, vegas(s.guards()));
        CHECK(answered(r) + rejected(r) == offered(r)); // in the end nobody is in service, on the way back, or in line
        CHECK(succeeded(r) <= answered(r));
        if (s.time_out == 0)
            CHECK(succeeded(r) == answered(r));
        else
            CHECK(succeeded(r) < answered(r));
    }
}

// ---- Servers ----

// Keeps `n` in service, for so many completions; requests per second.
double throughput_at(lab::server& s, std::size_t n, std::size_t completions, support::random_numbers& random,
                     spread how) {
    double now = 0;
    for (std::size_t i = 0; i < n; ++i)
        s.start(i, 0, lab::draw(how, random));
    for (std::size_t i = 0; i < completions; ++i) {
        now = s.next_completion();
        const std::size_t done = s.complete();
        s.start(done, now, lab::draw(how, random));
    }
    return static_cast<double>(completions) / now;
}

// N. Gunther: Guerrilla Capacity Planning (2007).
double usl(double n, double contention, double coherence) {
    return n / (1 + contention * (n - 1) + coherence * n * (n - 1));
}

TEST_CASE("A sharing server's throughput follows the Universal Scalability Law") {
    const std::size_t n = GENERATE(as<std::size_t>{}, 1, 5, 21, 100);
    const auto [contention, coherence] = GENERATE(std::pair{0.05, 0.0}, std::pair{0.1, 0.002}, std::pair{0.05, 0.02});
    const double expected = usl(static_cast<double>(n), contention, coherence);
    support::random_numbers random(1);
    lab::sharing_server random_times(contention, coherence, {});
    CHECK(throughput_at(random_times, n, 40'000, random, spread::exponential) == Approx(expected).epsilon(0.03));
    lab::sharing_server fixed_times(contention, coherence, {});
    CHECK(throughput_at(fixed_times, n, 100 * n, random, spread::fixed) == Approx(expected).epsilon(1e-9));
}

TEST_CASE("A scenario's capacity is a sharing server's throughput where it is best") {
    scenario s;
    s.service = 0.01;
    s.contention = 0.1;
    s.coherence = 0.002;
    CHECK(s.best_concurrency() == Approx(21.2132));
    CHECK(s.capacity(0) == Approx(100 * usl(21.2132, 0.1, 0.002)));
    CHECK(s.capacity(0, 2) == Approx(s.capacity(0) / 2));
    for (double n = 1; n < 100; ++n)
        CHECK(100 * usl(n, 0.1, 0.002) <= s.capacity(0));
    s.contention = s.coherence = 0;
    CHECK(s.capacity(40, 4) == Approx(1000));
}

TEST_CASE("A sharing server completes what has least left and slows it by what is there") {
    lab::sharing_server s(1, 0, {}); // n times slower with n
    CHECK(s.next_completion() == lab::server::never);
    s.start(1, 0, 2);
    CHECK(s.next_completion() == Approx(2));
    s.start(2, 1, 0.25); // 1 has 1 s left
    CHECK(s.next_completion() == Approx(1.5));
    s.start(3, 1.25, 3); // 2 has 0.125 left
    CHECK(s.next_completion() == Approx(1.625));
    CHECK(s.complete() == 2); // overtakes 1
    CHECK(s.next_completion() == Approx(1.625 + 2 * 0.75)); // 1 has had 1 + 0.125 + 0.125
    CHECK(s.complete() == 1);
    CHECK(s.next_completion() == Approx(3.125 + 3 - 0.125 - 0.75));
    CHECK(s.complete() == 3);
    CHECK(s.next_completion() == lab::server::never);
    s.start(4, 100, 1); // idle till then
    CHECK(s.next_completion() == Approx(101));
}

TEST_CASE("A queueing server serves first come first served") {
    lab::queueing_server s({});
    s.begin({.workers = 2}, 0);
    CHECK(s.next_completion() == lab::server::never);
    s.start(1, 0, 5);
    s.start(2, 0, 1);
    s.start(3, 0.5, 1); // when 2 is done, at 1
    s.start(4, 0.5, 1); // when 3 is done, at 2
    s.start(5, 0.5, 9); // when 4 is done, at 3
    for (const auto& [request, at] : {std::pair{2, 1.0}, {3, 2.0}, {4, 3.0}, {1, 5.0}, {5, 12.0}}) {
        CHECK(s.next_completion() == Approx(at));
        CHECK(s.complete() == static_cast<std::size_t>(request));
    }
}

TEST_CASE("A server has more or fewer workers from a phase on") {
    lab::queueing_server s({});
    s.begin({.workers = 1}, 0);
    s.begin({.workers = 2}, 10);
    s.start(1, 10, 1);
    s.start(2, 10, 1);
    CHECK(s.next_completion() == Approx(11));
    s.complete();
    CHECK(s.next_completion() == Approx(11));
    s.complete();
    s.begin({.workers = 1}, 20);
    s.start(3, 20, 1);
    s.start(4, 20, 1);
    s.complete();
    CHECK(s.next_completion() == Approx(22));
}

// ---- Time-outs ----

TEST_CASE("A server does the work of callers who gave up") {
    // One worker, 0.1 s each, of four in flight: the first is done in time, and all others wait behind work that nobody
    // wants any more.
    scenario s;
    s.service = 0.1;
    s.services = spread::fixed;
    s.time_out = 0.15;
    s.phases = {{.length = 100, .rate = 1000, .workers = 1}};
    const record flooded = run(s, fixed(4));
    CHECK(succeeded(flooded) == 1);
    CHECK(answered(flooded) > 2600); // four each 0.15 s

    std::size_t at_time_out = 0;
    for (const lab::bin& b : flooded.bins)
        for (const float rtt : b.rtts)
            at_time_out += std::abs(rtt - 0.15F) < 1e-4F ? 1U : 0U; // they are all that gave up
    CHECK(static_cast<double>(at_time_out) == answered(flooded) - 1);

    // Once the callers stay away, the server needs as long as all that work takes.
    s.phases = {{.length = 10, .rate = 1000, .workers = 1},
                {.length = 40, .rate = 1, .workers = 1},
                {.length = 50, .rate = 1, .workers = 1}};
    const record relieved = run(s, fixed(4), 1, 100); // bins of 1 s
    double admitted = 0;
    for (std::size_t i = 0; i <= 10; ++i)
        admitted += static_cast<double>(relieved.bins[i].rtts.size());
    const auto backlog = static_cast<std::size_t>(0.1 * admitted); // seconds
    REQUIRE(backlog > 20);
    REQUIRE(backlog < 45);
    CHECK(relieved.succeeded(1, backlog) == 0);
    CHECK(relieved.succeeded(backlog + 10, 100) >
          0.8 * relieved.sum(backlog + 10, 100, [](const lab::bin& b) { return b.offered; }));
}

TEST_CASE("A time-out gives the permit back at once and an answer in time does") {
    scenario s;
    s.service = 1;
    s.services = spread::fixed;
    s.time_out = 0.25;
    s.phases = {{.length = 100, .rate = 1000, .workers = 1000}};
    const auto ends = ends_of(s, 1);
    REQUIRE(ends.size() > 380);
    CHECK(ends.size() <= 400);
    CHECK(std::all_of(ends.begin(), ends.end(), [](const auto& e) { return e.how == lab::outcome::dropped; }));
    s.time_out = 1.25;
    const auto in_time = ends_of(s, 1);
    REQUIRE(in_time.size() > 95);
    CHECK(std::none_of(in_time.begin(), in_time.end(), [](const auto& e) { return e.how == lab::outcome::dropped; }));
}

TEST_CASE("A response is downstream without holding a worker") {
    scenario s;
    s.service = 0.1;
    s.services = spread::fixed;
    s.downstream = 0.9;
    s.phases = {{.length = 101, .rate = 1000, .workers = 1}};
    const record r = run(s, fixed(10));
    CHECK(succeeded(r) == Approx(1000).margin(15)); // ten a second, for a request takes one
    for (const lab::bin& b : r.bins)
        for (const float rtt : b.rtts)
            REQUIRE(rtt >= 0.9999F);
}

TEST_CASE("Rejected callers leave or retry or wait") {
    scenario s;
    s.service = 0.01;
    s.phases = {{.length = 20, .rate = 200, .workers = 1}};
    const record leave = run(s, fixed(1));
    s.rejected = rejected_callers::retry;
    const record retry = run(s, fixed(1));
    s.rejected = rejected_callers::wait;
    const record wait = run(s, fixed(1));
    CHECK(offered_by_bin(leave) == offered_by_bin(retry));
    CHECK(offered_by_bin(leave) == offered_by_bin(wait));
    CHECK(rejected(leave) > 1.1 * rejected(retry));
    CHECK(succeeded(retry) > 1.1 * succeeded(leave));
    CHECK(rejected(wait) == 0);
    CHECK(succeeded(wait) == Approx(2000).epsilon(0.1)); // never idle
    s.time_out = 0.1;
    CHECK(rejected(run(s, fixed(1))) > 1000); // those who gave up in line
}

// ---- Stalls ----

TEST_CASE("Working time and time are inverse") {
    const lab::working_time stalled({.every = 4, .lasts = 1});
    CHECK(stalled.at(0) == 0);
    CHECK(stalled.at(2.5) == 2.5);
    CHECK(stalled.at(3) == 3);
    CHECK(stalled.at(3.7) == 3); // stands still
    CHECK(stalled.at(4) == 3);
    CHECK(stalled.at(9) == 7);
    CHECK(stalled.when(0) == 0);
    CHECK(stalled.when(2.5) == 2.5);
    CHECK(stalled.when(3) == 3); // the first time at which so much has passed
    CHECK(stalled.when(3.5) == 4.5);
    CHECK(stalled.when(7) == 9);

    support::random_numbers random(1);
    for (int i = 0; i < 10'000; ++i) {
        const recurring stalls{.every = random.between(0.1, 10), .lasts = 0.1 * random.uniform()};
        const lab::working_time time(stalls);
        const double t = 100 * random.uniform();
        CHECK(time.at(time.when(t)) == Approx(t));
        if (!stalls.at(t))
            CHECK(time.when(time.at(t)) == Approx(t));
        CHECK(time.at(t) <= t);
        CHECK(time.when(t) >= t);
    }
    const lab::working_time always({});
    CHECK(always.at(5) == 5);
    CHECK(always.when(5) == 5);
}

TEST_CASE("Nothing completes within a stall and no work is lost") {
    scenario s;
    s.service = 0.01;
    s.stalls = {.every = 1.5, .lasts = 0.5};
    s.phases = {{.length = 150, .rate = 1000, .workers = 4}};
    const bool sharing = GENERATE(false, true);
    if (sharing)
        s.contention = 0.2;
    const auto ends = ends_of(s, 8);
    for (const auto& [at, dropped] : ends) {
        const double since = std::fmod(at + 1e-7, 1.5); // the clock has nanoseconds
        REQUIRE(since <= 1 + 2e-7);
    }
    const double per_second = sharing ? usl(8, 0.2, 0) / 0.01 : 4 / 0.01;
    CHECK(static_cast<double>(ends.size()) == Approx(100 * per_second).epsilon(0.03));
}

// ---- Reproducibility ----

TEST_CASE("The same seed gives the same run") {
    for (const named_change& how : varied_scenarios()) {
        const scenario s = varied(how);
        INFO(how.name);
        const record first = run(s, vegas(s.guards()), 5);
        CHECK(same(first, run(s, vegas(s.guards()), 5)));
        CHECK_FALSE(same(first, run(s, vegas(s.guards()), 6)));
    }
}

TEST_CASE("All limiters meet the same arrivals") {
    for (const named_change& how : varied_scenarios()) {
        const scenario s = varied(how);
        INFO(how.name);
        const auto expected = offered_by_bin(run(s, vegas(s.guards())));
        CHECK(expected == offered_by_bin(run(s, vegas(1))));
        CHECK(expected == offered_by_bin(run(s, fixed(1))));
        CHECK(expected == offered_by_bin(run(s, fixed(no_limit))));
        CHECK(expected != offered_by_bin(run(s, fixed(1), 2)));
    }
}

// ---- Records and scores ----

TEST_CASE("slots are used again") {
    lab::slots<std::string> slots;
    CHECK(slots.put("a") == 0);
    CHECK(slots.put("b") == 1);
    CHECK(slots.put("c") == 2);
    CHECK(slots.take(1) == "b");
    CHECK(slots.put("d") == 1);
    CHECK(slots[0] == "a");
    CHECK(slots[1] == "d");
    CHECK(slots.take(0) == "a");
    CHECK(slots.take(2) == "c");
    CHECK(slots.put("e") + slots.put("f") == 2); // 0 and 2, in any order
    CHECK(slots.put("g") == 3);

    lab::slots<std::unique_ptr<int>> unique;
    CHECK(*unique.take(unique.put(std::make_unique<int>(5))) == 5);
}

TEST_CASE("quantile is a value below which a share lies") {
    CHECK(lab::quantile({}, 0.5) == 0);
    CHECK(lab::quantile({3}, 0) == 3);
    CHECK(lab::quantile({3}, 1) == 3);
    std::vector<float> values(100);
    std::iota(values.begin(), values.end(), 0.0F);
    std::reverse(values.begin(), values.end());
    CHECK(lab::quantile(values, 0) == 0);
    CHECK(lab::quantile(values, 0.5) == 50);
    CHECK(lab::quantile(values, 0.99) == 99);
    CHECK(lab::quantile(values, 1) == 99);
}

record hand_made(const std::vector<std::size_t>& goodputs, double length = 10) {
    record r;
    r.length = length;
    for (const std::size_t goodput : goodputs) {
        lab::bin b;
        b.offered = 100;
        b.rejected = 20;
        b.succeeded = goodput;
        b.limit = 10;
        b.rtts.assign(goodput, 0.5F);
        r.bins.push_back(b);
    }
    return r;
}

TEST_CASE("A record finds its bins and sums over them") {
    const record r = hand_made({1, 2, 3, 4});
    CHECK(r.bin_length() == 2.5);
    CHECK(r.bin_at(-1) == 0);
    CHECK(r.bin_at(0) == 0);
    CHECK(r.bin_at(2.4) == 0);
    CHECK(r.bin_at(2.5) == 1);
    CHECK(r.bin_at(9.9) == 3);
    CHECK(r.bin_at(10) == 3);
    CHECK(r.succeeded(1, 3) == 5);
    CHECK(r.p99(0, 4) == 0.5);
    CHECK(r.p99(2, 2) == 0);
}

TEST_CASE("Jain's index is 1 for equal shares and 1 / n for one winner") {
    CHECK(lab::jains_index({5, 5, 5, 5}) == Approx(1));
    CHECK(lab::jains_index({12, 0, 0, 0}) == Approx(0.25));
    CHECK(lab::jains_index({1, 3}) == Approx(0.8)); // 16 / (2 · 10)
    CHECK(lab::jains_index({1, 2, 3}) == Approx(36.0 / 42));
    CHECK(lab::jains_index({0, 0}) == 1);
    CHECK(lab::jains_index({7}) == 1);
}

TEST_CASE("recovery is the time until goodput stays up") {
    using lab::detail::recovery;
    std::vector<std::size_t> goodputs(40, 100);
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 0);

    std::fill_n(goodputs.begin(), 10, 0);
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 13); // when a run of four bins is up again
    CHECK(recovery(hand_made(goodputs, 20), 0, 40) == 6.5); // seconds, not bins
    CHECK(recovery(hand_made(goodputs, 40), 20, 40) == 0);
    CHECK(recovery(hand_made(goodputs, 40), 5, 40) == 8); // since the phase began

    goodputs[30] = 0; // falls again
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 34);
    goodputs[30] = 70; // not by enough to count: 92.5 % in its runs
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 13);

    std::fill(goodputs.begin(), goodputs.end(), 100);
    std::fill_n(goodputs.end() - 4, 4, 0); // in the end it is down
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 40);
}

TEST_CASE("oscillation is the variation of the limit") {
    using lab::detail::oscillation;
    record r = hand_made({1, 1, 1, 1});
    CHECK(oscillation(r, 0, 4) == 0);
    r.bins[0].limit = r.bins[2].limit = 5;
    r.bins[1].limit = r.bins[3].limit = 15;
    CHECK(oscillation(r, 0, 4) == Approx(0.5));
    CHECK(oscillation(r, 0, 1) == 0);
}

TEST_CASE("A score is relative to the oracle and leaves the warm-up out") {
    scenario s;
    s.phases = {{.length = 5, .guards = 2}, {.length = 5, .guards = 2}};
    std::vector<std::size_t> half(100, 40);
    std::fill_n(half.begin(), 15, 0); // the warm-up
    record slow = hand_made(half);
    for (lab::bin& b : slow.bins)
        std::fill(b.rtts.begin(), b.rtts.end(), 0.75F);
    slow.succeeded_by_guard = {30, 10};
    const record best = hand_made(std::vector<std::size_t>(100, 80));

    const lab::yardstick by{best, best, best, {0.8, 0.6}}; // in the second phase the slow answers are not in time
    const lab::score worse = lab::score_of(s, slow, by);
    CHECK(worse.in_time == Approx(35 * 40.0 / (85 * 80)));
    CHECK(worse.goodput == Approx(0.5));
    CHECK(worse.p99 == Approx(1.5));
    CHECK(worse.rejected == Approx(0.2));
    CHECK(worse.recovery == 0.0); // the second phase is even
    CHECK(worse.oscillation == 0);
    CHECK(worse.fairness == Approx(0.8));
    CHECK(worse.quality() == Approx(0.5 / 1.5));
    CHECK_FALSE(worse.is_good());

    std::fill_n(slow.bins.begin() + 50, 10, lab::bin{}); // the second phase begins badly
    slow.bins[80].limit = 30;
    const lab::score stepped = lab::score_of(s, slow, by);
    CHECK(stepped.recovery == Approx(1.3));
    CHECK(stepped.oscillation > 0.2);

    s.phases = {{.length = 10}};
    const lab::score alone = lab::score_of(s, best, by);
    CHECK(alone.in_time == 1);
    CHECK(alone.goodput == Approx(1));
    CHECK(alone.p99 == Approx(1));
    CHECK_FALSE(alone.recovery); // no step
    CHECK_FALSE(alone.fairness);
    CHECK(alone.quality() == Approx(1));
    CHECK(alone.is_good());
}

TEST_CASE("The oracle finds the smallest limit of each phase that suffices") {
    scenario s;
    s.services = spread::fixed;
    s.phases = {{.length = 10, .rate = 2000, .workers = 4}, {.length = 10, .rate = 4000, .workers = 8}};
    lab::oracle limits(s);
    REQUIRE(limits.smallest().size() == 2);
    // At five times the capacity, with as many let in as there are workers, four are idle for 5.5 % of the time, which
    // is too much, and eight for 2.9 %.
    REQUIRE(20 * (1 - erlang_b(4, 20)) < 0.95 * 4);
    REQUIRE(40 * (1 - erlang_b(8, 40)) > 0.95 * 8);
    CHECK(limits.smallest()[0] == 5);
    CHECK(limits.smallest()[1] == 8);
    const record best = limits.best_run(1);
    const record smallest = limits.smallest_run(1);
    CHECK(succeeded(smallest) >= 0.93 * succeeded(best));
    CHECK(smallest.p99(0, 100) <= best.p99(0, 100));
    CHECK(best.succeeded(0, 100) == Approx(4000).epsilon(0.02));
    CHECK(smallest.bins[50].limit == 5);
    CHECK(smallest.bins[150].limit == 8);
}

TEST_CASE("The oracle takes part with another share of the best goodput") {
    scenario s;
    s.phases = {{.length = 10, .rate = 4400, .workers = 40}};
    lab::oracle limits(s);
    CHECK(limits.smallest(0.8)[0] < limits.smallest()[0]);
    CHECK(limits.smallest(0.99)[0] > limits.smallest()[0]);

    lab::experiment e;
    e.scenarios = {s};
    e.who = {{.name = "the one it is compared with", .make = {}, .oracle_share = lab::oracle::enough},
             {.name = "higher limits", .make = {}, .oracle_share = 0.99}};
    const lab::result r = e.run([](std::size_t) {}).front();
    CHECK(r.scores[0][0].p99 == 1);
    CHECK(r.scores[0][0].goodput == Approx(0.95).margin(0.02));
    CHECK(r.scores[1][0].p99 > 1);
    CHECK(r.scores[1][0].goodput == Approx(0.99).margin(0.02));
}

TEST_CASE("A sharing server's best limit is known to the oracle") {
    scenario s;
    s.contention = 0.05;
    s.coherence = 0.02; // best at 7
    s.phases = {{.length = 10, .rate = 3 * s.capacity(0)}};
    lab::oracle limits(s);
    CHECK(limits.smallest()[0] >= 3);
    CHECK(limits.smallest()[0] <= 7);
    CHECK(succeeded(limits.best_run(1)) == Approx(10 * s.capacity(0)).epsilon(0.05));
}

// ---- Changes during a run ----

TEST_CASE("Limiters are made when the time is 0") {
    // Some measure from the time at which they were made. If that is the end of the run before, a real one is ahead.
    std::vector<double> made_at;
    lab::experiment e;
    scenario s;
    s.phases = {{.length = 2, .rate = 50, .workers = 4}};
    e.scenarios = {s};
    e.seeds = 2;
    e.who = {{.name = "says when it is made", .make = [&](std::size_t initial_limit, std::uint64_t) {
                  made_at.push_back(lab::in_seconds(lab::virtual_clock::now().time_since_epoch()));
                  return std::make_unique<lab::scheduled_limiter>(std::vector{initial_limit});
              }}};
    e.run([](std::size_t) {});
    CHECK(made_at == std::vector<double>{0, 0});
}

TEST_CASE("New workers take what is in the queue") {
    lab::queueing_server s({});
    s.begin({.workers = 1}, 0);
    s.start(1, 0, 10);
    s.start(2, 0, 10);
    s.begin({.workers = 2}, 1);
    s.start(3, 2, 1);
    CHECK(s.complete() == 1); // at 10
    CHECK(s.next_completion() == Approx(11)); // 2, from 1 on
    CHECK(s.complete() == 2);
    CHECK(s.next_completion() == Approx(11)); // 3, after 1
}

TEST_CASE("Workers who are gone leave the queue to the others") {
    lab::queueing_server s({});
    s.begin({.workers = 2}, 0);
    for (std::size_t request = 1; request <= 4; ++request)
        s.start(request, 0, 10);
    s.begin({.workers = 1}, 1);
    s.complete();
    s.complete(); // at 10, as those in service are finished
    CHECK(s.next_completion() == Approx(20));
    s.complete();
    CHECK(s.next_completion() == Approx(30));
}

TEST_CASE("Pulses may also be of less load") {
    scenario s = queue(1, 0.5, 1);
    s.phases = {{.length = 100, .rate = 100, .workers = 1}};
    s.pulses = {.every = 2, .lasts = 1};
    s.pulse_factor = 0;
    CHECK(offered(run(s, fixed(1))) == Approx(5000).epsilon(0.05));
}

TEST_CASE("A sharing server without coherence does no more than its capacity") {
    scenario s;
    s.contention = 0.05;
    CHECK(100 * usl(400, 0.05, 0) <= s.capacity(0));
}

} // namespace
