// any_strategy.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_ANY_STRATEGY_HPP
#define FLOWGUARD_STRATEGIES_ANY_STRATEGY_HPP

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// Holds a strategy whose type is known only when the program runs, for example because a configuration names it. All
/// guards with such a strategy have one type: flow_guard<any_strategy>.
///
///     flowguard::any_strategy strategy_of(const configuration& c) {
///         if (c.limit != 0)
///             return flowguard::fixed_limit{c.limit};
///         return flowguard::vegas_strategy{};
///     }
///     flowguard::flow_guard guard{strategy_of(c)};
///
/// Behaves as the strategy that it holds, with the same optional members: see limit_strategy. A copy holds a copy of
/// that strategy. A moved-from object may only be assigned to, or destroyed.
///
/// *Cost.* The constructor and a copy allocate memory once, and a move does not, nor does a call. A guard makes one
/// call for each window, so a call of a virtual function does not matter.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: as safe as the strategy.
class any_strategy {
public:
    /// Takes over a strategy, which must be copyable. Throws what its move constructor throws, and std::bad_alloc.
    template <class S>
        requires(!std::same_as<S, any_strategy> && limit_strategy<S> && std::copyable<S>)
    any_strategy(S strategy) // NOLINT(google-explicit-constructor)
        : held_(std::make_unique<holder<S>>(std::move(strategy))) {}

    any_strategy(const any_strategy& other) : held_(other.held_->copy()) {}
    any_strategy(any_strategy&&) noexcept = default;
    any_strategy& operator=(const any_strategy& other) { return *this = any_strategy(other); }
    any_strategy& operator=(any_strategy&&) noexcept = default;
    ~any_strategy() = default;

    /// The strategy's current limit.
    std::size_t current_limit() const { return held_->current_limit(); }

    /// The strategy's answer to a window.
    plan update(const window& w) { return held_->update(w); }

    /// The strategy's plan before any window; for a strategy that has none, its current limit.
    plan first_plan() const { return held_->first_plan(); }

    /// The RTT without queueing; 0 for a strategy that does not know it.
    duration baseline() const { return held_->baseline(); }

    /// Why the latest update() answered as it did; "" for a strategy that does not tell. A string that is never
    /// destroyed.
    const char* reason() const { return held_->reason(); }

private:
    struct interface {
        interface() = default;
        interface(const interface&) = delete;
        interface& operator=(const interface&) = delete;
        virtual ~interface() = default;

        virtual std::unique_ptr<interface> copy() const = 0;
        virtual std::size_t current_limit() const = 0;
        virtual plan update(const window& w) = 0;
        virtual plan first_plan() const = 0;
        virtual duration baseline() const = 0;
        virtual const char* reason() const = 0;
    };

    template <class S>
    struct holder final : interface {
        explicit holder(S s) : strategy(std::move(s)) {}

        std::unique_ptr<interface> copy() const override { return std::make_unique<holder>(strategy); }
        std::size_t current_limit() const override { return strategy.current_limit(); }
        plan update(const window& w) override { return strategy.update(w); }
        plan first_plan() const override {
            if constexpr (detail::has_first_plan<S>)
                return strategy.first_plan();
            else
                return {strategy.current_limit()};
        }
        duration baseline() const override {
            if constexpr (detail::tells_baseline<S>)
                return duration{strategy.baseline()};
            else
                return {};
        }
        const char* reason() const override {
            if constexpr (detail::tells_reason<S>)
                return strategy.reason();
            else
                return "";
        }

        S strategy;
    };

    std::unique_ptr<interface> held_;
};

static_assert(limit_strategy<any_strategy> && std::copyable<any_strategy>);

} // namespace flowguard

#endif
