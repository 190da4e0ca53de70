// grpc_test.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/grpc/grpc_layer.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "grpc_site.hpp"
#include "grpc_work.grpc.pb.h"
#include "support/asio.hpp"
#include "support/failing_new.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::outcome;
using grpc::StatusCode;
using grpc_site::guard_type;
using grpc_site::job;
using grpc_site::kept_call;
using grpc_site::result;
using grpc_site::work;

// A job's name says what the handler does: "throw", or a number, the status; else it keeps the call for the test.
class service final : public work::CallbackService {
public:
    service(guard_type& guard, flowguard::grpc_layer_options options) : guarded_(guard, std::move(options)) {}

    grpc::ServerUnaryReactor* Do(grpc::CallbackServerContext* context, const job* j, result* r) override {
        const auto handler = [this, j, r](flowguard::grpc_call& call) {
            r->set_name(j->name());
            if (j->name() == "throw")
                throw std::runtime_error("thrown");
            if (j->name() == "keep")
                return kept.push(call);
            call.finish({static_cast<StatusCode>(std::stoi(j->name())), "told to"});
        };
        return how ? guarded_.unary(context, handler, *how) : guarded_.unary(context, handler);
    }

    grpc_site::kept_calls<flowguard::grpc_call> kept;
    std::optional<flowguard::run_options<>> how; // the options of the next calls

private:
    flowguard::grpc_layer<guard_type> guarded_;
};

// A server with a guard, and a client of it.
class site : public grpc_site::site_of<service> {
public:
    explicit site(guard_type& guard, flowguard::grpc_layer_options options = {})
        : site_of(guard, grpc_site::plain_channel, guard, std::move(options)) {}

    void run_as(flowguard::run_options<> how) { server_side.how = std::move(how); }
};

} // namespace

TEST_CASE("A call of gRPC holds a permit until its answer is sent") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto c = s.start("keep");
    auto& kept = s.server_side.kept.pop();
    CHECK(guard.in_flight() == 1);
    kept.finish(grpc::Status::OK);
    const grpc_site::answer a = c->get();
    CHECK(a.status.ok());
    CHECK(a.name == "keep");
    CHECK_FALSE(a.pushback);
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().succeeded == 1);
}

TEST_CASE("A call of gRPC that finds no permit is shed, and told when to try again") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    site s{guard};
    kept_call first{s};
    const grpc_site::answer a = s.start("keep")->get();
    CHECK(a.status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    REQUIRE(a.pushback);
    CHECK(*a.pushback >= 100);
    CHECK(*a.pushback <= 300);
    first.end();
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().shed_from_full == 1);
    CHECK(guard.stats().shed == 1);
}

TEST_CASE("A call of gRPC waits, and is served when a permit comes back") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    first.end();
    CHECK(second->get().status.ok());
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("A call of gRPC that waits for longer than max_wait ends with RESOURCE_EXHAUSTED") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_wait = 1ms}};
    site s{guard};
    kept_call first{s};
    const grpc_site::answer a = s.start("0")->get();
    CHECK(a.status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    CHECK(a.pushback);
    CHECK(guard.stats().timed_out == 1);
    first.end();
}

TEST_CASE("A call of gRPC whose deadline passes while it waits never reaches its handler") {
    asio::thread_pool pool(1);
    guard_type guard{pool.get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto ended = [&] { return guard.stats().timed_out + guard.stats().cancelled; };
    while (ended() == 0) { // a machine may be too slow to send the call in time
        // While the pool's only thread is busy, the server does not answer: the client's deadline ends the call.
        std::promise<void> answered;
        asio::post(pool, [wait_for = answered.get_future().share()] { wait_for.wait(); });
        CHECK(s.start("keep", 200ms)->code() == StatusCode::DEADLINE_EXCEEDED);
        answered.set_value();
    }
    s.wait_for_waiters(0);
    first.end();
    s.stop();
    CHECK(s.server_side.kept.empty());
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().admitted == 1);
}

