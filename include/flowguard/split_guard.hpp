// split_guard.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SPLIT_GUARD_HPP
#define FLOWGUARD_SPLIT_GUARD_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/own_executor.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/share.hpp"
#include "flowguard/detail/base/thread_number.hpp"
#include "flowguard/detail/control/joined_drain.hpp"
#include "flowguard/detail/control/stats_sum.hpp"
#include "flowguard/drain_options.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"

namespace flowguard {

namespace detail {

struct use_of_split_guards;

} // namespace detail

/// A guard in several parts, for a service that is called by many threads, which would get in each other's way at one
/// guard: see docs/scaling.md. Each part is a flow_guard, with memory of its own. Threads that use different parts
/// write no common memory.
///
///     flowguard::split_guard guard{8, flowguard::vegas_strategy{}, {.max_waiters = 800}};
///
///     asio::awaitable<void> handle(request r) {
///         auto rows = co_await guard.local().run(query_database(r));
///         co_await reply(r, rows);
///     }
///
/// *Limits.* What the constructor, pin_limit() and set_limit_bounds() take is for all parts together, and each part
/// gets a share. The shares are equal, but for one permit. After the start, each part has its own copy of the strategy,
/// and finds its own limit. The parts do not talk to each other. With the default strategy, they probe at common
/// instants, as a fleet of guards does: see docs/fleets.md, and docs/scaling.md for what a split costs.
///
/// *When not.* A caller waits for a permit of its own part, even if another part has one free. Parts with limits below
/// about 10 keep a longer queue at the service than one guard would. Under an overload, the parts may have unequal
/// limits for minutes. So take as few parts as the threads need, and one guard if that is fast enough.
///
/// *Thread safety.* All functions may be called on any thread, at any time, except for construction and destruction. A
/// function that is for all parts visits one part after the other, and its effect is not atomic: others may see that it
/// has reached some parts only. If two threads change all parts by hand at the same time, each part has one of the two
/// changes, and not all need to have the same one.
///
/// *Observers* of guard_options are copied to each part. So two parts may call on_decision at the same time. An
/// observer must not destroy the split guard: a function that is for all parts may still have parts to visit. Nor may
/// it use the split guard while that is being destroyed: some parts may be gone when another part ends its waiting
/// calls.
///
/// *Memory.* That of as many flow_guards as it has parts.
///
/// *Strategy*, *Clock*, *completion*, *cancellation* and *lifetime*: as for flow_guard.
template <limit_strategy Strategy = vegas_strategy, class Clock = std::chrono::steady_clock>
class split_guard {
public:
    using executor_type = asio::any_io_executor;
    using strategy_type = Strategy;
    using clock_type = Clock;
    using guard_type = flow_guard<Strategy, Clock>;
    using ticket = flowguard::ticket;

    /// A guard of `parts` parts, in [1, max_parts]. As many parts as threads is best; fewer are enough if the threads
    /// do much between two calls. Each part has a share of the limits of `whole`: its first limit, and its least and
    /// highest limit. Of the options, `max_waiters` and `max_long_lived` are shared as well; unless they are 0, each
    /// part has at least 1. All other options are those of each part.
    ///
    /// A first limit below `parts` makes each part start at 1. Throws std::invalid_argument for another number out of
    /// range, and if the highest limit is less than `parts`. A strategy of your own needs a member `part`: see
    /// limit_strategy.
    explicit split_guard(std::size_t parts, const Strategy& whole = Strategy(), const guard_options& options = {})
        requires detail::has_parts<Strategy>
        : split_guard(parts, [&](std::size_t index) { return whole.part(index, parts); }, options) {}

    /// The same, with an executor for handlers that have none.
    split_guard(asio::any_io_executor executor, std::size_t parts, const Strategy& whole = Strategy(),
                const guard_options& options = {})
        requires detail::has_parts<Strategy>
        : split_guard(
              std::move(executor), parts, [&](std::size_t index) { return whole.part(index, parts); }, options) {}

    /// The same, but `make(index)` makes the strategy of each part: for a strategy without a member `part`, such as
    /// any_strategy. Throws what it throws.
    ///
    ///     split_guard guard{4, [&](std::size_t) { return any_strategy{fixed_limit{c.limit / 4}}; }};
    template <std::invocable<std::size_t> Make>
    split_guard(std::size_t parts, Make make, const guard_options& options = {}) {
        fill(parts, options, [&](std::size_t index, guard_options of_part) {
            return std::make_unique<guard_type>(make(index), std::move(of_part));
        });
    }
    template <std::invocable<std::size_t> Make>
    split_guard(asio::any_io_executor executor, std::size_t parts, Make make, const guard_options& options = {})
        : serves_any_handler_(true) {
        fill(parts, options, [&](std::size_t index, guard_options of_part) {
            return std::make_unique<guard_type>(executor, make(index), std::move(of_part));
        });
    }

