// rtt_histogram_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/rtt_histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using flowguard::rtt_buckets;
using flowguard::rtt_histogram;

constexpr nanoseconds last_edge{std::int64_t{1} << 42}; // 73 minutes: where the last bucket ends

double relative_error(nanoseconds estimate, nanoseconds exact) {
    const auto value = static_cast<double>(exact.count());
    return std::abs(static_cast<double>(estimate.count()) - value) / std::max(value, 1.0);
}

// Samples from 1 ns to an hour. Each order of magnitude is equally likely.
std::vector<nanoseconds> spread_values(std::size_t count, std::uint32_t seed) {
    std::mt19937_64 random{seed};
    std::uniform_real_distribution<double> magnitude{0.0, std::log(3.6e12)};
    std::vector<nanoseconds> values;
    for (std::size_t i = 0; i < count; ++i)
        values.emplace_back(static_cast<std::int64_t>(std::exp(magnitude(random))));
    return values;
}

// By definition: the least sample such that at least a share q of all samples is not above it.
nanoseconds exact_quantile(std::vector<nanoseconds> samples, double q) {
    std::sort(samples.begin(), samples.end());
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(samples.size())));
    return samples[std::max<std::size_t>(rank, 1) - 1];
}

TEST_CASE("A bucket's middle is at most 1/16 from every value in it") {
    double worst = 0;
    for (std::int64_t ns = 1; ns < 100'000; ++ns) {
        const double middle = rtt_buckets::middle_of(rtt_buckets::index_of(nanoseconds{ns}));
        worst = std::max(worst, std::abs(middle - static_cast<double>(ns)) / static_cast<double>(ns));
    }
    for (const nanoseconds value : spread_values(200'000, 1)) {
        const double middle = rtt_buckets::middle_of(rtt_buckets::index_of(value));
        const auto exact = static_cast<double>(value.count());
        worst = std::max(worst, std::abs(middle - exact) / exact);
    }
    CHECK(worst <= 1.0 / 16);
    CHECK(worst > 1.0 / 17); // the bound is tight, so these values do test it
}

TEST_CASE("Values below 16 ns have a bucket each") {
    for (std::int64_t ns = 0; ns < 16; ++ns)
        CHECK(rtt_buckets::index_of(nanoseconds{ns}) == static_cast<std::size_t>(ns));
}

TEST_CASE("Bucket indices never fall as values rise, and no index is left out") {
    std::size_t previous = 0;
    for (std::int64_t ns = 0; ns < 1'000'000; ++ns) {
        const std::size_t index = rtt_buckets::index_of(nanoseconds{ns});
        if (index != previous && index != previous + 1)
            FAIL("from " << previous << " to " << index << " at " << ns << " ns");
        previous = index;
    }
}

TEST_CASE("A bucket's middle lies in that bucket") {
    for (std::size_t i = 0; i < rtt_buckets::count; ++i) {
        const auto middle = static_cast<std::int64_t>(rtt_buckets::middle_of(i));
        CHECK(rtt_buckets::index_of(nanoseconds{middle}) == i);
    }
}

TEST_CASE("The last bucket takes all values above 73 minutes") {
    CHECK(rtt_buckets::index_of(last_edge - 1ns) == rtt_buckets::count - 1);
    CHECK(rtt_buckets::index_of(last_edge) == rtt_buckets::count - 1);
    CHECK(rtt_buckets::index_of(last_edge * 2) == rtt_buckets::count - 1);
    CHECK(rtt_buckets::index_of(nanoseconds{std::numeric_limits<std::int64_t>::max()}) == rtt_buckets::count - 1);
    CHECK(rtt_buckets::index_of(60min) < rtt_buckets::count - 1);
}

TEST_CASE("A negative value counts as 0") {
    CHECK(rtt_buckets::index_of(-1ns) == 0);
    CHECK(rtt_buckets::index_of(nanoseconds{std::numeric_limits<std::int64_t>::min()}) == 0);
}

TEST_CASE("A histogram without samples returns 0 for everything") {
    const rtt_histogram h;
    CHECK(h.total() == 0);
    CHECK(h.quantile(0) == 0ns);
    CHECK(h.quantile(0.5) == 0ns);
    CHECK(h.quantile(1) == 0ns);
    CHECK(h.variation() == 0);
}

TEST_CASE("Quantiles are within 7 % of those of the sorted samples") {
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{2}, std::size_t{10}, std::size_t{999}, std::size_t{20'000}}) {
        const std::vector<nanoseconds> samples = spread_values(count, 7);
        rtt_histogram h;
        for (const nanoseconds s : samples)
            h.add(s);
        REQUIRE(h.total() == count);
        for (const double q : {0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
            CAPTURE(count, q);
            CHECK(relative_error(h.quantile(q), exact_quantile(samples, q)) <= 0.07);
        }
    }
}

TEST_CASE("A quantile moves to the next sample exactly where its share is passed") {
    rtt_histogram h;
    h.add(3ns, 1);
    h.add(5ns, 2);
    h.add(7ns, 1);
    CHECK(h.total() == 4);
    CHECK(h.quantile(0) == 3ns);
    CHECK(h.quantile(0.25) == 3ns);
    CHECK(h.quantile(0.26) == 5ns);
    CHECK(h.quantile(0.75) == 5ns);
    CHECK(h.quantile(0.76) == 7ns);
    CHECK(h.quantile(1) == 7ns);
}

TEST_CASE("A share below 0 counts as 0, and one above 1 as 1") {
    rtt_histogram h;
    h.add(3ns);
    h.add(7ns);
    CHECK(h.quantile(-1) == 3ns);
    CHECK(h.quantile(2) == 7ns);
    CHECK(h.quantile(std::numeric_limits<double>::infinity()) == 7ns);
    CHECK(h.quantile(std::numeric_limits<double>::quiet_NaN()) == 3ns);
}

TEST_CASE("Extreme values have quantiles at the ends of the range") {
    rtt_histogram h;
    h.add(-5s);
    h.add(0ns);
    CHECK(h.quantile(0) == 0ns);
    CHECK(h.quantile(1) == 0ns);
    h.add(nanoseconds{std::numeric_limits<std::int64_t>::max()});
    CHECK(h.total() == 3);
    CHECK(h.quantile(0.5) == 0ns);
    CHECK(h.quantile(1) > 68min);
    CHECK(h.quantile(1) < 74min);
}

TEST_CASE("Buckets can be filled by index") {
    rtt_histogram by_value;
    rtt_histogram by_index;
    for (const nanoseconds value : spread_values(100, 3)) {
        by_value.add(value, 2);
        by_index.add_to_bucket(rtt_buckets::index_of(value), 2);
    }
    CHECK(by_index.total() == 200);
    for (const double q : {0.0, 0.3, 0.5, 1.0})
        CHECK(by_index.quantile(q) == by_value.quantile(q));
}

TEST_CASE("The buckets that have samples are visited in ascending order") {
    rtt_histogram h;
    h.add(1ms, 2);
    h.add(5us);
    h.add(1h, 3);
    std::vector<std::pair<std::size_t, std::uint64_t>> visited;
    h.for_each([&](std::size_t index, std::uint64_t count) { visited.emplace_back(index, count); });
    CHECK(visited == std::vector<std::pair<std::size_t, std::uint64_t>>{{rtt_buckets::index_of(5us), 1},
                                                                        {rtt_buckets::index_of(1ms), 2},
                                                                        {rtt_buckets::index_of(1h), 3}});
    rtt_histogram{}.for_each([](std::size_t, std::uint64_t) { FAIL("a histogram without samples has a bucket"); });
}

TEST_CASE("Variation is the standard deviation over the mean") {
    rtt_histogram two_values; // 2 and 6: mean 4, deviation 2
    two_values.add(2ns, 50);
    two_values.add(6ns, 50);
    CHECK(two_values.variation() == Approx(0.5));

    std::mt19937_64 random{11};
    std::exponential_distribution<double> exponential{1e-6}; // its deviation equals its mean
    std::normal_distribution<double> normal{1e6, 2e5};
    rtt_histogram wide;
    rtt_histogram narrow;
    for (int i = 0; i < 200'000; ++i) {
        wide.add(nanoseconds{static_cast<std::int64_t>(exponential(random))});
        narrow.add(nanoseconds{static_cast<std::int64_t>(normal(random))});
    }
    CHECK(wide.variation() == Approx(1.0).epsilon(0.03));
    CHECK(narrow.variation() == Approx(0.2).epsilon(0.05));
}

TEST_CASE("Variation is 0 for equal samples, a single one, and zeros") {
    rtt_histogram equal;
    equal.add(123us, 1000);
    CHECK(equal.variation() == Approx(0.0).margin(1e-6));

    rtt_histogram single;
    single.add(5ms);
    CHECK(single.variation() == 0);

    rtt_histogram zeros;
    zeros.add(0ns, 10);
    CHECK(zeros.variation() == 0);
}

} // namespace
