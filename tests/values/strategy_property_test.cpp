// strategy_property_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "support/strategy_property.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "support/byte_source.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using support::declared;
using support::limits;
using support::ordinary_window;
using support::random_bytes;
using support::watched;

TEMPLATE_LIST_TEST_CASE("A strategy stays in its bounds and recovers, whatever windows say", "",
                        support::all_strategies) {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        const auto bytes = random_bytes(seed, 2500); // some 55 windows
        INFO("seed " << seed);
        REQUIRE(support::violation<TestType>(bytes, 50) == "");
    }
}

// Random bytes seldom make the same window many times in a row.
TEMPLATE_LIST_TEST_CASE("A strategy stays in its bounds when the same hostile window comes again and again", "",
                        support::all_strategies) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        const auto bytes = random_bytes(seed, 200);
        support::byte_source from(bytes);
        watched<TestType> strategy(support::limits_from(from));
        const flowguard::window w = support::window_from(from, strategy.limit());
        INFO("seed " << seed);
        for (int i = 0; i < 100; ++i) {
            strategy.update(w);
            REQUIRE(strategy.wrong() == "");
        }
        strategy.overload();
        strategy.recovers();
        REQUIRE(strategy.wrong() == "");
    }
}

TEMPLATE_LIST_TEST_CASE("A strategy survives a window with one impossible field", "", support::all_strategies) {
    using flowguard::window;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double denormal = std::numeric_limits<double>::denorm_min();
    const std::vector<void (*)(window&)> spoil{
        [](window& w) { w.all.samples = 0; },
        [](window& w) { w.all.samples = SIZE_MAX; },
        [](window& w) { w.dropped = SIZE_MAX; },
        [](window& w) { w = ordinary_window(w.limit, 10ms, 10ms, 255); }, // all drops
        [](window& w) { w.all.mean = 0ns; },
        [](window& w) { w.all.mean = -1ns; },
        [](window& w) { w.all.mean = duration::min(); },
        [](window& w) { w.all.mean = duration::max(); },
        [](window& w) { w.length = w.admitting = -1h; },
        [](window& w) { w.length = w.admitting = 0ns; },
        [](window& w) { w.closed_at = duration::min(); },
        [](window& w) { w.closed_at = duration::max(); },
        [](window& w) { w.spacing = duration::min(); },
        [](window& w) { w.spacing = 1ns; },
        [](window& w) { w.spacing = duration::max(); },
        [](window& w) { w.limit = 0; },
        [](window& w) { w.limit = SIZE_MAX; },
        [](window& w) { ++w.limit; },
        [](window& w) { w.max_in_flight = 0; },
        [](window& w) { w.max_in_flight = 2 * w.limit; },
        [](window& w) { w.mean_in_flight = 2 * static_cast<double>(w.limit); },
        [](window& w) { w.mean_in_flight = -1; },
        [](window& w) { w.mean_in_flight = nan; },
        [](window& w) { w.mean_in_flight = infinity; },
        [](window& w) { w.mean_in_flight = denormal; },
        [](window& w) { w.all.histogram = {}; },
        [](window& w) { w.low.samples = SIZE_MAX; },
        [](window& w) { w.all.kinds[3] = {SIZE_MAX, duration::max()}; },
        [](window& w) { w.all.kinds[0] = w.all.kinds[3] = {1, -1ns}; },
    };
    for (std::size_t i = 0; i < spoil.size(); ++i) {
        watched<TestType> strategy(limits{2, 500, 20});
        INFO("field " << i);
        for (int n = 0; n < 20; ++n) {
            strategy.update(ordinary_window(strategy.window_limit(), 10ms, 50ms));
            flowguard::window w = ordinary_window(strategy.window_limit(), 10ms, 50ms);
            spoil[i](w);
            strategy.update(w);
        }
        REQUIRE(strategy.wrong() == "");
        strategy.overload();
        strategy.recovers();
        REQUIRE(strategy.wrong() == "");
    }
}

TEMPLATE_LIST_TEST_CASE("A strategy at a bound stays there", "", support::all_strategies) {
    const std::size_t bound = GENERATE(as<std::size_t>{}, 1, 7, flowguard::max_limit);
    watched<TestType> strategy(limits{bound, bound, bound});
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const auto bytes = random_bytes(seed, 100);
        support::byte_source from(bytes);
        strategy.update(support::window_from(from, bound));
        REQUIRE(strategy.wrong() == "");
        REQUIRE(strategy.limit() == bound);
    }
}

