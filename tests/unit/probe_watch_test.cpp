// probe_watch_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/control/probe_watch.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>

#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::detail::probe_watch;
using support::manual_clock;
using support::pass;

struct scene {
    asio::io_context context;
    probe_watch watch;
    int ends = 0;

    void start(manual_clock::duration length) {
        watch.start<manual_clock>(context.get_executor(), manual_clock::now() + length, [this] { ++ends; });
    }
};

} // namespace

TEST_CASE("A watch ends once, when its time is over") {
    scene s;
    s.start(10ms);
    pass(s.context, 10ms - 1ns);
    CHECK(s.ends == 0);
    pass(s.context, 1ns);
    CHECK(s.ends == 1);
    pass(s.context, 1h);
    CHECK(s.ends == 1);
}

TEST_CASE("Only one watch runs at a time: a second one is not started if it would end later") {
    scene s;
    s.start(10ms);
    s.start(10ms);
    s.start(1h);
    pass(s.context, 10ms - 1ns);
    CHECK(s.ends == 0);
    pass(s.context, 1ns);
    CHECK(s.ends == 1);
    pass(s.context, 2h);
    CHECK(s.ends == 1);
}

TEST_CASE("A watch that ends earlier takes the place of another, also on another context") {
    scene s;
    asio::io_context other;
    int earlier_ends = 0;
    s.start(10ms);
    s.watch.start<manual_clock>(other.get_executor(), manual_clock::now() + 1ms, [&] { ++earlier_ends; });
    s.context.run(); // its timer was cancelled
    CHECK(s.ends == 0);
    CHECK_FALSE(s.watch.leave(&s.context));
    pass(other, 1ms);
    CHECK(earlier_ends == 1);
    pass(s.context, 9ms);
    CHECK(s.ends == 0);
    CHECK(earlier_ends == 1);
}

TEST_CASE("A watch that is cancelled does not end, and keeps no context running") {
    scene s;
    s.start(10ms);
    s.watch.cancel();
    s.watch.cancel();
    s.context.run();
    CHECK(s.ends == 0);
}

TEST_CASE("After retire() no watch runs, and none is started") {
    scene s;
    s.start(10ms);
    s.watch.retire();
    s.start(10ms);
    s.context.run();
    CHECK(s.ends == 0);
}

TEST_CASE("The end of a cancelled watch is not mistaken for the end of the next one") {
    scene s;
    for (int i = 0; i < 3; ++i) {
        s.start(10ms); // it may have the address of the watch before, whose handler is not called yet
        s.watch.cancel();
    }
    s.start(10ms);
    pass(s.context, 1ms);
    CHECK(s.ends == 0);
    pass(s.context, 9ms);
    CHECK(s.ends == 1);
}

TEST_CASE("A watch ends when its context is destroyed") {
    probe_watch watch;
    int ends = 0;
    {
        asio::io_context going;
        watch.start<manual_clock>(going.get_executor(), manual_clock::now() + 1h, [&ends] { ++ends; });
    }
    CHECK(ends == 1);
    asio::io_context context;
    watch.start<manual_clock>(context.get_executor(), manual_clock::now(), [&ends] { ++ends; });
    context.run();
    CHECK(ends == 2);
}
