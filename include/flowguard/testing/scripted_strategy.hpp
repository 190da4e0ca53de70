// scripted_strategy.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTING_SCRIPTED_STRATEGY_HPP
#define FLOWGUARD_TESTING_SCRIPTED_STRATEGY_HPP

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// A strategy for tests: it answers each window with the next of its given plans, and repeats the last one for ever.
/// Without any plan, the limit stays what it is. A plain limit is a plan, too.
///
///     const flowguard::scripted_strategy strategy{1, {3, 2}};
///     flowguard::flow_guard guard{strategy, {.min_window = 1}}; // its limit is 1, then 3, then 2
///     ...
///     CHECK(strategy.windows().back().dropped == 1);
///
/// It keeps the windows that it was asked about. A copy shares plans and windows with the original, so that a test can
/// look at them while a guard has the strategy. For the same reason, flow_guard::reset() does not go back to the first
/// plan.
///
/// The guard checks the initial limit. It takes a plan with any limit: see plan::limit.
///
/// *Thread safety.* update() needs none: the guard calls it from one thread at a time. A test must call windows(), and
/// use what it returns, only while no call of the guard is admitted or ends on another thread.
class scripted_strategy {
public:
    explicit scripted_strategy(std::size_t initial_limit, std::deque<plan> plans = {})
        : initial_limit_(initial_limit), script_(std::make_shared<script>(script{std::move(plans), {}})) {}

    std::size_t current_limit() const noexcept { return initial_limit_; }

    plan update(const window& w) {
        script_->windows.push_back(w);
        if (script_->plans.empty())
            return {initial_limit_};
        const plan next = script_->plans.front();
        if (script_->plans.size() > 1)
            script_->plans.pop_front();
        return next;
    }

    /// The windows that this strategy and its copies were asked about, the oldest first.
    const std::vector<window>& windows() const noexcept { return script_->windows; }

private:
    struct script {
        std::deque<plan> plans;
        std::vector<window> windows;
    };

    std::size_t initial_limit_;
    std::shared_ptr<script> script_;
};

} // namespace flowguard

#endif
