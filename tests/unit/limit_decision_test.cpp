// limit_decision_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/limit_decision.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <clocale>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "flowguard/detail/control/decision_trace.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::decision_trace;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::limit_decision;
using flowguard::plan;
using support::manual_clock;
using support::scripted_strategy;

// The limits of the decisions in the trace.
std::vector<std::size_t> limits_of(const std::vector<limit_decision>& decisions) {
    std::vector<std::size_t> limits;
    for (const limit_decision& d : decisions)
        limits.push_back(d.limit);
    return limits;
}

limit_decision with_limit(std::size_t limit) {
    limit_decision d;
    d.limit = limit;
    return d;
}

} // namespace

TEST_CASE("A trace keeps the latest decisions, the oldest first") {
    decision_trace trace{3};
    CHECK(trace.read().empty());
    trace.add(with_limit(1));
    trace.add(with_limit(2));
    CHECK(limits_of(trace.read()) == std::vector<std::size_t>{1, 2});
    for (std::size_t limit = 3; limit <= 8; ++limit)
        trace.add(with_limit(limit));
    CHECK(limits_of(trace.read()) == std::vector<std::size_t>{6, 7, 8});
}

TEST_CASE("A trace of length 0 keeps no decision") {
    decision_trace trace{0};
    trace.add(with_limit(1));
    CHECK(trace.read().empty());
}

TEST_CASE("A guard tells what its strategy saw, and why it decided so") {
    manual_clock::at = 10s;
    flow_guard<flowguard::vegas_strategy, manual_clock> guard{flowguard::vegas_strategy{4}};
    const auto window = [&](int admissions, manual_clock::duration rtt) {
        for (int left = admissions; left > 0;) {
            std::vector<decltype(guard)::ticket> held;
            for (auto t = guard.try_acquire(); t && left-- > 0; t = guard.try_acquire())
                held.push_back(std::move(t));
            manual_clock::at += rtt;
            for (auto& t : held)
                t.success();
        }
    };
    window(20, 10ms);
    const std::vector<limit_decision> trace = guard.trace();
    REQUIRE(trace.size() == 1);
    CHECK(trace[0].at == manual_clock::at);
    CHECK(trace[0].before == 4);
    CHECK(trace[0].limit == 16);
    CHECK(trace[0].probe == 0);
    CHECK(trace[0].samples == 20);
    CHECK(trace[0].dropped + trace[0].ignored == 0);
    CHECK(trace[0].mean_in_flight == Approx(4).epsilon(0.15));
    CHECK(trace[0].mean_rtt == 10ms);
    CHECK(trace[0].baseline_rtt == 10ms);
    CHECK(trace[0].reason == std::string("quick start: no queue yet"));
    CHECK(guard.stats().limit_reason == std::string("quick start: no queue yet"));
}

TEST_CASE("A guard tells of probes, and has no reason and no baseline if its strategy has none") {
    manual_clock::at = 0s;
    flow_guard<scripted_strategy, manual_clock> guard{scripted_strategy{9, {plan(3, 5, 9)}},
                                                      guard_options{.min_window = 1, .trace = 2}};
    for (int i = 0; i < 13; ++i)
        guard.try_acquire().success();
    const std::vector<limit_decision> trace = guard.trace();
    REQUIRE(trace.size() == 1);
    CHECK(trace[0].before == 9);
    CHECK(trace[0].probe == 3);
    CHECK(trace[0].limit == 9);
    CHECK(trace[0].reason == std::string());
    CHECK(trace[0].baseline_rtt == 0ns);
}

TEST_CASE("A decision has an empty reason if its strategy gives a null pointer") {
    struct silent : scripted_strategy {
        using scripted_strategy::scripted_strategy;
        static const char* reason() noexcept { return nullptr; }
    };
    flow_guard guard{silent{4}};
    while (guard.trace().empty())
        guard.try_acquire().success();
    CHECK(guard.trace().front().reason == std::string());
    CHECK(guard.stats().limit_reason == std::string());
}

TEST_CASE("A decision is printed as one line") {
    limit_decision d{.at = 12345ms,
                     .before = 20,
                     .limit = 40,
                     .reason = "quick start",
                     .samples = 100,
                     .dropped = 2,
                     .ignored = 1,
                     .mean_in_flight = 19.25,
                     .mean_rtt = 10100us,
                     .baseline_rtt = 10ms};
    CHECK(to_string(d) == "12.345 s: 20 -> 40, quick start; 100 samples, 2 dropped, 1 ignored, 19.2 in flight, RTT "
                          "10.100 ms, baseline 10.000 ms");
    d.probe = 6;
    CHECK(to_string(d).starts_with("12.345 s: 20 -> 40 after a probe to 6, quick start; "));
    d.limit = 1;
    d.spacing = 25ms;
    CHECK(to_string(d).starts_with("12.345 s: 20 -> 1 every 25.000 ms after a probe to 6, quick start; "));
}

TEST_CASE("A printed decision is the same in each locale, and is not cut off") {
    limit_decision d;
    d.mean_in_flight = std::numeric_limits<double>::max();
    CHECK(to_string(d).ends_with(".0 in flight, RTT 0.000 ms, baseline 0.000 ms"));
    d.mean_in_flight = 19.25;
    const std::string printed = to_string(d);
    const std::string before = std::setlocale(LC_ALL, nullptr);
    for (const char* locale : {"C", "", "de_DE", "de_DE.UTF-8", "fr_FR.UTF-8"}) // those that the system has
        if (std::setlocale(LC_ALL, locale) != nullptr)
            CHECK(to_string(d) == printed);
    std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE("A trace that is too long is rejected by name, value and range") {
    try {
        const flow_guard guard{flowguard::fixed_limit{1}, guard_options{.trace = 1'000'001}};
        FAIL("accepted");
    } catch (const std::invalid_argument& e) {
        CHECK(e.what() == std::string("flowguard: guard_options::trace is 1000001, must be in [0, 1000000]"));
    }
}
