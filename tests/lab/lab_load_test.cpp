// lab_load_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The random numbers of the lab, and the load that it offers.

#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "runs.hpp"
#include "support/random_numbers.hpp"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

#include <catch2/catch.hpp>

namespace {

using lab::record;
using lab::scenario;
using lab::spread;

TEST_CASE("Service times have a mean of 1, and vary as their spread says") {
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

TEST_CASE("Random numbers are drawn in a fixed order") {
    support::random_numbers one(7), other(7);
    const double length = std::sqrt(2 * other.exponential());
    CHECK(one.normal() == Approx(length * std::cos(2 * std::numbers::pi * other.uniform())));
    for (int i = 0; i < 1000; ++i) {
        const double value = one.between(2, 32);
        CHECK((value > 2 && value < 32));
        CHECK(one.below(3) < 3);
    }
}

TEST_CASE("The offered load follows its pulses and its swing") {
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

TEST_CASE("Pulses may lower the load, too") {
    scenario s = queue(1, 0.5, 1);
    s.phases = {{.length = 100, .rate = 100, .workers = 1}};
    s.pulses = {.every = 2, .lasts = 1};
    s.pulse_factor = 0;
    CHECK(offered(run(s, fixed(1))) == Approx(5000).epsilon(0.05));
}

TEST_CASE("All limiters get the same arrivals") {
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

} // namespace
