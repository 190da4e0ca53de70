// scripted_strategy.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_SCRIPTED_STRATEGY_HPP
#define FLOWGUARD_SUPPORT_SCRIPTED_STRATEGY_HPP

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard/limit_strategy.hpp"

namespace support {

// A strategy that answers each window with the next of its given plans, and repeats the last one for ever. It keeps the
// windows that it was asked about. A copy shares plans and windows with the original, so a test can look at them while
// a guard has the strategy.
class scripted_strategy {
public:
    explicit scripted_strategy(std::size_t initial_limit, std::deque<flowguard::plan> plans = {})
        : initial_limit_(initial_limit), script_(std::make_shared<script>(script{std::move(plans), {}})) {}

    std::size_t current_limit() const noexcept { return initial_limit_; }

    flowguard::plan update(const flowguard::window& w) {
        script_->windows.push_back(w);
        if (script_->plans.empty())
            return {initial_limit_};
        const flowguard::plan next = script_->plans.front();
        if (script_->plans.size() > 1)
            script_->plans.pop_front();
        return next;
    }

    const std::vector<flowguard::window>& windows() const noexcept { return script_->windows; }

private:
    struct script {
        std::deque<flowguard::plan> plans;
        std::vector<flowguard::window> windows;
    };

    std::size_t initial_limit_;
    std::shared_ptr<script> script_;
};

} // namespace support

#endif
