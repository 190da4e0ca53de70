// deadline_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/asio/deadline.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace {

using namespace std::chrono_literals;
using support::manual_clock;
using executor = asio::io_context::executor_type;
using deadline = flowguard::detail::deadline<flowguard::detail::until<manual_clock>, executor>;

// Lets the three parties of a deadline be through in the given order: s, the initiating call that started the timer; e,
// the timer's expiry; c, the completion. Adds "!" after the party that calls time_out(), and "*" after the one that is
// told to be the last.
std::string order_of(const std::string& parties) {
    asio::io_context context;
    deadline d({manual_clock::time_point(1ms)}, context.get_executor());
    std::string said;
    const auto time_out = [&] { said += '!'; };
    for (const char party : parties) {
        said += party;
        const bool last = party == 's'   ? d.start_through(time_out)
                          : party == 'e' ? d.timer_through(time_out)
                                         : d.completion_through();
        if (last)
            said += '*';
    }
    return said;
}

TEST_CASE("The last party of a deadline is told so, and time_out() is called once start and expiry are through") {
    CHECK(order_of("sec") == "se!c*");
    CHECK(order_of("sce") == "sce!*");
    CHECK(order_of("esc") == "es!c*");
    CHECK(order_of("ecs") == "ecs!*");
    CHECK(order_of("cse") == "cse!*");
    CHECK(order_of("ces") == "ces!*");
}

TEST_CASE("A deadline has passed at its time, not before") {
    asio::io_context context;
    const auto passed = [&](manual_clock::duration now) {
        manual_clock::at = now;
        return deadline({manual_clock::time_point(10ms)}, context.get_executor()).has_passed();
    };
    CHECK_FALSE(passed(9ms));
    CHECK_FALSE(passed(10ms - 1ns));
    CHECK(passed(10ms));
    CHECK(passed(1h));
}

TEST_CASE("The timer of a deadline expires on its executor, or the completion cancels it") {
    asio::io_context context;
    manual_clock::at = 0ms;
    std::string seen;
    deadline d({manual_clock::time_point(10ms)}, context.get_executor());
    CHECK(d.get_executor() == context.get_executor());
    d.start([&](const flowguard::error_code& e) { seen += e ? "cancelled" : "expired"; });
    SECTION("expires") {
        support::pass(context, 9ms);
        CHECK(seen.empty());
        support::pass(context, 1ms);
        CHECK(seen == "expired");
    }
    SECTION("is cancelled") {
        CHECK_FALSE(d.completion_through());
        support::pass(context, 0ms);
        CHECK(seen == "cancelled");
    }
}

TEST_CASE("A time that does not fit into the clock's type is the latest time of that type") {
    using flowguard::detail::after;
    manual_clock::at = 1h;
    CHECK(after<manual_clock>(1ms).time == manual_clock::time_point(1h + 1ms));
    CHECK(after<manual_clock>(manual_clock::duration::max()).time == manual_clock::time_point::max());
}

TEST_CASE("Without a deadline, the completion is the only party") {
    asio::io_context context;
    flowguard::detail::deadline<flowguard::detail::without_deadline, executor> none({}, context.get_executor());
    CHECK(none.completion_through());
}

} // namespace
