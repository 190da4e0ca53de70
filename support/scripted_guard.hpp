// scripted_guard.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Guards in the time of a clock that is set by hand, and calls of them.

#ifndef FLOWGUARD_SUPPORT_SCRIPTED_GUARD_HPP
#define FLOWGUARD_SUPPORT_SCRIPTED_GUARD_HPP

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace support {

// A guard that serves waiters in turn, with a limit of 10, whose first window, of 15 members, is
// closed at 9 h. So the first plan is in force.
struct scripted_guard {
    using guard_type = flowguard::flow_guard<scripted_strategy, manual_clock>;
    using ticket = guard_type::ticket;

    explicit scripted_guard(std::deque<flowguard::plan> plans) : strategy(10, std::move(plans)) {
        manual_clock::at = std::chrono::hours(9);
        guard.emplace(strategy, flowguard::guard_options{.min_window = 1, .order = flowguard::wait_order::fifo});
        call(15);
        REQUIRE(asked() == 1);
    }

    // Makes calls one after the other, each of which takes no time.
    void call(std::size_t times) { use_up(*guard, times); }

    // Makes calls that end with release(), or are ignored if they are destroyed.
    void hold(std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i)
            held.push_back(guard->try_acquire());
        REQUIRE(held.back());
    }

    void release() {
        for (ticket& t : held)
            t.success();
        held.clear();
    }

    // Makes calls that wait for a permit.
    void wait(asio::io_context& context, int calls) {
        for (int i = 0; i < calls; ++i)
            guard->async_acquire(asio::bind_executor(
                context, [this](flowguard::error_code, ticket granted) { served.push_back(std::move(granted)); }));
    }

    // How many windows the strategy was asked about, and the latest of them.
    std::size_t asked() const { return strategy.windows().size(); }
    const flowguard::window& latest() const { return strategy.windows().back(); }

    scripted_strategy strategy;
    std::optional<guard_type> guard;
    std::vector<ticket> held;
    std::vector<ticket> served;
};

// Makes as many calls as the limit admits, all of which succeed after `rtt`. Returns how many.
template <class Guard>
std::size_t make_round(Guard& guard, manual_clock::duration rtt) {
    std::vector<typename Guard::ticket> held;
    while (auto t = guard.try_acquire())
        held.push_back(std::move(t));
    manual_clock::at += rtt;
    for (auto& t : held)
        t.success();
    return held.size();
}

template <class Guard>
void make_rounds(Guard& guard, int rounds, manual_clock::duration rtt) {
    for (int i = 0; i < rounds; ++i)
        make_round(guard, rtt);
}

} // namespace support

#endif
