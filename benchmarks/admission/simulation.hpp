// simulation.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef ADMISSION_SIMULATION_HPP
#define ADMISSION_SIMULATION_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

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

    double capacity() const { return static_cast<double>(workers) / service; }
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
        return result_;
    }

private:
    using guard_type = flowguard::flow_guard<flowguard::any_strategy, virtual_clock>;
    using ticket = guard_type::ticket;

    struct request {
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
        guard_.async_acquire(asio::bind_executor(
            context_, asio::bind_cancellation_slot(r->gives_up.slot(), [this, r](flowguard::error_code e, ticket t) {
                if (t)
                    serve(r, std::move(t));
                else
                    reject(*r, e);
            })));
        if (setup_.clients_cancel)
            schedule(lab::seconds(setup_.timeout), [r] { r->gives_up.emit(asio::cancellation_type::terminal); });
    }

    void serve(const std::shared_ptr<request>& r, ticket t) {
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
                ++(time_of(*w.of) <= setup_.timeout ? result_.in_time : result_.late);
                occupy_workers();
            });
        }
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
