// retry_budget.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_RETRY_BUDGET_HPP
#define API_CLIENT_RETRY_BUDGET_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace api_client {

/// Limits retries to a share of the requests, after Finagle's RetryBudget (K. Oliver: Retry Budgets,
/// https://finagle.github.io/blog/2016/02/08/retry-budgets/). With three tries for each request, a failing service gets
/// three times the load, just when it can bear least. With a budget of 20 %, it gets at most 1.2 times the load.
///
/// A request deposits a share of a token, and a retry withdraws one token. A few retries per second are free, so that a
/// client with few requests can retry as well. The savings are capped, so that a calm hour cannot pay for a storm of
/// retries. (In Finagle, deposits expire instead.)
///
/// So there are never more retries than  share × requests + minimum × (seconds + 1).
///
/// *Thread safety.* Safe, and lock-free.
class retry_budget {
public:
    using clock = std::chrono::steady_clock;

    /// `share` is the number of retries per request, `minimum` the number of free retries per second (at least 1), and
    /// `most_saved` the most tokens that are saved.
    retry_budget(double share, unsigned minimum, unsigned most_saved)
        : share_(share),
          minimum_(minimum),
          deposit_(static_cast<std::int64_t>(share * token)),
          most_(most_saved * token),
          free_each_((1'000'000'000 + minimum - 1) / minimum) {}

    void deposit() noexcept {
        std::int64_t before = saved_.load(std::memory_order_relaxed);
        while (!saved_.compare_exchange_weak(before, std::min(before + deposit_, most_), std::memory_order_relaxed)) {
        }
    }

    /// Spends a token for a retry; returns false if there is none.
    bool withdraw(clock::time_point now = clock::now()) noexcept {
        std::int64_t before = saved_.load(std::memory_order_relaxed);
        while (before >= token)
            if (saved_.compare_exchange_weak(before, before - token, std::memory_order_relaxed))
                return true;
        return withdraw_free(now.time_since_epoch());
    }

    /// The most retries that the budget allows.
    double most_retries(std::uint64_t requests, clock::duration time) const {
        return share_ * static_cast<double>(requests) + minimum_ * (std::chrono::duration<double>(time).count() + 1);
    }

private:
    static constexpr std::int64_t token = 1'000'000;

    // Spaces the free retries in time, by the generic cell rate algorithm. Those that were not used in the last second
    // may be used at once. The only state is the time at which the next one is due.
    bool withdraw_free(std::chrono::nanoseconds now) noexcept {
        std::int64_t due = free_due_.load(std::memory_order_relaxed);
        while (due <= now.count()) {
            const std::int64_t oldest = (now - std::chrono::seconds(1) + free_each_).count();
            const std::int64_t next = std::max(due, oldest) + free_each_.count();
            if (free_due_.compare_exchange_weak(due, next, std::memory_order_relaxed))
                return true;
        }
        return false;
    }

    const double share_;
    const unsigned minimum_;
    const std::int64_t deposit_, most_; // tokens are counted in millionths
    const std::chrono::nanoseconds free_each_;
    std::atomic<std::int64_t> saved_{0};
    std::atomic<std::int64_t> free_due_{0}; // since the clock's epoch
};

} // namespace api_client

#endif
