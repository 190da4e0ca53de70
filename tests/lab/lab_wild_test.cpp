// lab_wild_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the lab simulates of the wild, and how it measures answers in time.

#include "lab/limiter.hpp"
#include "lab/oracle.hpp"
#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/score.hpp"
#include "lab/simulation.hpp"
#include "lab/wild_scenarios.hpp"
#include "theory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::outcome;
using lab::record;
using lab::scenario;

struct seen_run {
    record run;
    std::vector<remembering_limiter::end> ends;

    double offered() const {
        return run.sum(0, run.bins.size(), [](const lab::bin& b) { return b.offered; });
    }
    double succeeded() const { return run.succeeded(0, run.bins.size()); }
    double ended_with(outcome how) const { return ::ended_with(ends, how); }
};

seen_run run(const scenario& s, std::size_t limit = 1'000'000) {
    seen_run r;
    lab::virtual_clock::set({});
    std::vector<std::unique_ptr<lab::limiter>> one;
    one.push_back(std::make_unique<remembering_limiter>(limit, r.ends));
    r.run = lab::simulation(s, std::move(one), 1).run();
    return r;
}

scenario server(double workers, double load, double length) {
    scenario s;
    s.phases = {{.length = length, .rate = load * s.capacity(workers), .workers = workers}};
    return s;
}

TEST_CASE("A server with a limit of its own refuses the share of Erlang's loss formula") {
    scenario s = server(20, 1.5, 200); // 30 Erlang
    s.service_limit = 20;
    const seen_run r = run(s);
    CHECK(r.ended_with(outcome::dropped) / r.offered() == Approx(erlang_b(20, 30)).epsilon(0.03));
    CHECK(r.ended_with(outcome::success) == Approx(r.succeeded()).margin(0));
}

TEST_CASE("A server with a rate limit answers at that rate, and refuses the rest") {
    scenario s = server(100, 0.6, 60);
    s.rate_limit = s.phases[0].rate / 2;
    const seen_run r = run(s);
    CHECK(r.succeeded() / 60 == Approx(s.rate_limit).epsilon(0.02));
    CHECK(r.ended_with(outcome::dropped) == Approx(r.offered() / 2).epsilon(0.03));
    CHECK(s.capacity(100) == Approx(s.rate_limit));
}

TEST_CASE("In an outage every request is refused, and refusals are no answers") {
    scenario s = server(100, 0.5, 60);
    s.outages = {.every = 10, .lasts = 2};
    const seen_run r = run(s);
    CHECK(r.ended_with(outcome::dropped) / r.offered() == Approx(0.2).epsilon(0.05));
    double answers = 0;
    for (const lab::bin& b : r.run.bins)
        answers += static_cast<double>(b.rtts.size());
    CHECK(answers == r.succeeded());
}

TEST_CASE("Ignored calls are beside the requests, and are not counted among them") {
    scenario s = server(100, 0.5, 30);
    const double offered = run(s).offered();
    s.ignored = 7.5;
    s.ignored_time = 0.002;
    const seen_run r = run(s);
    CHECK(r.offered() == offered);
    CHECK(r.ended_with(outcome::ignored) / offered == Approx(7.5).epsilon(0.02));
    CHECK(r.ended_with(outcome::success) == r.succeeded());
}

