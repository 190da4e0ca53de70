// oracle.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_ORACLE_HPP
#define LAB_ORACLE_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "limiter.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "score.hpp"
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

/// Finds what a scenario allows if it is known beforehand. For each phase, the oracle tries static limits in runs of
/// that phase alone.
class oracle {
public:
    /// The share of the best goodput that smallest() has to reach by default.
    static constexpr double enough = 0.95;

    explicit oracle(const scenario& s) : scenario_(s) {
        for (const phase& p : s.phases)
            phases_.emplace_back(s, p);
    }

    /// A run with the limits that have the most goodput.
    record best_run(std::uint64_t seed) {
        return run(of_each_phase([](sweep& p) { return p.best(); }), seed);
    }

    /// A run with the limits of smallest(share).
    record smallest_run(std::uint64_t seed, double share = enough) { return run(smallest(share), seed); }

    /// For each phase, how long an answer may take to be in time, and a run with the limits that have the most of them.
    in_time_yardstick in_time(punctuality which, std::uint64_t seed) {
        return {run(of_each_phase([which](sweep& p) { return p.most_in_time(which); }), seed),
                of_each_phase([which](sweep& p) { return p.longest_in_time(which); })};
    }

    /// What a run with these arrivals is compared with.
    yardstick yardstick_for(std::uint64_t seed) {
        return {best_run(seed), smallest_run(seed), in_time(punctuality::twice_p99, seed),
                in_time(punctuality::p99_and_mean, seed)};
    }

    /// For each phase, the smallest limit that reaches this share of the most goodput.
    std::vector<std::size_t> smallest(double share = enough) {
        return of_each_phase([share](sweep& p) { return p.smallest(share); });
    }

private:
    class sweep;

    template <class F>
    std::vector<std::invoke_result_t<F, sweep&>> of_each_phase(F ask) {
        std::vector<std::invoke_result_t<F, sweep&>> all;
        for (sweep& p : phases_)
            all.push_back(ask(p));
        return all;
    }

    static std::vector<std::unique_ptr<limiter>> one_with(std::vector<std::size_t> limits) {
        std::vector<std::unique_ptr<limiter>> one;
        one.push_back(std::make_unique<scheduled_limiter>(std::move(limits)));
        return one;
    }

    record run(std::vector<std::size_t> limits, std::uint64_t seed) const {
        return simulation(scenario_, one_with(std::move(limits)), seed).run();
    }

    /// Tries the limits in one phase.
    class sweep {
    public:
        sweep(const scenario& s, const phase& p) : alone_(s) {
            alone_.phases = {p};
            alone_.phases[0].length =
                std::max(std::min(p.length, enough_arrivals / std::max(p.rate, 1e-9)), whole_periods());
            double useful =
                s.shares() && !s.shares_processors
                    ? s.best_concurrency()
                    : p.workers * (1 + (s.downstream + s.distance / 2 + s.front_service) / (s.service * p.slowdown));
            if (s.batch > 0)
                useful = 2 * static_cast<double>(s.batch);
            useful = useful * (1 + s.ignored * s.ignored_time / s.service) + s.watches;
            const double p99 = unloaded_p99();
            longest_in_time_ = {2 * p99, p99 + s.service * p.slowdown};
            for (double l = std::max(1.0, useful / 8); l < 3 * useful + 40; l = std::max(l * 1.25, l + 1))
                grid_.push_back(static_cast<std::size_t>(l));
            best_ = limit_with_most([](const outcome_of_limit& o) { return o.goodput; });
            for (std::size_t i = 0; i < most_in_time_.size(); ++i)
                most_in_time_[i] = limit_with_most([i](const outcome_of_limit& o) { return o.in_time[i]; });
        }

        double longest_in_time(punctuality which) const { return longest_in_time_[static_cast<std::size_t>(which)]; }
        std::size_t most_in_time(punctuality which) const { return most_in_time_[static_cast<std::size_t>(which)]; }
        std::size_t best() const { return best_; }

        std::size_t smallest(double share) {
            const auto suffices = [&](std::size_t l) { return goodput(l) >= share * goodput(best_); };
            const auto first = std::find_if(grid_.begin(), grid_.end(), suffices);
            std::size_t many = *first;
            std::size_t too_few = first == grid_.begin() ? 0 : *std::prev(first);
            while (many - too_few > std::max<std::size_t>(1, many / 100)) {
                const std::size_t middle = (too_few + many) / 2;
                (suffices(middle) ? many : too_few) = middle;
            }
            return many;
        }

    private:
        struct outcome_of_limit {
            double goodput;
            std::array<double, 2> in_time; // by punctuality
        };

        // The lowest, if several have as much.
        template <class F>
        std::size_t limit_with_most(F what) {
            return *std::max_element(grid_.begin(), grid_.end(), [&](std::size_t a, std::size_t b) {
                return what(try_limit(a)) < what(try_limit(b));
            });
        }

        double goodput(std::size_t limit) { return try_limit(limit).goodput; }

        outcome_of_limit try_limit(std::size_t limit) {
            if (const auto known = tried_.find(limit); known != tried_.end())
                return known->second;
            const record r = simulation(alone_, one_with({limit}), sweep_seed).run();
            const std::size_t first = r.bins.size() / 5, end = r.bins.size();
            return tried_[limit] = {
                       r.succeeded(first, end),
                       {r.in_time(first, end, longest_in_time_[0]), r.in_time(first, end, longest_in_time_[1])}};
        }

        // With one request at a time, and nothing else.
        double unloaded_p99() const {
            scenario calm = alone_;
            calm.ignored = calm.watches = 0;
            calm.outages = {};
            const record r = simulation(calm, one_with({1}), sweep_seed).run();
            const double p99 = r.p99(r.bins.size() / 5, r.bins.size());
            return calm.time_out > 0 ? std::min(p99, 0.49 * calm.time_out) : p99; // no answer is later
        }

        double whole_periods() const {
            return std::max({2 * alone_.stalls.every, 2 * alone_.pulses.every, 2 * alone_.outages.every,
                             alone_.swing > 0 ? alone_.swing_period : 0.0});
        }

        static constexpr double enough_arrivals = 60'000;
        static constexpr std::uint64_t sweep_seed = 1'000'003;

        scenario alone_;
        std::vector<std::size_t> grid_;
        std::map<std::size_t, outcome_of_limit> tried_;
        std::size_t best_ = 0;
        std::array<std::size_t, 2> most_in_time_{}; // by punctuality
        std::array<double, 2> longest_in_time_{};
    };

    scenario scenario_;
    std::vector<sweep> phases_;
};

} // namespace lab

#endif
