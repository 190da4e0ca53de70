// service_test.cpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The code of docs/testing.md: the unit tests of a service that uses a guard.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/testing.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;

template <class Guard>
class service {
public:
    using clock = typename Guard::clock_type;

    explicit service(Guard& guard, clock::duration backend_time) : guard_(guard), backend_time_(backend_time) {}

    asio::awaitable<std::string> get() {
        auto [error, rows] = co_await guard_.run_as_tuple([this] { return ask_backend(); });
        if (error)
            co_return (error == flowguard::error::task_timeout ? "504 " : "503 ") + error.message();
        co_return "200 " + std::to_string(*rows);
    }

private:
    asio::awaitable<int> ask_backend() {
        asio::basic_waitable_timer<clock> answer(co_await asio::this_coro::executor, backend_time_);
        co_await answer.async_wait(asio::use_awaitable);
        co_return 7;
    }

    Guard& guard_;
    clock::duration backend_time_;
};

using test_clock = flowguard::manual_clock<>;

// Requests to a service with one guard, and their answers.
template <class Strategy>
struct requests {
    using guard_type = flowguard::flow_guard<Strategy, test_clock>;

    explicit requests(Strategy strategy, flowguard::guard_options options = {})
        : guard(std::move(strategy), std::move(options)) {}

    // Makes requests, and runs what can run now.
    void make(int count) {
        for (int i = 0; i < count; ++i)
            asio::co_spawn(context, tested.get(), [this](const std::exception_ptr&, std::string answer) {
                answers.push_back(std::move(answer));
            });
        run();
    }

    // Sets the clock forward, and runs what can run then.
    void pass(test_clock::duration time) {
        test_clock::advance(time);
        run();
    }

    void run() {
        context.restart();
        context.poll();
    }

    guard_type guard;
    service<guard_type> tested{guard, 20ms};
    std::vector<std::string> answers;
    asio::io_context context; // the last member: tasks in it use the others
};

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("A request that waits too long for a permit is answered 503") {
    requests r(flowguard::fixed_limit{1}, {.max_wait = 15ms});
    r.make(2); // the second one waits
    CHECK(r.guard.waiting() == 1);
    r.pass(14ms);
    CHECK(r.answers.empty());
    r.pass(1ms);
    CHECK(r.answers == strings{"503 no permit came in time"});
    r.pass(5ms);
    CHECK(r.answers.back() == "200 7");
    CHECK(r.guard.in_flight() == 0);
}

TEST_CASE("A backend that does not answer within its time-out is a drop") {
    requests r(flowguard::fixed_limit{1}, {.timeout = 15ms});
    r.make(1);
    r.pass(15ms);
    CHECK(r.answers == strings{"504 the task took too long"});
    CHECK(r.guard.stats().dropped == 1);
}

TEST_CASE("A service serves no more requests at once than the limit") {
    requests r(flowguard::vegas_strategy{}); // the strategy of the service, whatever it is
    r.guard.pin_limit(2);
    r.make(5);
    CHECK(r.guard.in_flight() == 2);
    r.guard.pin_limit(4); // admits two waiters at once
    r.run();
    CHECK(r.guard.in_flight() == 4);
    r.pass(20ms);
    CHECK(r.answers.size() == 4);
    r.pass(20ms);
    CHECK(r.answers.size() == 5);
}

TEST_CASE("A scripted strategy lowers the limit of a service") {
    const flowguard::scripted_strategy strategy{3, {1, 2}};
    requests r(strategy, {.min_window = 1});
    while (strategy.windows().empty()) {
        r.make(1);
        r.pass(20ms);
    }
    CHECK(strategy.windows().back().all.mean == 20ms);
    CHECK(r.guard.current_limit() == 1);
    while (strategy.windows().size() < 2) {
        r.make(1);
        r.pass(20ms);
    }
    CHECK(r.guard.current_limit() == 2);
    CHECK(r.guard.stats().dropped == 0);
}
