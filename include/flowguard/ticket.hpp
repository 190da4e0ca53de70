// ticket.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TICKET_HPP
#define FLOWGUARD_TICKET_HPP

#include <utility>

#include "flowguard/detail/control/membership.hpp"
#include "flowguard/detail/control/ticket_issuer.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/outcome.hpp"

namespace flowguard {

template <limit_strategy Strategy, class Clock>
class flow_guard;

/// The right to run one task under a guard, for code that is not one coroutine: what flow_guard::async_acquire() and
/// try_acquire() return. Its type is the same for all guards, so it may be kept in a struct that knows no strategy.
///
/// Its holder reports once how the task ended, which releases the permit, or all permits of a heavy call. If the ticket
/// is destroyed without a report, they are released, and the task counts as ignored. The ticket of a long-lived task
/// holds a place instead of a permit; any report only returns the place. A ticket may outlive its guard; then its
/// report is not counted.
///
/// *Thread safety.* Distinct tickets: safe. One ticket: not safe.
class [[nodiscard]] ticket {
public:
    /// Holds nothing.
    ticket() noexcept = default;
    ticket(ticket&& other) noexcept : issuer_(std::exchange(other.issuer_, nullptr)), membership_(other.membership_) {}
    ticket& operator=(ticket&& other) noexcept {
        if (this != &other) {
            ignore();
            issuer_ = std::exchange(other.issuer_, nullptr);
            membership_ = other.membership_;
        }
        return *this;
    }
    ~ticket() { ignore(); }

    /// Whether it holds a permit, or the place of a long-lived task.
    explicit operator bool() const noexcept { return issuer_ != nullptr; }

    /// The task succeeded: its RTT, the time since admission, is a sample.
    void success() noexcept { finish(outcome::success); }
    /// The task's end says nothing about the load.
    void ignore() noexcept { finish(outcome::ignored); }
    /// The task failed because of overload: it timed out, or was rejected, or answered 503.
    void drop() noexcept { finish(outcome::dropped); }

    /// The same, with the outcome as a value. Has no effect on a ticket that holds nothing. Lock-free. Complexity:
    /// O(1), except for the last ticket of a window, which calls the strategy.
    void finish(outcome how) noexcept {
        if (auto* issuer = std::exchange(issuer_, nullptr))
            issuer->finish_ticket(membership_, how);
    }

private:
    template <limit_strategy Strategy, class Clock>
    friend class flow_guard;

    // Takes over a permit, or the place of a long-lived task, with a reference.
    ticket(detail::ticket_issuer& issuer, const detail::membership& m) noexcept : issuer_(&issuer), membership_(m) {}

    detail::ticket_issuer* issuer_ = nullptr;
    detail::membership membership_;
};

} // namespace flowguard

#endif
