// lab_score_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The records of the lab, and the scores that it makes of them.

#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/score.hpp"
#include "lab/slots.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::record;
using lab::scenario;

TEST_CASE("Slots are reused") {
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

TEST_CASE("A quantile is a value below which that share of the values lies") {
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

TEST_CASE("Jain's index is 1 for equal shares, and 1 / n for a single winner") {
    CHECK(lab::jains_index({5, 5, 5, 5}) == Approx(1));
    CHECK(lab::jains_index({12, 0, 0, 0}) == Approx(0.25));
    CHECK(lab::jains_index({1, 3}) == Approx(0.8)); // 16 / (2 · 10)
    CHECK(lab::jains_index({1, 2, 3}) == Approx(36.0 / 42));
    CHECK(lab::jains_index({0, 0}) == 1);
    CHECK(lab::jains_index({7}) == 1);
}

TEST_CASE("Recovery is the time until the goodput stays up") {
    using lab::detail::recovery;
    std::vector<std::size_t> goodputs(40, 100);
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 0);

    std::fill_n(goodputs.begin(), 10, 0);
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 13); // when a run of four bins is up again
    CHECK(recovery(hand_made(goodputs, 20), 0, 40) == 6.5); // seconds, not bins
    CHECK(recovery(hand_made(goodputs, 40), 20, 40) == 0);
    CHECK(recovery(hand_made(goodputs, 40), 5, 40) == 8); // counted from the beginning of the phase

    goodputs[30] = 0; // the goodput falls again
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 34);
    goodputs[30] = 70; // not low enough to count: the runs with it have 92.5 %
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 13);

    std::fill(goodputs.begin(), goodputs.end(), 100);
    std::fill_n(goodputs.end() - 4, 4, 0); // it is down at the end
    CHECK(recovery(hand_made(goodputs, 40), 0, 40) == 40);
}

TEST_CASE("Oscillation is the variation of the limit") {
    using lab::detail::oscillation;
    record r = hand_made({1, 1, 1, 1});
    CHECK(oscillation(r, 0, 4) == 0);
    r.bins[0].limit = r.bins[2].limit = 5;
    r.bins[1].limit = r.bins[3].limit = 15;
    CHECK(oscillation(r, 0, 4) == Approx(0.5));
    CHECK(oscillation(r, 0, 1) == 0);
}

TEST_CASE("A score is relative to the oracle, and leaves out the warm-up") {
    scenario s;
    s.phases = {{.length = 5, .guards = 2}, {.length = 5, .guards = 2}};
    std::vector<std::size_t> half(100, 40);
    std::fill_n(half.begin(), 15, 0); // the warm-up
    record slow = hand_made(half);
    for (lab::bin& b : slow.bins)
        std::fill(b.rtts.begin(), b.rtts.end(), 0.75F);
    slow.succeeded_by_guard = {30, 10};
    const record best = hand_made(std::vector<std::size_t>(100, 80));

    // The slow answers are late in the second phase, and strictly in both.
    const lab::yardstick by{best, best, {best, {0.8, 0.6}}, {best, {0.6, 0.6}}};
    const lab::score worse = lab::score_of(s, slow, by);
    CHECK(worse.in_time == Approx(35 * 40.0 / (85 * 80)));
    CHECK(worse.in_time_strict == 0);
    CHECK(worse.goodput == Approx(0.5));
    CHECK(worse.p99 == Approx(1.5));
    CHECK(worse.rejected == Approx(0.2));
    CHECK(worse.recovery == 0.0); // the goodput of the second phase is even
    CHECK(worse.oscillation == 0);
    CHECK(worse.fairness == Approx(0.8));
    CHECK(worse.quality() == Approx(0.5 / 1.5));
    CHECK_FALSE(worse.is_good());

    std::fill_n(slow.bins.begin() + 50, 10, lab::bin{}); // the second phase begins badly
    slow.bins[80].limit = 30;
    const lab::score stepped = lab::score_of(s, slow, by);
    CHECK(stepped.recovery == Approx(1.3));
    CHECK(stepped.oscillation > 0.2);

    CHECK_FALSE(worse.least_share);
    s.compares_guards = true;
    const lab::score compared = lab::score_of(s, slow, by);
    CHECK(compared.least_share == Approx(0.5)); // 10 of 40, over a half
    CHECK_FALSE(compared.far_share);
    CHECK_FALSE(compared.static_share);
    CHECK_FALSE(compared.inner_oscillation);
    s.distance = 1;
    s.static_limit = 5;
    s.inner_guard = true;
    for (std::size_t i = 0; i < slow.bins.size(); ++i)
        slow.bins[i].inner_limit = i % 2 == 0 ? 5 : 15;
    const lab::score varied = lab::score_of(s, slow, by);
    CHECK(varied.far_share == Approx(0.5));
    CHECK(varied.static_share == Approx(1.5));
    CHECK(varied.inner_oscillation == Approx(0.5));
    s.compares_guards = false;

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

} // namespace