    split_guard(const split_guard&) = delete;
    split_guard& operator=(const split_guard&) = delete;
    ~split_guard() = default;

    /// The executor that the guard was made with; otherwise Asio's system_executor.
    executor_type get_executor() const noexcept { return parts_.front()->get_executor(); }

    /// The part of the calling thread: always the same one. Threads get their parts when they first call local() of any
    /// split_guard, in turn. So as many threads as there are parts have a part each, if they first call it one after
    /// the other, and no other thread does so in between. If there are more threads than parts, several threads share a
    /// part. To decide yourself who uses which part, take part(index).
    ///
    /// A call may go on, and end, on any thread. Complexity: O(1), some nanoseconds.
    guard_type& local() noexcept {
        const std::size_t number = detail::thread_number<detail::use_of_split_guards>();
        return *parts_[number < parts_.size() ? number : number % parts_.size()];
    }

    /// The part with that index, which must be less than parts(); else throws std::invalid_argument. Any thread may use
    /// it. For what is not for all parts, such as flow_guard::trace().
    guard_type& part(std::size_t index) { return *parts_[detail::check_range("the part", index, 0, parts() - 1)]; }
    const guard_type& part(std::size_t index) const {
        return *parts_[detail::check_range("the part", index, 0, parts() - 1)];
    }

    /// How many parts there are.
    std::size_t parts() const noexcept { return parts_.size(); }

    /// The sum of the limits of all parts. Complexity of this function and all that follow: that of the function of
    /// flow_guard with that name, for each part.
    std::size_t current_limit() const noexcept {
        return sum([](const guard_type& g) { return g.current_limit(); });
    }

    /// The sums of what all parts have; see flow_guard.
    std::size_t available_permits() const noexcept {
        return sum([](const guard_type& g) { return g.available_permits(); });
    }
    std::size_t in_flight() const noexcept {
        return sum([](const guard_type& g) { return g.in_flight(); });
    }
    std::size_t waiting() const noexcept {
        return sum([](const guard_type& g) { return g.waiting(); });
    }

    /// Whether all parts are idle: see flow_guard::is_idle().
    bool is_idle() const noexcept {
        return std::all_of(parts_.begin(), parts_.end(), [](const auto& p) { return p->is_idle(); });
    }

    /// The stats of all parts together: what one guard would have counted. Counters and histograms are sums, and so are
    /// the limit, its bounds, and what is in flight, waiting, or available. `pinned` tells whether a part is pinned.
    /// `spacing`, `limit_reason`, and the times of the last window, such as rtt_mean and baseline_rtt, do not add up:
    /// they are 0 or empty. Each part has its own: `part(i).stats()`.
    guard_stats stats() const noexcept {
        guard_stats all;
        all.min_limit = all.max_limit = 0;
        for (const auto& p : parts_) {
            const guard_stats s = p->stats();
            detail::add_counters(all, s);
            detail::add_gauges(all, s);
            all.min_limit += s.min_limit;
            all.max_limit += s.max_limit;
        }
        all.max_limit = (std::min)(all.max_limit, max_limit);
        return all;
    }

    /// Pins the limits of all parts, to shares of `limit`, which must be in [parts(), max_limit]; else throws
    /// std::invalid_argument. See flow_guard::pin_limit().
    void pin_limit(std::size_t limit) {
        detail::check_range("limit", limit, parts(), max_limit);
        for_each([&](guard_type& g, std::size_t index) { g.pin_limit(detail::share_of(limit, index, parts())); });
    }

    /// Ends that for all parts. See flow_guard::unpin_limit().
    void unpin_limit() noexcept {
        for_each([](guard_type& g, std::size_t) { g.unpin_limit(); });
    }

    /// Sets the bounds of all parts, to shares of `min`, each at least 1, and of `max`. They must be in [1, max_limit],
    /// and `max` at least `min` and parts(); else throws std::invalid_argument. See flow_guard::set_limit_bounds().
    void set_limit_bounds(std::size_t min, std::size_t max) {
        detail::check_range("min", min, 1, max_limit);
        detail::check_range("max", max, (std::max)(min, parts()), max_limit);
        for_each([&](guard_type& g, std::size_t index) {
            g.set_limit_bounds(detail::positive_share_of(min, index, parts()), detail::share_of(max, index, parts()));
        });
    }