TEST_CASE("A call of gRPC that its client cancels while it waits never reaches its handler") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("keep");
    s.wait_for_waiters(1);
    second->cancel();
    CHECK(second->code() == StatusCode::CANCELLED);
    s.wait_for_waiters(0);
    first.end();
    s.stop();
    CHECK(s.server_side.kept.empty());
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().cancelled == 1);
    CHECK(guard.stats().admitted == 1);
}

TEST_CASE("A call of gRPC may be cancelled while it is granted its permit") {
    guard_type guard{flowguard::fixed_limit{1}, flowguard::guard_options::for_batch()};
    site s{guard};
    constexpr int rounds = 200;
    for (int i = 0; i < rounds; ++i) {
        kept_call first{s};
        const auto second = s.start("0");
        s.wait_for_waiters(1);
        std::thread canceller([&] { second->cancel(); });
        first.end();
        canceller.join();
        const StatusCode code = second->code();
        CHECK((code == StatusCode::OK || code == StatusCode::CANCELLED));
    }
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().waiting == 0);
    const auto stats = guard.stats();
    CHECK(stats.admitted + stats.cancelled == 2 * rounds);
    CHECK(stats.succeeded >= rounds);
}

TEST_CASE("The outcome of a call of gRPC that its client has left depends on its deadline") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto leave = [&](std::chrono::milliseconds timeout, StatusCode code) {
        const auto c = s.start("keep", timeout);
        auto& kept = s.server_side.kept.pop();
        if (timeout == 0ms)
            c->cancel();
        CHECK(c->code() == code);
        while (!kept.context().IsCancelled())
            std::this_thread::yield();
        kept.finish(grpc::Status::OK);
        while (guard.in_flight() != 0)
            std::this_thread::yield();
    };
    leave(0ms, StatusCode::CANCELLED);
    CHECK(guard.stats().ignored == 1);
    leave(2000ms, StatusCode::DEADLINE_EXCEEDED);
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.stats().succeeded == 0);
}

TEST_CASE("The priority of a call of gRPC is in its metadata") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard, {.priority_header = "x-priority", .priority = flowguard::priority::sheddable_plus}};
    const auto waiting = [&](flowguard::priority p) {
        return guard.stats().waiting_by_priority[static_cast<std::size_t>(p)];
    };
    kept_call first{s};
    std::vector<std::unique_ptr<grpc_site::call>> calls;
    for (const std::string priority : {"critical_plus", "Sheddable", "unknown", ""})
        calls.push_back(s.start("0", 0ms, priority));
    s.wait_for_waiters(4);
    CHECK(waiting(flowguard::priority::critical_plus) == 1);
    CHECK(waiting(flowguard::priority::sheddable) == 1);
    CHECK(waiting(flowguard::priority::sheddable_plus) == 2);
    first.end();
    for (const auto& c : calls)
        CHECK(c->get().status.ok());
}

TEST_CASE("A call of gRPC may have options of its own") {
    guard_type guard{flowguard::fixed_limit{3}, {.max_waiters = 0, .max_long_lived = 1}};
    site s{guard};
    s.run_as({.permits = 3});
    kept_call heavy{s};
    CHECK(guard.in_flight() == 3);
    s.run_as({.long_lived = true});
    kept_call poll{s};
    CHECK(guard.stats().long_lived == 1);
    CHECK(s.start("0")->code() == StatusCode::RESOURCE_EXHAUSTED); // beyond the bound
    s.run_as({.permits = 0});
    const grpc_site::answer invalid = s.start("0")->get();
    CHECK(invalid.status.error_code() == StatusCode::INTERNAL);
    CHECK(invalid.status.error_message() == "flowguard: the number of permits is 0, must be in [1, 268435455]");
    heavy.end();
    poll.end();
    guard.close();
    s.run_as({.long_lived = true});
    CHECK(s.start("0")->code() == StatusCode::UNAVAILABLE);
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().long_lived == 0);
    CHECK(guard.stats().succeeded == 1);
}

