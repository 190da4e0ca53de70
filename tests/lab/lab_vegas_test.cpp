// lab_vegas_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The default strategy in the lab, as users meet it: behind a real flow_guard.

#include "lab/contenders.hpp"
#include "lab/record.hpp"
#include "lab/scenario.hpp"
#include "lab/simulation.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

TEST_CASE("vegas_strategy finds the limit of a server from any start") {
    const std::size_t workers = GENERATE(as<std::size_t>{}, 4, 40, 400);
    const std::size_t initial_limit = GENERATE(as<std::size_t>{}, 1, 4, 10, 100);
    const double load = GENERATE(0.5, 2.0);

    lab::scenario s;
    s.initial_limit = initial_limit;
    const double capacity = s.capacity(static_cast<double>(workers));
    s.phases = {
        {.length = workers == 400 ? 8.0 : 20.0, .rate = load * capacity, .workers = static_cast<double>(workers)}};
    lab::virtual_clock::set({});
    std::vector<std::unique_ptr<lab::limiter>> front;
    front.push_back(lab::contenders().front().make(initial_limit, 1));
    const lab::record r = lab::simulation(s, std::move(front), 1).run();

    // Of the second half.
    const std::size_t begin = r.bins.size() / 2;
    const std::size_t end = r.bins.size();
    const double length = r.length / 2;
    const double goodput = r.succeeded(begin, end) / length;
    const double offered = r.sum(begin, end, [](const lab::bin& b) { return b.offered; }) / length;
    double rtts = 0;
    for (std::size_t i = begin; i < end; ++i)
        for (const float rtt : r.bins[i].rtts)
            rtts += static_cast<double>(rtt);
    const double mean_rtt = rtts / (goodput * length);
    const double limit =
        r.sum(begin, end, [](const lab::bin& b) { return b.limit; }) / static_cast<double>(end - begin);

    INFO(workers << " workers, start at " << initial_limit << ", load " << load << ": goodput " << goodput / capacity
                 << ", RTT " << mean_rtt / s.service << ", limit " << limit);
    CHECK(goodput >= 0.9 * std::min(capacity, offered));
    CHECK(mean_rtt <= 2.5 * s.service);
    if (load > 1) {
        CHECK(limit >= 0.7 * static_cast<double>(workers));
        CHECK(limit <= 3 * static_cast<double>(workers));
    }
}

TEST_CASE("vegas_strategy follows a small service that becomes slower, and has more workers") {
    const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 2, 3);
    const auto services = GENERATE(lab::spread::fixed, lab::spread::exponential);
    const double slowdown = GENERATE(3.0, 5.0);
    const std::uint64_t seed = GENERATE(as<std::uint64_t>{}, 1, 2, 3, 4);

    lab::scenario s;
    s.services = services;
    const auto before = static_cast<double>(workers);
    const double rate = 2 * s.capacity(before); // 1.5 or 2.5 times the capacity afterwards
    s.phases = {{.length = 30, .rate = rate, .workers = before},
                {.length = 30 * slowdown, .rate = rate, .workers = 4 * before, .slowdown = slowdown}};
    lab::virtual_clock::set({});
    std::vector<std::unique_ptr<lab::limiter>> front;
    front.push_back(lab::contenders().front().make(0, 1));
    const lab::record r = lab::simulation(s, std::move(front), seed).run();

    // The last third of the second phase. The limit from before would serve a quarter of the capacity, and one that
    // falls and falls, because everything looks queued, a hundredth.
    const std::size_t end = r.bins.size();
    const std::size_t begin = r.bin_at(r.length - 10 * slowdown);
    const double goodput = r.succeeded(begin, end) / (10 * slowdown);
    const double capacity = s.capacity(4 * before, slowdown);
    INFO(workers << " workers, slower by " << slowdown << ", spread " << static_cast<int>(services) << ", seed " << seed
                 << ": goodput " << goodput / capacity);
    CHECK(goodput >= 0.4 * capacity);
}

} // namespace
