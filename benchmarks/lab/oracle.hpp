// oracle.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_ORACLE_HPP
#define LAB_ORACLE_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "limiter.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "simulation.hpp"

namespace lab {

/// Limits that are set from outside, one for each phase.
class scheduled_limiter final : public sample_limiter {
public:
    explicit scheduled_limiter(std::vector<std::size_t> limits)
        : sample_limiter(static_cast<double>(limits.front())), limits_(std::move(limits)) {}

    void begin_phase(std::size_t phase) override {
        limit_ = static_cast<double>(limits_[std::min(phase, limits_.size() - 1)]);
    }

private:
    void learn(const sample&) override {}

    std::vector<std::size_t> limits_;
};

/// What could be had from a scenario by someone who knows it beforehand: for each phase, static limits are tried in
/// runs of that phase alone.
class oracle {
public:
    explicit oracle(const scenario& s) : scenario_(s) {
        for (const phase& p : s.phases) {
            const found limits = sweep(p);
            best_.push_back(limits.best);
            smallest_.push_back(limits.smallest);
        }
    }

    /// The limits with the most goodput.
    record best_run(std::uint64_t seed) const { return run(best_, seed); }

    /// The smallest limits with at least 95 % of that.
    record smallest_run(std::uint64_t seed) const { return run(smallest_, seed); }

    const std::vector<std::size_t>& smallest() const { return smallest_; }

private:
    struct found {
        std::size_t best, smallest;
    };

    record run(std::vector<std::size_t> limits, std::uint64_t seed) const {
        std::vector<std::unique_ptr<limiter>> one;
        one.push_back(std::make_unique<scheduled_limiter>(std::move(limits)));
        return simulation(scenario_, std::move(one), seed).run();
    }

    found sweep(const phase& p) const {
        scenario alone = scenario_;
        alone.phases = {p};
        alone.phases[0].length =
            std::max(std::min(p.length, enough_arrivals / std::max(p.rate, 1e-9)), whole_periods());
        std::map<std::size_t, double> tried;
        const auto goodput = [&](std::size_t limit) {
            if (const auto known = tried.find(limit); known != tried.end())
                return known->second;
            std::vector<std::unique_ptr<limiter>> one;
            one.push_back(std::make_unique<scheduled_limiter>(std::vector{limit}));
            const record r = simulation(alone, std::move(one), sweep_seed).run();
            return tried[limit] = r.succeeded(r.bins.size() / 5, r.bins.size());
        };

        const double useful = scenario_.shares()
                                  ? scenario_.best_concurrency()
                                  : p.workers * (1 + scenario_.downstream / (scenario_.service * p.slowdown));
        std::vector<std::size_t> grid;
        for (double l = std::max(1.0, useful / 8); l < 3 * useful + 40; l = std::max(l * 1.25, l + 1))
            grid.push_back(static_cast<std::size_t>(l));
        std::size_t best = grid.front();
        for (std::size_t l : grid)
            if (goodput(l) > goodput(best))
                best = l;

        const auto suffices = [&](std::size_t l) { return goodput(l) >= 0.95 * goodput(best); };
        std::size_t enough = *std::find_if(grid.begin(), grid.end(), suffices);
        std::size_t too_few = 0;
        for (std::size_t l : grid)
            if (l < enough)
                too_few = l;
        while (enough - too_few > std::max<std::size_t>(1, enough / 100)) {
            const std::size_t middle = (too_few + enough) / 2;
            (suffices(middle) ? enough : too_few) = middle;
        }
        return {best, enough};
    }

    double whole_periods() const {
        return std::max({2 * scenario_.stalls.every, 2 * scenario_.pulses.every,
                         scenario_.swing > 0 ? scenario_.swing_period : 0.0});
    }

    static constexpr double enough_arrivals = 60'000;
    static constexpr std::uint64_t sweep_seed = 1'000'003;

    scenario scenario_;
    std::vector<std::size_t> best_, smallest_;
};

} // namespace lab

#endif
