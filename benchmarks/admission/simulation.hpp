// simulation.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef ADMISSION_SIMULATION_HPP
#define ADMISSION_SIMULATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "lab/time.hpp"
#include "support/asio.hpp"
#include "support/event_queue.hpp"
#include "support/random_numbers.hpp"

namespace admission {

using lab::duration;
using lab::time_point;
using lab::virtual_clock;

/// A service with workers, its guard, and its clients. The clients arrive at random; their rate does not depend on the
/// answers. What is admitted beyond the number of workers waits for a worker, first come, first served.
struct setup {
    flowguard::guard_options options{};
    std::size_t initial_limit = 0; ///< of a guard that finds its limit; 0: the limit is the number of workers
    std::size_t workers = 10;
    double service = 0.010;      ///< mean of a task's time, which is exponential; seconds
    double load = 2;             ///< the offered load, divided by the capacity
    double timeout = 0.1;       ///< for how long after its request a client can use an answer; seconds
    bool clients_cancel = false; ///< whether a client then cancels its call
    double length = 60;          ///< seconds
    std::uint64_t seed = 1;

    std::size_t modest_tenants = 0; ///< how many tenants share what the greedy one leaves of the load; 0: no tenants
    double greedy_load = 0;         ///< what the greedy tenant offers, divided by the capacity; a part of `load`
    bool flows = false;             ///< whether each call names its tenant as its flow

    double capacity() const { return static_cast<double>(workers) / service; }
};

/// What the requests of some tenants got.
struct tenants_outcome {
    std::size_t offered = 0;
    std::size_t in_time = 0;
    std::vector<double> waits{}; ///< for a permit, of the requests that got one, in ascending order; seconds

    /// The wait that a `part` of the requests did not exceed; 0 < part <= 1. Precondition: one of them got a permit.
    double wait(double part) const {
        return waits.at(static_cast<std::size_t>(std::ceil(part * static_cast<double>(waits.size()))) - 1);
    }
};

/// How the requests ended.
struct outcome {
    std::size_t offered = 0;
    std::size_t in_time = 0;
    std::size_t late = 0; ///< answered, but too late to be of use
    std::size_t shed = 0;
    std::size_t cancelled = 0;
    double time_to_rejection = 0; ///< mean of the requests that were shed; seconds

    double goodput = 0; ///< the rate of answers in time, divided by the capacity

    tenants_outcome modest{}; ///< all tenants but the greedy one
    tenants_outcome greedy{}; ///< the greedy tenant; without tenants, all requests
};

/// Runs a real guard, with its queue of waiters, in virtual time.
class simulation {
public:
    explicit simulation(const setup& s)
        : setup_(s), random_(s.seed), guard_(strategy_of(s), s.options), idle_workers_(s.workers) {}

    outcome run() {
        virtual_clock::set({});
        schedule(next_arrival(), [this] { arrive(); });
        while (!events_.empty()) {
            virtual_clock::set(events_.next_time());
            const auto happen = events_.take();
            happen();
            context_.restart();
            context_.poll();
        }
        result_.goodput = static_cast<double>(result_.in_time) / (setup_.capacity() * setup_.length);
        if (result_.shed > 0)
            result_.time_to_rejection /= static_cast<double>(result_.shed);
        for (tenants_outcome* of : {&result_.modest, &result_.greedy})
            std::sort(of->waits.begin(), of->waits.end());
        return result_;
    }

private:
    using guard_type = flowguard::flow_guard<flowguard::any_strategy, virtual_clock>;
    using ticket = guard_type::ticket;

    static constexpr std::size_t greedy_tenant = 0;

    struct request {
        std::size_t tenant = greedy_tenant;
        time_point enqueued_at = virtual_clock::now();
        asio::cancellation_signal gives_up;
    };

    struct work {
        std::shared_ptr<request> of;
        std::shared_ptr<ticket> held;
        duration time;
    };

    static flowguard::any_strategy strategy_of(const setup& s) {
        if (s.initial_limit == 0)
            return flowguard::fixed_limit{s.workers};
        return flowguard::vegas_strategy{s.initial_limit};
    }

    void schedule(duration after, std::function<void()> happen) {
        events_.plan(virtual_clock::now() + after, std::move(happen));
    }

    duration next_arrival() { return lab::seconds(random_.exponential() / (setup_.load * setup_.capacity())); }

    void arrive() {
        if (virtual_clock::now().time_since_epoch() > lab::seconds(setup_.length))
            return; // the requests that wait are still served
        schedule(next_arrival(), [this] { arrive(); });
        ++result_.offered;
        auto r = std::make_shared<request>();
        r->tenant = any_tenant();
        ++of_tenant(*r).offered;
        flowguard::run_options<flowguard::default_classifier, virtual_clock> how;
        if (setup_.flows)
            how.flow = r->tenant;
        const auto end_wait = [this, r](flowguard::error_code e, ticket t) {
            if (t)
                serve(r, std::move(t));
            else
                reject(*r, e);
        };
        guard_.async_acquire(how,
                             asio::bind_executor(context_, asio::bind_cancellation_slot(r->gives_up.slot(), end_wait)));
        if (setup_.clients_cancel)
            schedule(lab::seconds(setup_.timeout), [r] { r->gives_up.emit(asio::cancellation_type::terminal); });
    }

    std::size_t any_tenant() {
        if (setup_.modest_tenants == 0 || random_.uniform() * setup_.load < setup_.greedy_load)
            return greedy_tenant;
        return 1 + random_.below(setup_.modest_tenants);
    }

    tenants_outcome& of_tenant(const request& r) { return r.tenant == greedy_tenant ? result_.greedy : result_.modest; }

    void serve(const std::shared_ptr<request>& r, ticket t) {
        of_tenant(*r).waits.push_back(time_of(*r));
        admitted_.push_back(
            {r, std::make_shared<ticket>(std::move(t)), lab::seconds(setup_.service * random_.exponential())});
        occupy_workers();
    }

    void occupy_workers() {
        while (idle_workers_ > 0 && !admitted_.empty()) {
            --idle_workers_;
            const work w = std::move(admitted_.front());
            admitted_.pop_front();
            schedule(w.time, [this, w] {
                ++idle_workers_;
                w.held->success();
                answer(*w.of);
                occupy_workers();
            });
        }
    }

    void answer(const request& r) {
        if (time_of(r) > setup_.timeout) {
            ++result_.late;
            return;
        }
        ++result_.in_time;
        ++of_tenant(r).in_time;
    }

    void reject(const request& r, flowguard::error_code why) {
        if (why == flowguard::error::shed) {
            ++result_.shed;
            result_.time_to_rejection += time_of(r);
        } else {
            ++result_.cancelled;
        }
    }

    static double time_of(const request& r) { return lab::in_seconds(virtual_clock::now() - r.enqueued_at); }

    const setup setup_;
    support::random_numbers random_;
    asio::io_context context_{1};
    guard_type guard_;
    std::size_t idle_workers_;
    std::deque<work> admitted_; // waits for a worker
    support::event_queue<std::function<void()>, time_point> events_;
    outcome result_;
};

} // namespace admission

#endif
