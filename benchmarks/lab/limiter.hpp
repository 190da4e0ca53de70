// limiter.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_LIMITER_HPP
#define LAB_LIMITER_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "slots.hpp"
#include "time.hpp"

namespace lab {

using flowguard::outcome;

/// The simulation puts limiters in front of a server, and asks one for each request. A limiter reads the time from
/// virtual_clock.
class limiter {
public:
    limiter() = default;
    limiter(const limiter&) = delete;
    limiter& operator=(const limiter&) = delete;
    virtual ~limiter() = default;

    /// Admits a request and returns a name for it, valid until finish(); returns nothing if it rejects the request.
    virtual std::optional<std::size_t> try_acquire() = 0;

    /// Tells the kind of the requests that try_acquire() is asked for next. Only few limiters can use it.
    virtual void tell_kind(std::size_t /*kind*/) {}

    /// To be called once for each admitted request.
    virtual void finish(std::size_t request, outcome how) = 0;

    virtual std::size_t limit() const = 0;
    virtual std::size_t in_flight() const = 0;

    /// With a limit below one: the mean time between two admissions, in seconds; otherwise 0. A request that waits may
    /// then be admitted although none has finished.
    virtual double spacing() const { return 0; }

    /// Tells that phase `phase` of the scenario begins, which no real limiter could know.
    virtual void begin_phase(std::size_t /*phase*/) {}
};

/// Makes the limiter of one guard.
using limiter_factory = std::function<std::unique_ptr<limiter>(std::size_t initial_limit, std::uint64_t seed)>;

/// A real flow_guard.
template <flowguard::limit_strategy Strategy>
class guard_limiter final : public limiter {
public:
    // No caller waits in the guard: the simulation has a queue of its own.
    explicit guard_limiter(Strategy strategy) : guard_(std::move(strategy), {.order = flowguard::wait_order::fifo}) {}

    std::optional<std::size_t> try_acquire() override {
        if (auto ticket = guard_.try_acquire({.kind = kind_}))
            return tickets_.put(std::move(ticket));
        return std::nullopt;
    }
    void tell_kind(std::size_t kind) override { kind_ = kind; }
    void finish(std::size_t request, outcome how) override { tickets_.take(request).finish(how); }

    std::size_t limit() const override { return guard_.current_limit(); }
    std::size_t in_flight() const override { return guard_.in_flight(); }
    double spacing() const override { return in_seconds(guard_.stats().spacing); }

private:
    using guard = flowguard::flow_guard<Strategy, virtual_clock>;

    guard guard_;
    slots<typename guard::ticket> tickets_;
    std::size_t kind_ = 0; // of the next request
};

/// A limiter that admits a request while fewer than the limit are in flight, and learns from each request as soon as it
/// is done. Most of the published limiters work in this way.
class sample_limiter : public limiter {
public:
    explicit sample_limiter(double initial_limit) : limit_(initial_limit) {}

    std::optional<std::size_t> try_acquire() override {
        before_admission();
        if (in_flight_ >= limit())
            return std::nullopt;
        ++in_flight_;
        return admitted_.put({virtual_clock::now(), in_flight_});
    }

    void finish(std::size_t request, outcome how) override {
        const admission a = admitted_.take(request);
        const std::size_t in_flight = in_flight_--;
        learn({virtual_clock::now() - a.at, a.in_flight, in_flight, how == outcome::dropped});
    }

    std::size_t limit() const override { return static_cast<std::size_t>(std::max(1.0, std::floor(limit_))); }
    std::size_t in_flight() const override { return in_flight_; }

protected:
    struct sample {
        duration rtt;
        std::size_t in_flight; // when it was admitted, itself included
        std::size_t in_flight_at_end; // when it was done, itself included
        bool dropped; // timed out
    };

    /// Learns from a finished request, and sets limit_.
    virtual void learn(const sample& s) = 0;

    /// For limits that change with time.
    virtual void before_admission() {}

    double limit_;

private:
    struct admission {
        time_point at;
        std::size_t in_flight;
    };

    std::size_t in_flight_ = 0;
    slots<admission> admitted_;
};

} // namespace lab

#endif