TEMPLATE_LIST_TEST_CASE("A strategy rises from its lowest limit within the windows it declares", "",
                        support::all_strategies) {
    const std::size_t min = GENERATE(as<std::size_t>{}, 1, 4, 100);
    const limits l{min, 100'000, std::max<std::size_t>(min, 50)};
    if (declared<TestType>::kept(l).min == declared<TestType>::kept(l).max)
        SUCCEED("its limit does not change");
    else {
        watched<TestType> strategy(l);
        for (int i = 0; i < 12; ++i) // the strategy learns the RTT without queueing
            strategy.update(ordinary_window(strategy.window_limit(), 10ms, 50ms));
        strategy.overload();
        CHECK(strategy.limit() <= std::max(min, declared<TestType>::lowest));
        CHECK(strategy.recovers());
        CHECK(strategy.wrong() == "");
        CHECK(strategy.limit() >= 10 * min);
    }
}

// ---- The check itself ----

// A strategy that does one thing wrong, at the third window.
struct wrong_strategy {
    enum class fault { below, above, leap, fall, probe, endless, stuck };
    static inline fault how = fault::below;

    std::size_t limit = 100;
    int windows = 0;

    std::size_t current_limit() const { return limit; }
    flowguard::plan update(const flowguard::window&) {
        if (++windows != 3)
            return limit;
        switch (how) {
        case fault::below:
            return limit = 9;
        case fault::above:
            return limit = 1001;
        case fault::leap:
            return limit = 202;
        case fault::fall:
            return limit = 48;
        case fault::probe:
            return {5, 60, 100};
        case fault::endless:
            return {100, 1'000'000};
        case fault::stuck:
            return limit;
        }
        return limit;
    }
};

} // namespace

template <>
struct support::declared<wrong_strategy> {
    static constexpr const char* name = "wrong_strategy";
    static constexpr bool restores_after_outage = false;
    static wrong_strategy make(const limits&) { return {}; }
    static limits kept(const limits& l) { return l; }
    static step step_from(const limits&, std::size_t, std::size_t) { return {0.5, 2, 1}; }
    static duration perfect_rtt(const wrong_strategy&) { return 10ms; }
    static std::size_t recovery(std::size_t, duration) { return 10; }
};

namespace {

TEST_CASE("The property finds each kind of wrong strategy") {
    using fault = wrong_strategy::fault;
    const auto what = [](fault f) {
        wrong_strategy::how = f;
        watched<wrong_strategy> strategy(limits{20, 1000, 100});
        for (int i = 0; i < 3; ++i)
            strategy.update(ordinary_window(100, 10ms, 50ms));
        if (strategy.wrong().empty())
            strategy.recovers();
        return strategy.wrong();
    };
    using Catch::Matchers::StartsWith;
    CHECK_THAT(what(fault::below), StartsWith("wrong_strategy: limit: window 3, limit 100, now 9"));
    CHECK_THAT(what(fault::above), StartsWith("wrong_strategy: limit: window 3, limit 100, now 1001"));
    CHECK_THAT(what(fault::leap), StartsWith("wrong_strategy: rise"));
    CHECK_THAT(what(fault::fall), StartsWith("wrong_strategy: fall"));
    CHECK_THAT(what(fault::probe), StartsWith("wrong_strategy: planned limit"));
    CHECK_THAT(what(fault::endless), StartsWith("wrong_strategy: window too long"));
    CHECK_THAT(what(fault::stuck), StartsWith("wrong_strategy: no recovery"));
}

TEST_CASE("Bytes make windows of every kind") {
    std::size_t empty = 0, all_dropped = 0, backwards = 0, not_numbers = 0, wrong_limits = 0, ordinary = 0;
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        const auto bytes = random_bytes(seed, 100);
        support::byte_source from(bytes);
        const flowguard::window w = support::window_from(from, 100);
        empty += w.all.samples == 0 && w.dropped == 0 ? 1U : 0U;
        all_dropped += w.all.samples == 0 && w.dropped > 0 ? 1U : 0U;
        backwards += w.length < 0ns ? 1U : 0U;
        not_numbers += w.mean_in_flight == 100 || w.mean_in_flight <= 200 ? 0U : 1U;
        wrong_limits += w.limit != 100 ? 1U : 0U;
        ordinary += w.limit == 100 && w.all.samples == 100 && w.mean_in_flight == 100 ? 1U : 0U;
    }
    for (const std::size_t count : {empty, all_dropped, backwards, not_numbers, wrong_limits, ordinary})
        CHECK(count >= 10);
}

} // namespace
