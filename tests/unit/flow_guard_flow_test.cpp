// flow_guard_flow_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Flows of a guard's calls: run_options::flow.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace {

using namespace std::chrono_literals;
using support::manual_clock;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit, manual_clock>;

std::string sorted(std::string names) {
    std::sort(names.begin(), names.end());
    return names;
}

// A guard of one permit, which is held, and its waiters.
class flow_scene {
public:
    explicit flow_scene(flowguard::guard_options options = flowguard::guard_options::for_batch())
        : guard_(context_.get_executor(), flowguard::fixed_limit{1}, std::move(options)), held_(guard_.try_acquire()) {}

    auto end_of(char name) {
        return [this, name](flowguard::error_code e, guard_type::ticket t) {
            (e ? rejected : served) += name;
            if (e)
                errors.push_back(e);
            if (t)
                held_ = std::move(t);
        };
    }

    void wait(char name, std::optional<std::uint64_t> flow, guard_type::time_point deadline = never) {
        guard_.async_acquire(terms(flow, deadline), end_of(name));
        poll();
    }

    // The caller may give up.
    void wait(char name, std::optional<std::uint64_t> flow, asio::cancellation_signal& gives_up) {
        guard_.async_acquire(terms(flow, never), asio::bind_cancellation_slot(gives_up.slot(), end_of(name)));
        poll();
    }

    void poll() {
        context_.poll();
        context_.restart();
    }
    void pass(manual_clock::duration time) { support::pass(context_, time); }

    // Serves the waiters one by one.
    std::string serve_all() {
        while (held_) {
            guard_type::ticket t = std::move(held_);
            t.success();
            poll();
        }
        return served;
    }

    guard_type& operator*() { return guard_; }

    std::string served;
    std::string rejected;
    std::vector<flowguard::error_code> errors; // of those

private:
    static constexpr guard_type::time_point never = guard_type::time_point::max();

    static flowguard::run_options<flowguard::default_classifier, manual_clock> terms(std::optional<std::uint64_t> flow,
                                                                                     guard_type::time_point deadline) {
        flowguard::run_options<flowguard::default_classifier, manual_clock> how;
        how.deadline = deadline;
        how.flow = flow;
        return how;
    }

    asio::io_context context_{1};
    guard_type guard_;
    guard_type::ticket held_;
};

TEST_CASE("Flows take turns, and a single request of another flow waits for one turn") {
    flow_scene s;
    for (int i = 0; i < 1000; ++i)
        s.wait('a', 1);
    s.wait('b', 2);
    s.wait('c', 3);
    s.wait('n', std::nullopt);
    s.wait('n', std::nullopt);
    CHECK(s.serve_all().substr(0, 7) == "abcnana");
    CHECK(s.served.size() == 1004);
}

TEST_CASE("Waiters without a flow came first and count as one flow") {
    flow_scene s;
    for (const char c : std::string("nnn"))
        s.wait(c, std::nullopt);
    for (const char c : std::string("xyz"))
        s.wait(c, 7);
    CHECK(s.serve_all() == "nxnynz");
}

TEST_CASE("A full queue evicts a waiter of the longest flow, also for a caller without a flow") {
    for (const auto order : {flowguard::wait_order::adaptive, flowguard::wait_order::fifo}) {
        flowguard::guard_options options = flowguard::guard_options::for_batch();
        options.max_waiters = 4;
        options.order = order;
        flow_scene s(std::move(options));
        for (const char c : std::string("abcd"))
            s.wait(c, 1);
        s.wait('x', 2);
        s.wait('n', std::nullopt);
        s.wait('y', 3);
        CHECK(s.rejected == "dcb");
        CHECK(s.serve_all() == "axny");
    }
}

TEST_CASE("Keys that agree in many bits are told apart") {
    flow_scene s;
    for (int turn = 0; turn < 2; ++turn)
        for (int bit = 0; bit < 26; ++bit)
            s.wait(static_cast<char>('a' + bit), std::uint64_t{1} << (bit + 38));
    CHECK(s.serve_all() == "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
}

TEST_CASE("A close tells each waiter of each flow") {
    flow_scene s;
    s.wait('a', 1);
    s.wait('b', 1);
    s.wait('c', 2);
    s.wait('d', std::nullopt);
    (*s).close();
    CHECK((*s).waiting() == 0);
    s.poll();
    CHECK(s.served.empty());
    CHECK(sorted(s.rejected) == "abcd");
    for (const flowguard::error_code& e : s.errors)
        CHECK(e == flowguard::error::closed);
    CHECK((*s).stats().closed == 4);
}

TEST_CASE("A drain lets the waiters of all flows be served, in turns") {
    flow_scene s;
    s.wait('a', 1);
    s.wait('b', 1);
    s.wait('c', 2);
    bool drained = false;
    (*s).async_drain([&](flowguard::error_code e) { drained = !e; });
    s.poll();
    s.wait('x', 3); // the gate is closed
    CHECK(s.rejected == "x");
    CHECK_FALSE(drained);
    CHECK(s.serve_all() == "acb");
    s.poll();
    CHECK(drained);
}

TEST_CASE("Waiters of flows that are cancelled or reach their deadlines leave the turns of the others as they are") {
    flow_scene s;
    asio::cancellation_signal gives_up;
    s.wait('a', 1, manual_clock::now() + 10ms);
    s.wait('b', 1, gives_up);
    s.wait('c', 1);
    s.wait('x', 2);
    s.wait('y', 2, manual_clock::now() + 10ms);
    s.wait('z', 2);
    gives_up.emit(asio::cancellation_type::all);
    s.poll();
    CHECK(s.rejected == "b");
    s.pass(10ms);
    CHECK(sorted(s.rejected) == "aby");
    CHECK(s.serve_all() == "cxz");
    CHECK((*s).stats().timed_out == 2);
}

} // namespace

TEST_CASE("A free permit finds the waiter that is next once a flow's heavy waiter has been shed") {
    manual_clock::at = 0ms;
    asio::io_context context{1};
    guard_type guard{context.get_executor(), flowguard::fixed_limit{3}, {.target = 5ms, .interval = 20ms}};
    std::vector<guard_type::ticket> held;
    for (int i = 0; i < 3; ++i)
        held.push_back(guard.try_acquire());

    std::string ended;
    const auto wait = [&](char name, std::size_t permits, std::optional<std::uint64_t> flow) {
        flowguard::run_options<flowguard::default_classifier, manual_clock> how;
        how.permits = permits;
        how.flow = flow;
        guard.async_acquire(how, [&, name](flowguard::error_code e, guard_type::ticket t) {
            ended += {name, e ? '!' : '+', ' '};
            held.push_back(std::move(t));
        });
    };
    wait('a', 1, std::nullopt);
    wait('b', 3, std::nullopt);
    manual_clock::at = 10ms;
    wait('c', 1, 1);
    manual_clock::at = 25ms;
    // The queue stands now. First b is next, the newest of those without a flow, and too few permits are free for it.
    // When a has been shed, b's turn is later than c's, so b is shed, too.
    held[0].success();
    context.poll();
    CHECK(ended == "a! b! c+ ");
    CHECK(guard.waiting() == 0);
    CHECK(guard.in_flight() == 3);
}