TEST_CASE("A request that finds no idle connection takes longer") {
    // Requests come one by one, so that a second connection is seldom needed.
    scenario s = server(100, 0.0001, 10'000);
    s.services = lab::spread::fixed;
    const auto longer = [](const seen_run& r) {
        std::size_t count = 0;
        for (const lab::bin& b : r.run.bins)
            count += static_cast<std::size_t>(
                std::count_if(b.rtts.begin(), b.rtts.end(), [](float rtt) { return rtt > 0.03F; }));
        return static_cast<double>(count);
    };
    CHECK(longer(run(s)) == 0);
    s.connect = 0.03;
    s.keep_alive = 1e9;
    const double first = longer(run(s));
    CHECK(first >= 1);
    CHECK(first <= 4);
    s.keep_alive = 1; // one request each second: the time to the next one is longer with a probability of 1 / e
    const seen_run r = run(s);
    CHECK(longer(r) / r.offered() == Approx(std::exp(-1)).epsilon(0.05));
}

TEST_CASE("As many watches are open as the scenario says") {
    scenario s = server(10, 0.5, 600);
    s.watches = 40;
    s.watch_time = 5;
    const seen_run r = run(s);
    // Little's law: 40, and half of ten workers; the first seconds have fewer.
    CHECK(r.run.in_flight_integral / 600 == Approx(45).epsilon(0.06));
    CHECK(r.ended_with(outcome::success) > r.succeeded() + 4000);
}

TEST_CASE("A server that takes batches does most with full ones") {
    scenario s;
    s.batch = 32;
    s.batch_base = 0.04;
    s.batch_each = 0.001;
    s.service = 0.04;
    CHECK(s.capacity(1) == Approx(32 / 0.072));
    s.phases = {{.length = 60, .rate = 2 * s.capacity(1), .workers = 1}};
    CHECK(run(s, 64).succeeded() / 60 == Approx(s.capacity(1)).epsilon(0.01));

    const seen_run alone = run(s, 1); // each is a batch of one
    CHECK(alone.run.p99(0, alone.run.bins.size()) == Approx(0.041));
}

TEST_CASE("One of a hundred service times of a tail is two hundred times as long, and their mean is one") {
    support::random_numbers random(1);
    double sum = 0;
    std::size_t longer = 0;
    constexpr std::size_t count = 1'000'000;
    for (std::size_t i = 0; i < count; ++i) {
        const double time = lab::draw(lab::spread::tail, random);
        sum += time;
        longer += time > 1 ? 1 : 0;
    }
    CHECK(sum / count == Approx(1).epsilon(0.02));
    CHECK(static_cast<double>(longer) / count == Approx(0.01).epsilon(0.03));
}

TEST_CASE("The mean service time of a mix of kinds is that of the scenario") {
    scenario s = server(100, 0.5, 200);
    s.kinds = {1, 100};
    s.phases[0].shares = {0.75, 0.25};
    CHECK(s.cost(s.phases[0], 0) == Approx(1 / 25.75));
    CHECK(s.cost(s.phases[0], 1) == Approx(100 / 25.75));
    // Little's law: half of a hundred workers.
    CHECK(run(s).run.in_flight_integral / 200 == Approx(50).epsilon(0.03));
}

TEST_CASE("A limiter is told the kind of each request, in the shares of the phase") {
    class counting_limiter final : public lab::limiter {
    public:
        explicit counting_limiter(std::vector<std::size_t>& counts) : counts_(counts) {}
        std::optional<std::size_t> try_acquire() override {
            ++counts_.at(kind_);
            return std::nullopt;
        }
        void tell_kind(std::size_t kind) override { kind_ = kind; }
        void finish(std::size_t, outcome) override {}
        std::size_t limit() const override { return 1; }
        std::size_t in_flight() const override { return 0; }

    private:
        std::vector<std::size_t>& counts_;
        std::size_t kind_ = 0;
    };
    scenario s = server(100, 0.5, 4); // 20,000 requests
    s.kinds = {1, 10, 3};
    s.phases[0].shares = {0.5, 0.2, 0.3};
    for (const bool told : {true, false}) {
        s.kinds_are_told = told;
        std::vector<std::size_t> counts(3);
        std::vector<std::unique_ptr<lab::limiter>> one;
        one.push_back(std::make_unique<counting_limiter>(counts));
        lab::simulation(s, std::move(one), 1).run();
        const auto all = static_cast<double>(counts[0] + counts[1] + counts[2]);
        for (std::size_t k = 0; k < 3; ++k)
            CHECK(static_cast<double>(counts[k]) / all == Approx(told     ? s.phases[0].shares[k]
                                                                 : k == 0 ? 1
                                                                          : 0)
                                                              .margin(0.02));
    }
}

// ---- Answers in time ----

TEST_CASE("An answer is in time within twice the p99 of a request that is alone") {
    lab::oracle knows(server(10, 1.5, 100));
    const auto longest = knows.in_time(lab::punctuality::twice_p99, 1).longest;
    REQUIRE(longest.size() == 1);
    CHECK(longest[0] == Approx(2 * 0.01 * std::log(100)).epsilon(0.06)); // exponential
    const auto strict = knows.in_time(lab::punctuality::p99_and_mean, 1).longest;
    REQUIRE(strict.size() == 1);
    CHECK(strict[0] == Approx(longest[0] / 2 + 0.01));
}

TEST_CASE("The static limits with the most answers in time score 1, and others less") {
    const scenario s = server(10, 2, 60);
    lab::oracle knows(s);
    const lab::yardstick by = knows.yardstick_for(1);
    CHECK(lab::score_of(s, by.twice_p99.most, by).in_time == 1);
    CHECK(lab::score_of(s, by.p99_and_mean.most, by).in_time_strict == 1);
    CHECK(lab::score_of(s, run(s, 10'000).run, by).in_time < 0.1); // the queue is far too long
    CHECK(lab::score_of(s, run(s, 3).run, by).in_time == Approx(0.3).epsilon(0.1));
}

TEST_CASE("Where the load is light, to refuse nothing scores 1") {
    const scenario s = server(40, 0.3, 60);
    lab::oracle knows(s);
    const lab::yardstick by = knows.yardstick_for(1);
    CHECK(lab::score_of(s, run(s).run, by).in_time == Approx(1).epsilon(0.001));
}

// ---- Scenarios ----

TEST_CASE("Wild scenarios are the same every time, and have names of their own") {
    const std::vector<scenario> all = lab::wild_scenarios(2);
    const std::vector<scenario> again = lab::wild_scenarios(2);
    std::set<std::string> names, families;
    for (std::size_t i = 0; i < all.size(); ++i) {
        names.insert(all[i].name);
        families.insert(all[i].family);
        CHECK(all[i].name == again[i].name);
        CHECK(all[i].phases[0].rate == again[i].phases[0].rate);
        CHECK(all[i].phases[0].rate > 0);
    }
    CHECK(names.size() == all.size());
    CHECK(2 * families.size() == all.size());
    CHECK(families.size() >= 13);
}

// The geometric mean of S in the scenarios of that family.
double mean_in_time(const std::string& family, bool kinds_are_told) {
    double sum = 0;
    double count = 0;
    for (scenario s : lab::wild_scenarios(12)) {
        if (s.family != family)
            continue;
        s.kinds_are_told = kinds_are_told;
        lab::oracle knows(s);
        const lab::yardstick by = knows.yardstick_for(1);
        lab::virtual_clock::set({});
        std::vector<std::unique_ptr<lab::limiter>> one;
        one.push_back(std::make_unique<lab::guard_limiter<flowguard::vegas_strategy>>(
            flowguard::vegas_strategy(flowguard::vegas_options{.initial_limit = s.initial_limit})));
        sum += std::log(lab::score_of(s, lab::simulation(s, std::move(one), 1).run(), by).in_time);
        ++count;
    }
    return std::exp(sum / count);
}

TEST_CASE("A mix of kinds that shifts is controlled as well as one kind, if the kinds are told") {
    const double told = mean_in_time("kinds", true);
    const double not_told = mean_in_time("kinds", false);
    CAPTURE(told, not_told);
    CHECK(told > 0.94);
    CHECK(told > not_told);
}

} // namespace