TEST_CASE("The status of a call of gRPC is its outcome") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    for (const auto code : {StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::INVALID_ARGUMENT,
                            StatusCode::UNAUTHENTICATED, StatusCode::INTERNAL, StatusCode::UNAVAILABLE})
        CHECK(s.start(std::to_string(code))->code() == code);
    s.stop();
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.stats().ignored == 3);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A handler of gRPC may tell the outcome itself") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto c = s.start("keep");
    s.server_side.kept.pop().finish({StatusCode::UNAVAILABLE, "a guard further inside"}, outcome::ignored);
    CHECK(c->code() == StatusCode::UNAVAILABLE);
    s.stop();
    CHECK(guard.stats().ignored == 1);
}

TEST_CASE("A handler of gRPC that throws ends its call") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    CHECK(s.start("throw")->code() == StatusCode::UNKNOWN);
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A closed guard answers calls of gRPC with UNAVAILABLE") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto waiter = s.start("keep");
    s.wait_for_waiters(1);
    guard.close();
    const grpc_site::answer a = waiter->get();
    CHECK(a.status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(a.pushback);
    CHECK(s.start("keep")->code() == StatusCode::UNAVAILABLE);
    first.end();
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().closed == 2);
}

TEST_CASE("A call of gRPC continues on the guard's executor") {
    asio::thread_pool pool(1);
    guard_type guard{pool.get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("keep");
    s.wait_for_waiters(1);
    std::promise<void> release;
    asio::post(pool, [&] { release.get_future().wait(); });
    first.end();
    CHECK(s.server_side.kept.empty()); // the pool's only thread is busy
    release.set_value();
    s.server_side.kept.pop().finish(grpc::Status::OK);
    CHECK(second->get().status.ok());
}

TEST_CASE("A call of gRPC ends if the context in which it waits is destroyed") {
    auto context = std::make_unique<asio::io_context>();
    guard_type guard{context->get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("keep");
    s.wait_for_waiters(1);
    context.reset();
    CHECK(second->code() == StatusCode::UNAVAILABLE);
    first.end();
    s.stop();
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("Each code of gRPC has an outcome") {
    const auto of = [](int code) { return flowguard::classify_grpc_status(static_cast<StatusCode>(code)); };
    for (int code = -1; code < 20; ++code) {
        const bool success =
            code == StatusCode::OK || code == StatusCode::NOT_FOUND || code == StatusCode::ALREADY_EXISTS;
        const bool drop = code == StatusCode::RESOURCE_EXHAUSTED || code == StatusCode::UNAVAILABLE ||
                          code == StatusCode::DEADLINE_EXCEEDED;
        CHECK(of(code) == (success ? outcome::success : drop ? outcome::dropped : outcome::ignored));
    }
    CHECK(flowguard::classify_grpc_status(grpc::Status::OK) == outcome::success);
}

TEST_CASE("The deadline of a call of gRPC is in the guard's time") {
    using flowguard::detail::call_deadline;
    using system = std::chrono::system_clock;
    using steady = std::chrono::steady_clock;
    const auto arrival = system::now();

    const call_deadline none(system::time_point::max(), arrival);
    CHECK(none.in_time_of<steady>() == steady::time_point::max());
    CHECK_FALSE(none.explains_cancellation(system::time_point::max()));

    const auto before = steady::now();
    const call_deadline soon(arrival + 10s, arrival);
    const auto end = soon.in_time_of<steady>();
    CHECK(end >= before + 10s);
    CHECK(end <= steady::now() + 10s);
    CHECK_FALSE(soon.explains_cancellation(arrival + 9s - 1ns));
    CHECK(soon.explains_cancellation(arrival + 9s));

    const auto past = call_deadline(arrival - 1s, arrival).in_time_of<steady>();
    CHECK(past <= steady::now() - 1s);
    CHECK(call_deadline(arrival + (system::time_point::max() - arrival) - 1ns, arrival).in_time_of<steady>() >
          before + std::chrono::hours(24 * 365));

    // What gRPC makes of a time-out of centuries overflows.
    const call_deadline overflown(system::time_point::min() + 1ns, arrival);
    CHECK(overflown.in_time_of<steady>() <= before);
    CHECK(overflown.explains_cancellation(arrival));
}

TEST_CASE("The pushback of gRPC is at least the time to serve all present calls") {
    flowguard::guard_stats now;
    now.limit = 10;
    now.in_flight = 10;
    now.waiting = 20;
    now.rtt_mean = 125ms;
    CHECK(flowguard::grpc_retry_pushback(now, 0.0) == 375ms);
    CHECK(flowguard::grpc_retry_pushback(now, 0.5) == 750ms);
    now.rtt_mean = 0ms;
    CHECK(flowguard::grpc_retry_pushback(now, 0.0) == 100ms);
    now.rtt_mean = 1h;
    CHECK(flowguard::grpc_retry_pushback(now, 0.0) == 60s);
}

#if !defined(FLOWGUARD_NO_ALLOCATION_FAILS)
TEST_CASE("A status of gRPC has its code, also if there is no memory for its message") {
    const std::string message = "a message that is too long for the memory of a string without an allocation";
    const auto make = [&] { return flowguard::detail::status_in_any_case(StatusCode::UNAVAILABLE, message.c_str()); };
    CHECK(make().error_message() == message);
    int failures = 0;
    for (bool has_failed = true; has_failed; ++failures) {
        const support::failing_allocation failing(failures + 1);
        const grpc::Status status = make();
        has_failed = failing.has_failed();
        CHECK(status.error_code() == StatusCode::UNAVAILABLE);
    }
    CHECK(failures > 1);

    const flowguard::error_code timeout = flowguard::error::wait_timeout;
    const support::failing_allocation failing(1);
    const grpc::Status rejected = flowguard::grpc_rejection(timeout);
    REQUIRE(failing.has_failed());
    CHECK(rejected.error_code() == StatusCode::RESOURCE_EXHAUSTED);
}

TEST_CASE("A rejection of gRPC has its code, also if there is no memory for its trailer or its message") {
    const flowguard::error_code shed = flowguard::error::shed;
    int failures = 0;
    for (bool has_failed = true; has_failed; ++failures) {
        grpc::ServerContext context;
        const support::failing_allocation failing(failures + 1);
        const grpc::Status status = flowguard::grpc_rejection(context, {}, shed);
        has_failed = failing.has_failed();
        CHECK(status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    }
    CHECK(failures > 2);
}
#endif

TEST_CASE("A layer of gRPC rejects options that do not exist") {
    guard_type guard{flowguard::fixed_limit{1}};
    using layer = flowguard::grpc_layer<guard_type>;
    CHECK_THROWS_AS(layer(guard, {.partition = 1}), std::invalid_argument);
    CHECK_THROWS_AS(layer(guard, {.kind = flowguard::max_kinds}), std::invalid_argument);
    CHECK_THROWS_AS(layer(guard, {.priority = static_cast<flowguard::priority>(4)}), std::invalid_argument);
    CHECK_THROWS_AS(layer(guard, {.priority_header = "X-Priority"}), std::invalid_argument);
}

TEST_CASE("acquire_if_free() counts no call that finds no permit") {
    guard_type guard{flowguard::fixed_limit{1}};
    auto first = guard.acquire_if_free({});
    CHECK(first);
    CHECK_FALSE(guard.acquire_if_free({}));
    CHECK(guard.stats().shed == 0);
    CHECK_THROWS_AS(guard.acquire_if_free({.partition = 1}), std::invalid_argument);
    first.success();
    CHECK(guard.acquire_if_free({}));
}
