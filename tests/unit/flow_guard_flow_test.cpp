// flow_guard_flow_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Flows of a guard's calls: run_options::flow.

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

namespace {

using flowguard::wait_order;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;

// A guard of one permit, which is held, and its waiters.
class flow_scene {
public:
    explicit flow_scene(flowguard::guard_options options = flowguard::guard_options::for_batch())
        : guard_(context_.get_executor(), flowguard::fixed_limit{1}, std::move(options)), held_(guard_.try_acquire()) {}

    void wait(char name, std::optional<std::uint64_t> flow) {
        flowguard::run_options<> how;
        how.flow = flow;
        guard_.async_acquire(how, [this, name](flowguard::error_code e, guard_type::ticket t) {
            (e ? rejected : served) += name;
            if (t)
                held_ = std::move(t);
        });
        context_.poll();
        context_.restart();
    }

    // Serves the waiters one by one.
    std::string serve_all() {
        while (held_) {
            guard_type::ticket t = std::move(held_);
            t.success();
            context_.poll();
            context_.restart();
        }
        return served;
    }

    guard_type& operator*() { return guard_; }

    std::string served;
    std::string rejected;

private:
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

TEST_CASE("A full queue evicts a waiter of the longest flow") {
    flowguard::guard_options options = flowguard::guard_options::for_batch();
    options.max_waiters = 3;
    flow_scene s(std::move(options));
    for (const char c : std::string("abc"))
        s.wait(c, 1);
    s.wait('x', 2);
    s.wait('y', 3);
    CHECK(s.rejected.size() == 2);
    CHECK(s.serve_all() == "axy");
}

TEST_CASE("Keys that agree in many bits are told apart") {
    flow_scene s;
    for (int turn = 0; turn < 2; ++turn)
        for (int bit = 0; bit < 26; ++bit)
            s.wait(static_cast<char>('a' + bit), std::uint64_t{1} << (bit + 38));
    CHECK(s.serve_all() == "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
}

TEST_CASE("A close ends the waiters of all flows") {
    flow_scene s;
    s.wait('a', 1);
    s.wait('b', 1);
    s.wait('c', 2);
    s.wait('d', std::nullopt);
    (*s).close();
    CHECK((*s).waiting() == 0);
}

} // namespace
