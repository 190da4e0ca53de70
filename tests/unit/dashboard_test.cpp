// dashboard_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/dashboard.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "flowguard/detail/dashboard/event_feed.hpp"
#include "flowguard/detail/dashboard/history.hpp"
#include "flowguard/detail/dashboard/json.hpp"
#include "flowguard/detail/dashboard/route.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"

namespace {

using flowguard::dashboard;

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++n;
    return n;
}

} // namespace

TEST_CASE("A sample tells what a guard does, and the application's values") {
    flowguard::flow_guard guard{flowguard::fixed_limit{2}, {.max_waiters = 0}};
    dashboard board;
    board.add("work", guard, {{"workers", [] { return 16.0; }, flowguard::dashboard_chart::tasks}});
    CHECK(board.snapshot() == R"({"points":[],"decisions":[]})");

    const auto one = guard.try_acquire();
    const auto two = guard.try_acquire();
    REQUIRE((one && two && !guard.try_acquire()));
    board.sample();
    const std::string text = board.snapshot();
    CHECK(has(text, R"("name":"work","limit":2,)"));
    CHECK(has(text, R"("in_flight":2,"waiting":[0,0,0,0],)"));
    CHECK(has(text, R"("admitted":2,"succeeded":0,)"));
    CHECK(has(text, R"("rejected":[[1,0,0,0,0,0]],)"));
    CHECK(has(text, R"("values":[{"name":"workers","value":16,"chart":1}])"));
}

TEST_CASE("A change of the limit is told once as news, and stays in the snapshot") {
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    std::uint64_t seen = 0;
    CHECK(board.next_events(seen).empty());
    guard.pin_limit(5);
    board.sample();
    const std::string change = R"("before":2,"limit":5,"probe":0,)";
    CHECK(has(board.next_events(seen), change));
    board.sample();
    CHECK(has(board.next_events(seen), R"("decisions":[]})"));
    CHECK(count(board.snapshot(), change) == 1);
}

TEST_CASE("Changes of the limit at one instant are all told as news, also by a clock that stands at 0 or is set back") {
    struct of_dashboard;
    using clock = support::manual_clock_of<std::chrono::duration<double>, of_dashboard>;
    flowguard::flow_guard<flowguard::fixed_limit, clock> guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    const auto pin = [&](std::size_t limit) {
        guard.pin_limit(limit);
        board.sample();
    };
    guard.pin_limit(3);
    pin(4);
    pin(5);
    clock::at -= std::chrono::hours(1);
    pin(6);
    const std::string all = board.snapshot();
    for (const char* change :
         {R"("before":2,"limit":3)", R"("before":3,"limit":4)", R"("before":4,"limit":5)", R"("before":5,"limit":6)"})
        CHECK(count(all, change) == 1);
}

TEST_CASE("A window that leaves the limit as it is is no news") {
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    while (guard.trace().empty())
        guard.try_acquire().success();
    REQUIRE(guard.trace().front().limit == guard.trace().front().before);
    board.sample();
    CHECK(has(board.snapshot(), R"("decisions":[]})"));
}

TEST_CASE("The snapshot has the latest 100 changes of the limit of each guard") {
    support::manual_clock::at = std::chrono::hours(9);
    flowguard::flow_guard<flowguard::fixed_limit, support::manual_clock> guard{flowguard::fixed_limit{1}};
    dashboard board;
    board.add("work", guard);
    for (std::size_t limit = 2; limit <= 103; ++limit) {
        support::manual_clock::at += std::chrono::seconds(1);
        guard.pin_limit(limit);
        board.sample();
    }
    const std::string text = board.snapshot();
    CHECK(count(text, R"("before":)") == 100);
    CHECK_FALSE(has(text, R"("before":2,)"));
    CHECK(has(text, R"("before":3,"limit":4,)"));
    CHECK(has(text, R"("before":102,"limit":103,)"));
}

TEST_CASE("An event has the latest 100 changes of the limit of each guard, however long its trace is") {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}, {.trace = 1000}};
    dashboard board;
    board.add("work", guard);
    for (std::size_t limit = 2; limit <= 301; ++limit)
        guard.pin_limit(limit);
    board.sample();
    std::uint64_t seen = 0;
    const std::string news = board.next_events(seen);
    CHECK(count(news, R"("before":)") == 100);
    CHECK_FALSE(has(news, R"("before":200,)"));
    CHECK(has(news, R"("before":201,"limit":202,)"));
    CHECK(has(news, R"("before":300,"limit":301,)"));
}

TEST_CASE("A client gets each event once; one that has missed many gets the latest") {
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    board.sample();
    board.sample();
    std::uint64_t seen = 0;
    CHECK(count(board.next_events(seen), "data: {") == 1); // the snapshot has the other one
    CHECK(board.next_events(seen).empty());
    board.sample();
    board.sample();
    board.sample();
    CHECK(count(board.next_events(seen), "data: {") == 3);
    for (int i = 0; i < 1000; ++i)
        board.sample();
    CHECK(count(board.next_events(seen), "data: {") == 1);
    CHECK(board.next_events(seen).empty());
}