    /// Resets all parts: see flow_guard::reset(). If copying a strategy throws, the parts before that one are reset.
    void reset()
        requires std::copyable<Strategy>
    {
        for_each([](guard_type& g, std::size_t) { g.reset(); });
    }

    /// Closes all parts: see flow_guard::close().
    void close() noexcept {
        for_each([](guard_type& g, std::size_t) { g.close(); });
    }

    /// Ends the waiting calls of one execution context, in all parts: see flow_guard::cancel_waiting().
    void cancel_waiting(asio::execution_context& context) {
        for_each([&](guard_type& g, std::size_t) { g.cancel_waiting(context); });
    }

    /// Drains all parts, as flow_guard::async_drain() drains one, and completes once, when the drains of all parts have
    /// ended. Completion signature: `void(error_code)`. The error is that of the part that had one first.
    ///
    /// A cancellation reaches all parts. For the handler, its executor, and what is thrown, see there. But after
    /// std::bad_alloc, some parts may be closed; reopen() opens them again.
    template <asio::completion_token_for<void(error_code)> Token = asio::default_completion_token_t<executor_type>>
    auto async_drain(Token&& token = asio::default_completion_token_t<executor_type>()) {
        return async_drain(drain_options{}, std::forward<Token>(token));
    }
    template <asio::completion_token_for<void(error_code)> Token = asio::default_completion_token_t<executor_type>>
    auto async_drain(drain_options options, Token&& token = asio::default_completion_token_t<executor_type>()) {
        detail::check_least("drain_options::timeout", options.timeout, 0);
        return asio::async_initiate<Token, void(error_code)>(initiate_drain{this}, token, options);
    }

    /// Reopens all parts: see flow_guard::reopen(). If that throws, the parts before that one are open.
    void reopen() {
        for_each([](guard_type& g, std::size_t) { g.reopen(); });
    }

    /// Whether all parts reject new calls: see flow_guard::is_closed().
    bool is_closed() const noexcept {
        return std::all_of(parts_.begin(), parts_.end(), [](const auto& p) { return p->is_closed(); });
    }

private:
    struct initiate_drain {
        using executor_type = asio::any_io_executor;
        const split_guard* self;

        executor_type get_executor() const noexcept { return self->get_executor(); }

        template <class Handler>
        void operator()(Handler&& handler, const drain_options& options) const {
            detail::check_executor_of_handler<Handler>(self->serves_any_handler_);
            using joined_drain = detail::joined_drain<std::decay_t<Handler>, executor_type>;
            const auto joined =
                std::make_shared<joined_drain>(std::forward<Handler>(handler), get_executor(), self->parts());
            joined->pass_on_cancellation();
            // The handler may destroy the guard on another thread, as soon as the last drain has started.
            const std::size_t parts = self->parts();
            for (std::size_t index = 0; index < parts; ++index) {
                self->parts_[index]->async_drain(options, typename joined_drain::part_handler(joined, index));
                joined->has_started(index);
            }
        }
    };

    template <class MakeGuard>
    void fill(std::size_t parts, const guard_options& options, MakeGuard make_guard) {
        detail::check_range("the number of parts", parts, 1, max_parts);
        parts_.reserve(parts);
        for (std::size_t index = 0; index < parts; ++index)
            parts_.push_back(make_guard(index, options_of_part(options, index, parts)));
    }

    static guard_options options_of_part(const guard_options& options, std::size_t index, std::size_t parts) {
        guard_options of_part = options;
        if (options.max_waiters != (std::numeric_limits<std::size_t>::max)()) // bounded
            of_part.max_waiters = detail::positive_share_of(options.max_waiters, index, parts);
        of_part.max_long_lived = detail::positive_share_of(options.max_long_lived, index, parts);
        return of_part;
    }

    template <class F>
    void for_each(F f) const {
        for (std::size_t index = 0; index < parts_.size(); ++index)
            f(*parts_[index], index);
    }

    template <class F>
    std::size_t sum(F of_one) const noexcept {
        std::size_t all = 0;
        for (const auto& p : parts_)
            all += of_one(*p);
        return all;
    }

    bool serves_any_handler_ = false; // whether an executor was given
    std::vector<std::unique_ptr<guard_type>> parts_; // constant after construction, so all threads may read it
};

template <std::invocable<std::size_t> Make>
split_guard(std::size_t, Make, const guard_options& = {}) -> split_guard<std::invoke_result_t<Make&, std::size_t>>;
template <std::invocable<std::size_t> Make>
split_guard(asio::any_io_executor, std::size_t, Make, const guard_options& = {})
    -> split_guard<std::invoke_result_t<Make&, std::size_t>>;

} // namespace flowguard

#endif
