// http_layer_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/http/http_layer.hpp" // first: self-contained

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::flow_guard;
using flowguard::http_layer;
using flowguard::http_layer_options;
using flowguard::priority;
using flowguard::retry_after;
using support::gate;
using support::manual_clock;
using support::poll;
using support::scripted_strategy;
using support::start;

// HTTP messages, and the adapter for them.

struct request {
    std::string target = "/";
    std::map<std::string, std::string, std::less<>> headers{};
};

struct response {
    unsigned status = 200;
    std::string body{};
    std::chrono::seconds retry_after{};
};

struct http {
    std::string_view header(const request& r, std::string_view name) const {
        const auto found = r.headers.find(name);
        return found == r.headers.end() ? std::string_view() : found->second;
    }
    unsigned status(const response& r) const { return r.status; }
    auto unavailable(const request& r) const {
        return [target = r.target](std::chrono::seconds wait) { return response{503, target, wait}; };
    }
    auto gateway_timeout(const request& r) const {
        return [target = r.target] { return response{504, target}; };
    }
};
static_assert(flowguard::http_adapter<http, request, response>);
static_assert(!flowguard::http_adapter<http, request, std::unique_ptr<int>>);

using manual_guard = flow_guard<scripted_strategy, manual_clock>;

asio::awaitable<response> echo(request r) {
    co_return response{200, std::move(r.target)};
}

// A guard with so many permits, and a handler that answers its requests when the test says so.
struct server {
    explicit server(std::size_t limit, const flowguard::guard_options& o = {}) : guard(scripted_strategy{limit}, o) {
        manual_clock::at = 1h;
    }

    auto handler() {
        return [this](request r) -> asio::awaitable<response> {
            order += r.target;
            co_await held.pass();
            co_return response{200, r.target};
        };
    }

    asio::io_context context;
    gate held{context};
    manual_guard guard;
    std::string order{}; // the targets, in the order in which they were started
};

} // namespace

TEST_CASE("A layer passes a request to the handler if a permit is free") {
    asio::io_context context;
    manual_guard guard{scripted_strategy{1}};
    const http_layer guarded{guard, echo, http{}};
    const auto answered = start(context, guarded(request{"/a"}));
    poll(context);
    CHECK(answered->value->status == 200);
    CHECK(answered->value->body == "/a");
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A layer answers 503 with Retry-After to a rejected request") {
    server s{1, {.max_waiters = 1, .max_wait = 50ms}};
    const http_layer guarded{s.guard, s.handler(), http{}};
    const auto served = start(s.context, guarded(request{"/served"}));
    const auto waits = start(s.context, guarded(request{"/waits"}));
    const auto shed = start(s.context, guarded(request{"/shed"}));
    poll(s.context);
    REQUIRE(shed->succeeded());
    CHECK(shed->value->status == 503);
    CHECK(shed->value->body == "/shed");
    CHECK(shed->value->retry_after >= 1s);
    CHECK(shed->value->retry_after <= 3s);
    CHECK_FALSE(waits->done);

    support::pass(s.context, 50ms);
    REQUIRE(waits->succeeded());
    CHECK(waits->value->status == 503);

    s.guard.close();
    const auto late = start(s.context, guarded(request{"/late"}));
    poll(s.context);
    CHECK(late->value->status == 503);

    s.held.let_all();
    poll(s.context);
    CHECK(served->value->status == 200);
    CHECK(s.order == "/served");
    CHECK(s.guard.in_flight() == 0);
}

TEST_CASE("A layer answers 504 to a request whose handler takes longer than the guard's time-out") {
    server s{1, {.timeout = 30ms}};
    const http_layer guarded{s.guard, s.handler(), http{}};
    const auto slow = start(s.context, guarded(request{"/slow"}));
    poll(s.context);
    support::pass(s.context, 29ms);
    CHECK_FALSE(slow->done);
    support::pass(s.context, 1ms);
    REQUIRE(slow->succeeded());
    CHECK(slow->value->status == 504);
    CHECK(slow->value->body == "/slow");
    CHECK(slow->value->retry_after == 0s);
    CHECK(s.guard.stats().dropped == 1);
    CHECK(s.guard.stats().task_timeouts == 1);
    CHECK(s.guard.in_flight() == 0);
}

