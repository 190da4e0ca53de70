// experiment.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_EXPERIMENT_HPP
#define LAB_EXPERIMENT_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "contenders.hpp"
#include "fleet.hpp"
#include "oracle.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "score.hpp"

namespace lab {

/// Runs `work(i)` for each i below `count`, on `threads` threads. After each, calls `progress` with how many are done.
inline void for_each_in_parallel(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work,
                                 const std::function<void(std::size_t done)>& progress) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::size_t done = 0;
    std::exception_ptr failure;
    const auto worker = [&] {
        for (std::size_t i; (i = next.fetch_add(1)) < count;) {
            try {
                work(i);
            } catch (...) {
                const std::scoped_lock lock(mutex);
                failure = std::current_exception();
                next = count;
            }
            const std::scoped_lock lock(mutex);
            progress(++done);
        }
    };
    {
        std::vector<std::jthread> pool;
        for (std::size_t t = 1; t < threads; ++t)
            pool.emplace_back(worker);
        worker();
    }
    if (failure)
        std::rethrow_exception(failure);
}

/// All contenders in one scenario.
struct result {
    scenario of;
    std::vector<std::vector<score>> scores; // by contender, by seed
    std::vector<record> runs;               // by contender, of the first seed; if kept
    record oracle_run;                      // with the smallest limits, of the first seed; if kept
};

struct experiment {
    std::vector<scenario> scenarios;
    std::vector<contender> who;
    std::size_t seeds = 1;
    std::size_t threads = 1;
    bool keep_runs = false; // for drawing

    std::vector<result> run(const std::function<void(std::size_t done)>& progress) const {
        std::vector<result> results(scenarios.size());
        for_each_in_parallel(
            scenarios.size(), threads, [&](std::size_t i) { results[i] = run_scenario(scenarios[i]); }, progress);
        return results;
    }

private:
    result run_scenario(const scenario& s) const {
        result r{.of = s, .scores = {who.size(), std::vector<score>(seeds)}, .runs = {}, .oracle_run = {}};
        oracle limits(s);
        for (std::size_t seed = 0; seed < seeds; ++seed) {
            yardstick by = limits.yardstick_for(seed + 1);
            for (std::size_t c = 0; c < who.size(); ++c) {
                const double share = who[c].oracle_share;
                record run = share > 0 ? limits.smallest_run(seed + 1, share) : run_fleet(s, who[c].make, seed + 1);
                r.scores[c][seed] = score_of(s, run, by);
                if (keep_runs && seed == 0)
                    r.runs.push_back(std::move(run));
            }
            if (keep_runs && seed == 0)
                r.oracle_run = std::move(by.smallest);
        }
        return r;
    }
};

} // namespace lab

#endif