TEST_CASE("A client that gets no events for a while gets a comment, so that its server notices if it is gone") {
    using clock = support::manual_clock;
    using namespace std::chrono_literals;
    clock::at = 9h;
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    flowguard::detail::dashboard_event_feed<clock> feed(board);
    const std::string comment = ": keep-alive\n\n";

    clock::at += 14s;
    board.sample();
    CHECK(count(feed.next(), "data: {") == 1);
    clock::at += 14999ms;
    CHECK(feed.next().empty());
    clock::at += 1ms;
    CHECK(feed.next() == comment);
    CHECK(feed.next().empty());
    clock::at += 15s;
    CHECK(feed.next() == comment);
    clock::at += 15s;
    board.sample();
    CHECK(count(feed.next(), ": keep-alive") == 0); // an event does as well
}

TEST_CASE("A guard's name is not empty, and not taken") {
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    CHECK_THROWS_AS(board.add("", guard), std::invalid_argument);
    CHECK_THROWS_WITH(board.add("work", guard), "flowguard: a dashboard has a guard with the name work already");
    board.add("more", guard);
    board.sample();
    CHECK(count(board.snapshot(), R"("limit":2)") == 2);
}

TEST_CASE("The page has its title, escaped, and its controls, as they are") {
    const dashboard board{{.title = "<b> & co", .controls = "<form class=\"controls\"></form>"}};
    const std::string page = board.page();
    CHECK(has(page, "<title>&lt;b> &amp; co</title>"));
    CHECK(has(page, "<h1>&lt;b> &amp; co</h1>"));
    CHECK(has(page, "</script>\n<form class=\"controls\"></form>"));
    CHECK(page.ends_with("</html>\n"));
    CHECK_FALSE(has(page, "<!--"));
    CHECK_FALSE(has(page, "http://127")); // and no address of another server but a namespace
    CHECK(count(page, "http") == count(page, "http://www.w3.org/2000/svg"));
}

TEST_CASE("A dashboard that runs takes samples until a stop is requested") {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{2}};
    dashboard board;
    board.add("work", guard);
    std::stop_source stop;
    const auto running = support::start(context, board.run(stop.get_token()));
    support::poll(context);
    CHECK(count(board.snapshot(), R"("t":)") == 1);
    stop.request_stop();
    context.run(); // until the timer of the next sample has expired
    CHECK(running->succeeded());
    CHECK(count(board.snapshot(), R"("t":)") == 1);
}

TEST_CASE("The first example of docs/dashboard.md shows its guard") {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
    flowguard::dashboard board;
    board.add("database", guard, {{"connections", [] { return 16.0; }, flowguard::dashboard_chart::tasks}});
    asio::co_spawn(context, board.run(), asio::detached); // takes a sample four times a second
    support::poll(context);
    CHECK(has(board.snapshot(), R"("name":"database","limit":10,)"));
}

TEST_CASE("A target without a path is nothing of a dashboard's, unless it is the prefix") {
    using flowguard::detail::dashboard_route;
    using flowguard::detail::dashboard_route_of;
    CHECK(dashboard_route_of("?from=here", "") == dashboard_route::none);
    CHECK(dashboard_route_of("/load?from=here", "/load") == dashboard_route::to_page);
}

TEST_CASE("A history keeps a minute of all samples, four of one in four, and 55 of one in sixty") {
    flowguard::detail::dashboard_history history;
    for (int i = 0; i < 100'000; ++i)
        history.add(std::to_string(i));
    std::vector<int> kept;
    history.for_each([&](const std::string& text) { kept.push_back(std::stoi(text)); });
    REQUIRE(kept.size() == 220 + 240 + 240);
    CHECK(kept.back() == 99'999);
    for (std::size_t i = 1; i < kept.size(); ++i) {
        const int step = kept[i] - kept[i - 1];
        CHECK(step >= (i < 220 ? 60 : 1)); // and in order
        if (i > 220)
            CHECK(step <= 4);
    }
    CHECK(100'000 - kept.front() >= 14'000); // samples: an hour is 14,400
}

TEST_CASE("JSON text escapes what JSON and HTML do not allow, and numbers are finite") {
    using namespace flowguard::detail;
    CHECK(json_string("a\"b\\c\n</script>\xc3\xa4") == "\"a\\u0022b\\u005cc\\u000a\\u003c/script>\xc3\xa4\"");
    CHECK(json_string("a\xff\"") == "\"a\xef\xbf\xbd\\u0022\"");
    CHECK(json_number(0.5) == "0.5");
    CHECK(json_number(std::numeric_limits<double>::infinity()) == "0");
    CHECK(json_object{}.text() == "{}");
    json_object object;
    object.add_ms("t", std::chrono::nanoseconds(1'234'567));
    object.add_count("n", 3);
    CHECK(object.text() == R"({"t":1.234,"n":3})");
    CHECK(json_array(std::vector<int>{}, [](int i) { return std::to_string(i); }) == "[]");
    CHECK(json_array(std::vector<int>{1, 2}, [](int i) { return std::to_string(i); }) == "[1,2]");
}