TEST_CASE("A layer answers 504 to a time-out by an inner guard") {
    server database{1, {.timeout = 30ms}};
    manual_guard guard{scripted_strategy{1}};
    const auto query = database.handler();
    const http_layer guarded{guard,
                             [&](request r) -> asio::awaitable<response> {
                                 const request mine = std::move(r);
                                 co_return co_await database.guard.run([&] { return query(mine); });
                             },
                             http{}};
    const auto slow = start(database.context, guarded(request{"/slow"}));
    poll(database.context);
    support::pass(database.context, 30ms);
    REQUIRE(slow->succeeded());
    CHECK(slow->value->status == 504);
    CHECK(slow->value->body == "/slow");
    CHECK(guard.stats().ignored == 1); // because it is the database that is slow
    CHECK(database.guard.stats().task_timeouts == 1);
}

TEST_CASE("A layer whose caller cancels the handler ends with operation_aborted, and not with a 504") {
    server s{1, {.timeout = 30ms}};
    const http_layer guarded{s.guard, s.handler(), http{}};
    asio::cancellation_signal signal;
    const auto cancelled = start(s.context, guarded(request{"/a"}), &signal);
    poll(s.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    CHECK(s.guard.stats().task_timeouts == 0);
}

TEST_CASE("A layer classifies by the status of the response") {
    struct expectation {
        unsigned status;
        std::uint64_t succeeded, ignored, dropped;
    };
    for (const expectation& e : {expectation{200, 1, 0, 0}, expectation{404, 1, 0, 0}, expectation{400, 0, 1, 0},
                                 expectation{500, 0, 1, 0}, expectation{503, 0, 0, 1}, expectation{429, 0, 0, 1}}) {
        asio::io_context context;
        manual_guard guard{scripted_strategy{1}};
        const http_layer guarded{
            guard, [&](const request&) -> asio::awaitable<response> { co_return response{e.status}; }, http{}};
        const auto answered = start(context, guarded(request{}));
        poll(context);
        CHECK(answered->value->status == e.status);
        CHECK(guard.stats().succeeded == e.succeeded);
        CHECK(guard.stats().ignored == e.ignored);
        CHECK(guard.stats().dropped == e.dropped);
    }
}

TEST_CASE("A layer passes the handler's exceptions on, but answers 503 to a rejection by an inner guard") {
    asio::io_context context;
    manual_guard guard{scripted_strategy{2}};

    const http_layer broken{guard,
                            [](request) -> asio::awaitable<response> {
                                throw std::runtime_error("no luck");
                                co_return response{};
                            },
                            http{}};
    const auto failed = start(context, broken(request{}));
    poll(context);
    CHECK_THROWS_WITH(std::rethrow_exception(failed->exception), "no luck");
    CHECK(guard.stats().dropped == 1);

    manual_guard database{scripted_strategy{1}, {.max_waiters = 0}};
    const manual_guard::ticket busy = database.try_acquire();
    const http_layer nested{guard,
                            [&](request r) -> asio::awaitable<response> {
                                const request mine = std::move(r);
                                co_return co_await database.run(echo(mine));
                            },
                            http{}};
    const auto answered = start(context, nested(request{"/rows"}));
    poll(context);
    CHECK(answered->value->status == 503);
    CHECK(answered->value->body == "/rows");
    CHECK(guard.stats().ignored == 1); // because the overload is the database's
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A layer that is cancelled while it waits ends with operation_aborted") {
    server s{1};
    const http_layer guarded{s.guard, s.handler(), http{}};
    const auto served = start(s.context, guarded(request{"/a"}));
    asio::cancellation_signal signal;
    const auto cancelled = start(s.context, guarded(request{"/b"}), &signal);
    poll(s.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    s.held.let_all();
    poll(s.context);
    CHECK(s.order == "/a");
}

TEST_CASE("A layer reads the client's timeout, and does not start a request that would be too late") {
    server s{1};
    const http_layer guarded{s.guard, s.handler(), http{}};
    const auto served = start(s.context, guarded(request{"/a"}));
    const auto impatient = start(s.context, guarded(request{"/b", {{"x-envoy-expected-rq-timeout-ms", "30"}}}));
    const auto nonsense = start(s.context, guarded(request{"/c", {{"x-envoy-expected-rq-timeout-ms", "soon"}}}));
    poll(s.context);
    support::pass(s.context, 29ms);
    CHECK_FALSE(impatient->done);
    support::pass(s.context, 1ms);
    REQUIRE(impatient->succeeded());
    CHECK(impatient->value->status == 503);
    CHECK(s.guard.stats().timed_out == 1);
    while (s.held.let_one())
        poll(s.context);
    CHECK(nonsense->value->status == 200);
    CHECK(s.order == "/a/c");
}

TEST_CASE("A layer takes a timeout that its guard's clock cannot hold for none") {
    struct of_this_test;
    using clock = support::manual_clock_of<std::chrono::duration<std::int64_t, std::pico>, of_this_test>; // 106 days
    flow_guard<flowguard::fixed_limit, clock> guard{flowguard::fixed_limit{1}};
    const http_layer guarded{guard, echo, http{}};
    asio::io_context context;
    for (const char* timeout : {"2560H", "3000H", "99999999H"}) {
        const auto end = start(context, guarded(request{"/a", {{"x-envoy-expected-rq-timeout-ms", timeout}}}));
        poll(context);
        REQUIRE(end->succeeded());
        CHECK(end->value->status == 200);
    }
}

TEST_CASE("A layer reads the deadline from another header if it is told so, or from none") {
    const auto waiting_after_a_minute = [](const std::string& name) {
        server s{1};
        const http_layer guarded{s.guard, s.handler(), http{}, http_layer_options{.deadline_header = name}};
        const auto served = start(s.context, guarded(request{"/a"}));
        const auto impatient = start(s.context, guarded(request{"/b", {{"grpc-timeout", "30S"}}}));
        poll(s.context);
        support::pass(s.context, 1min);
        const std::size_t waiting = s.guard.waiting();
        while (s.held.let_one())
            poll(s.context);
        return waiting;
    };
    CHECK(waiting_after_a_minute("grpc-timeout") == 0);
    CHECK(waiting_after_a_minute("") == 1);
}

TEST_CASE("A layer serves by the priority that it reads if it is told so, and otherwise by its own priority") {
    const auto order = [](const http_layer_options<>& options) {
        server s{1};
        const http_layer guarded{s.guard, s.handler(), http{}, options};
        std::vector<std::shared_ptr<const support::ending<response>>> ends;
        ends.push_back(start(s.context, guarded(request{"0"})));
        poll(s.context);
        ends.push_back(start(s.context, guarded(request{"1", {{"x-priority", "sheddable"}}})));
        ends.push_back(start(s.context, guarded(request{"2"})));
        ends.push_back(start(s.context, guarded(request{"3", {{"x-priority", "CRITICAL-PLUS"}}})));
        poll(s.context);
        while (s.held.let_one())
            poll(s.context);
        CHECK(std::all_of(ends.begin(), ends.end(), [](const auto& end) { return end->value->status == 200; }));
        return s.order;
    };
    CHECK(order({}) == "0123");
    CHECK(order({.priority_header = "x-priority"}) == "0321");
    CHECK(order({.priority_header = "x-priority", .priority = priority::sheddable}) == "0312");
}

TEST_CASE("A layer takes the permits of its partition") {
    asio::io_context context;
    manual_guard guard{scripted_strategy{2}, {.partitions = {0.5, 0.5}}};
    std::size_t in_flight = 0;
    const http_layer guarded{guard,
                             [&](request r) -> asio::awaitable<response> {
                                 in_flight = guard.in_flight(1);
                                 return echo(std::move(r));
                             },
                             http{}, http_layer_options{.partition = 1}};
    start(context, guarded(request{}));
    poll(context);
    CHECK(in_flight == 1);

    const http_layer wrong{guard, echo, http{}, http_layer_options{.partition = 2}};
    const auto rejected = start(context, wrong(request{}));
    poll(context);
    CHECK_THROWS_AS(std::rethrow_exception(rejected->exception), std::invalid_argument);
}

TEST_CASE("A layer tells the kind of a request") {
    asio::io_context context;
    const scripted_strategy strategy{1, {flowguard::plan(1, 1)}};
    manual_guard guard{strategy};
    while (strategy.windows().empty())
        guard.try_acquire().success();
    const auto kind = [](const request& r) -> std::size_t { return r.target == "/report" ? 3 : 0; };
    const http_layer guarded{guard, echo, http{}, http_layer_options{.kind = kind}};
    start(context, guarded(request{"/report"}));
    poll(context);
    CHECK(strategy.windows().back().all.kinds[3].samples == 1);
    start(context, guarded(request{"/a"}));
    poll(context);
    CHECK(strategy.windows().back().all.kinds[0].samples == 1);

    const http_layer wrong{guard, echo, http{},
                           http_layer_options{.kind = [](const request&) { return flowguard::max_kinds; }}};
    const auto rejected = start(context, wrong(request{}));
    poll(context);
    CHECK_THROWS_AS(std::rethrow_exception(rejected->exception), std::invalid_argument);
}

TEST_CASE("A layer tells the flow of a request") {
    server s{1, flowguard::guard_options::for_batch()};
    const http_layer guarded{s.guard, s.handler(), http{},
                             http_layer_options{.flow = [](const request& r) { return std::uint64_t(r.target[0]); }}};
    const auto running = start(s.context, guarded(request{"r"}));
    std::vector<decltype(start(s.context, guarded(request{})))> waiting;
    for (const char* target : {"a", "a", "a", "b"})
        waiting.push_back(start(s.context, guarded(request{target})));
    poll(s.context);
    s.held.let_all();
    poll(s.context);
    for (int i = 0; i < 4; ++i) {
        s.held.let_all();
        poll(s.context);
    }
    CHECK(s.order == "rabaa");
}

TEST_CASE("A layer tells how many permits a request takes") {
    server s{4, flowguard::guard_options::for_batch()};
    const auto permits = [](const request& r) { return r.target == "/batch" ? std::size_t{3} : std::size_t{1}; };
    const http_layer guarded{s.guard, s.handler(), http{}, http_layer_options{.permits = permits}};
    const auto batch = start(s.context, guarded(request{"/batch"}));
    const auto one = start(s.context, guarded(request{"/one"}));
    poll(s.context);
    CHECK(s.guard.in_flight() == 4);
    CHECK(s.guard.stats().admitted == 2);
    s.held.let_all();
    poll(s.context);
    CHECK(batch->value->status == 200);
    CHECK(one->value->status == 200);
    CHECK(s.guard.in_flight() == 0);

    const http_layer wrong{s.guard, echo, http{},
                           http_layer_options{.permits = [](const request&) { return std::size_t{0}; }}};
    const auto rejected = start(s.context, wrong(request{}));
    poll(s.context);
    CHECK_THROWS_AS(std::rethrow_exception(rejected->exception), std::invalid_argument);
}

TEST_CASE("A layer lets a request with bypass through") {
    server s{1, {.max_waiters = 0}};
    const http_layer guarded{s.guard, s.handler(), http{},
                             http_layer_options{.bypass = [](const request& r) { return r.target == "/health"; }}};
    const auto served = start(s.context, guarded(request{"/a"}));
    poll(s.context);
    const auto healthy = start(s.context, guarded(request{"/health"}));
    const auto shed = start(s.context, guarded(request{"/b"}));
    poll(s.context);
    CHECK(shed->value->status == 503);
    CHECK(s.guard.in_flight() == 1);
    CHECK(s.guard.stats().bypassed == 1);
    s.held.let_all();
    poll(s.context);
    CHECK(healthy->value->status == 200);
}

TEST_CASE("A layer runs long-lived requests beside the limit, up to their bound") {
    server s{1, {.max_waiters = 0, .max_long_lived = 1}};
    const http_layer guarded{s.guard, s.handler(), http{},
                             http_layer_options{.long_lived = [](const request& r) { return r.target == "/watch"; }}};
    const auto served = start(s.context, guarded(request{"/a"}));
    const auto watching = start(s.context, guarded(request{"/watch"}));
    const auto beyond_bound = start(s.context, guarded(request{"/watch"}));
    poll(s.context);
    CHECK(beyond_bound->value->status == 503);
    CHECK(s.guard.in_flight() == 1);
    CHECK(s.guard.stats().long_lived == 1);
    s.held.let_all();
    poll(s.context);
    CHECK(served->value->status == 200);
    CHECK(watching->value->status == 200);
    CHECK(s.guard.stats().long_lived == 0);
    CHECK(s.guard.stats().succeeded == 1);
}

TEST_CASE("A layer forwards further arguments: lvalues as they are, rvalues kept until the handler is called") {
    server s{1};
    struct connection {
        int requests = 0;
    } peer;
    const http_layer guarded{
        s.guard,
        [](request r, connection& from, std::unique_ptr<std::string> what) -> asio::awaitable<response> {
            ++from.requests;
            co_return response{200, r.target + *what};
        },
        http{}};
    manual_guard::ticket busy = s.guard.try_acquire();
    const auto answered = start(s.context, guarded(request{"/a"}, peer, std::make_unique<std::string>("?b")));
    poll(s.context);
    CHECK(peer.requests == 0);
    busy.ignore();
    poll(s.context);
    REQUIRE(answered->succeeded());
    CHECK(answered->value->body == "/a?b");
    CHECK(peer.requests == 1);
}

TEST_CASE("A layer does not move a request that it got as an lvalue") {
    asio::io_context context;
    manual_guard guard{scripted_strategy{1}};
    const request kept{"/kept"};
    const request* seen = nullptr;
    const http_layer guarded{guard,
                             [&](const request& r) -> asio::awaitable<response> {
                                 seen = &r;
                                 co_return response{};
                             },
                             http{}};
    const auto answered = start(context, guarded(kept));
    poll(context);
    CHECK(answered->succeeded());
    CHECK(seen == &kept);
}

TEST_CASE("A layer counts a response without a status as a success") {
    struct opaque {
        bool served = false;
    };
    struct adapter {
        std::string_view header(const request&, std::string_view) const { return {}; }
        auto unavailable(const request&) const {
            return [](std::chrono::seconds) { return opaque{}; };
        }
        auto gateway_timeout(const request&) const {
            return [] { return opaque{}; };
        }
    };
    asio::io_context context;
    manual_guard guard{scripted_strategy{1}};
    const http_layer guarded{guard, [](request) -> asio::awaitable<opaque> { co_return opaque{true}; }, adapter{}};
    const auto answered = start(context, guarded(request{}));
    poll(context);
    CHECK(answered->value->served);
    CHECK(guard.stats().succeeded == 1);
}

// Retry-After

TEST_CASE("Retry-After is one to three times the time to serve all callers that are here, in whole seconds") {
    const flowguard::guard_stats idle{};
    CHECK(retry_after(idle, 0.0) == 1s);
    CHECK(retry_after(idle, 0.34) == 2s);
    CHECK(retry_after(idle, 0.999) == 3s);

    flowguard::guard_stats busy{};
    busy.limit = 10;
    busy.in_flight = 10;
    busy.waiting = 35;
    busy.rtt_mean = 1s;
    CHECK(retry_after(busy, 0.0) == 5s);
    CHECK(retry_after(busy, 0.999) == 15s);

    busy.waiting = 1'000'000;
    CHECK(retry_after(busy, 0.0) == 60s);
    CHECK(retry_after(busy, 0.999) == 180s);
}

TEST_CASE("The jitter of Retry-After is in [0, 1), and spread out") {
    std::array<int, 4> quarters{};
    for (int i = 0; i < 1000; ++i) {
        const double jitter = flowguard::detail::jitter();
        REQUIRE(jitter >= 0);
        REQUIRE(jitter < 1);
        ++quarters[static_cast<std::size_t>(jitter * 4)];
    }
    for (const int count : quarters)
        CHECK(count > 100); // 250 are expected; fewer than 100 happen once in 10^33
}
