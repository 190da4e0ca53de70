// grpc_test.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/grpc/grpc_layer.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "grpc_work.grpc.pb.h"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::outcome;
using flowguard::support::job;
using flowguard::support::result;
using flowguard::support::work;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;
using grpc::StatusCode;

// The calls that have reached a handler, which a test finishes.
class calls_in_handler {
public:
    void push(flowguard::grpc_call& call) {
        const std::lock_guard lock(mutex_);
        calls_.push_back(&call);
        came_.notify_one();
    }
    flowguard::grpc_call& pop() {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [this] { return !calls_.empty(); });
        flowguard::grpc_call* call = calls_.front();
        calls_.pop_front();
        return *call;
    }
    bool empty() {
        const std::lock_guard lock(mutex_);
        return calls_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<flowguard::grpc_call*> calls_;
};

class watch_reactor final : public grpc::ServerWriteReactor<result> {
public:
    watch_reactor(guard_type& guard, grpc::CallbackServerContext& context)
        : admitted_(guard.try_acquire({.long_lived = true})) {
        if (admitted_)
            StartWrite(&event_);
        else
            Finish(flowguard::grpc_rejection(context, guard.stats(), flowguard::error::shed));
    }

    void OnWriteDone(bool) override { Finish(grpc::Status::OK); }
    void OnDone() override { delete this; } // the ticket's destructor returns its place

private:
    guard_type::ticket admitted_;
    result event_;
};

// A job's name says what the handler does: "throw", or a number, the status; else it keeps the call for the test.
class service final : public work::CallbackService {
public:
    service(guard_type& guard, flowguard::grpc_layer_options options)
        : guard_(guard), guarded_(guard, std::move(options)) {}

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

    grpc::ServerWriteReactor<result>* Watch(grpc::CallbackServerContext* context, const job*) override {
        return new watch_reactor(guard_, *context);
    }

    calls_in_handler kept;
    std::optional<flowguard::run_options<>> how; // the options of the next calls

private:
    guard_type& guard_;
    flowguard::grpc_layer<guard_type> guarded_;
};

// The end of a call, as its client sees it.
struct answer {
    grpc::Status status;
    std::string name;
    std::optional<int> pushback;
};

class call {
public:
    // Returns the answer. Blocks until there is one.
    answer get() {
        answer a{done_.get_future().get(), result_.name(), {}};
        const auto& trailers = context_.GetServerTrailingMetadata();
        if (const auto found = trailers.find("grpc-retry-pushback-ms"); found != trailers.end())
            a.pushback = std::stoi(std::string(found->second.data(), found->second.size()));
        return a;
    }
    void cancel() { context_.TryCancel(); }

private:
    friend class site;

    grpc::ClientContext context_;
    job job_;
    result result_;
    std::promise<grpc::Status> done_;
};

// A server with a guard, and a client of it.
class site {
public:
    explicit site(guard_type& guard, flowguard::grpc_layer_options options = {})
        : guard_(guard), service_(guard, std::move(options)) {
        int port = 0;
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterService(&service_);
        server_ = builder.BuildAndStart();
        stub_ =
            work::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
    }
    ~site() { stop(); }

    std::unique_ptr<call> start(const std::string& name, const std::string& priority = "",
                                std::chrono::milliseconds timeout = {}) {
        auto c = std::make_unique<call>();
        c->job_.set_name(name);
        if (!priority.empty())
            c->context_.AddMetadata("x-priority", priority);
        if (timeout != 0ms)
            c->context_.set_deadline(std::chrono::system_clock::now() + timeout);
        stub_->async()->Do(&c->context_, &c->job_, &c->result_,
                           [c = c.get()](const grpc::Status& status) { c->done_.set_value(status); });
        return c;
    }

    // Reads a stream to its end. Returns how many messages it had.
    int watch(grpc::ClientContext& context, grpc::Status& status) {
        const auto reader = stub_->Watch(&context, job());
        result event;
        int events = 0;
        while (reader->Read(&event))
            ++events;
        status = reader->Finish();
        return events;
    }

    void wait_for_waiters(std::size_t n) const {
        while (guard_.stats().waiting != n)
            std::this_thread::yield();
    }

    // After this, OnDone has been called for each call.
    void stop() {
        if (server_) {
            server_->Shutdown();
            server_->Wait();
        }
        server_.reset();
    }

    calls_in_handler& kept() { return service_.kept; }
    void run_as(flowguard::run_options<> how) { service_.how = std::move(how); }

private:
    guard_type& guard_;
    service service_;
    std::unique_ptr<grpc::Server> server_;
    std::unique_ptr<work::Stub> stub_;
};

// A call that its handler keeps until end(), so that it holds a permit.
class kept_call {
public:
    explicit kept_call(site& s) : answered_(s.start("keep")), kept_(s.kept().pop()) {}

    void end() {
        kept_.finish(grpc::Status::OK);
        CHECK(answered_->get().status.ok());
    }

private:
    decltype(std::declval<site&>().start("keep")) answered_;
    decltype(std::declval<site&>().kept().pop()) kept_;
};

} // namespace

TEST_CASE("A call of gRPC holds a permit until its answer is sent") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto c = s.start("keep");
    auto& kept = s.kept().pop();
    CHECK(guard.in_flight() == 1);
    kept.finish(grpc::Status::OK);
    const answer a = c->get();
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
    const answer a = s.start("keep")->get();
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
    const answer a = s.start("0")->get();
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
        CHECK(s.start("keep", "", 200ms)->get().status.error_code() == StatusCode::DEADLINE_EXCEEDED);
        answered.set_value();
    }
    s.wait_for_waiters(0);
    first.end();
    s.stop();
    CHECK(s.kept().empty());
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
    CHECK(second->get().status.error_code() == StatusCode::CANCELLED);
    s.wait_for_waiters(0);
    first.end();
    s.stop();
    CHECK(s.kept().empty());
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().cancelled == 1);
    CHECK(guard.stats().admitted == 1);
}

TEST_CASE("A call of gRPC may be cancelled while it is granted its permit") {
    guard_type guard{flowguard::fixed_limit{1}, flowguard::guard_options::for_batch()};
    site s{guard};
    constexpr int rounds = 200;
    for (int i = 0; i < rounds; ++i) {
        const auto first = s.start("keep");
        auto& kept = s.kept().pop();
        const auto second = s.start("0");
        s.wait_for_waiters(1);
        std::thread canceller([&] { second->cancel(); });
        kept.finish(grpc::Status::OK);
        canceller.join();
        CHECK(first->get().status.ok());
        const StatusCode code = second->get().status.error_code();
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
        const auto c = s.start("keep", "", timeout);
        auto& kept = s.kept().pop();
        if (timeout == 0ms)
            c->cancel();
        CHECK(c->get().status.error_code() == code);
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
    std::vector<std::unique_ptr<call>> calls;
    calls.push_back(s.start("keep"));
    auto& kept = s.kept().pop();
    for (const std::string priority : {"critical_plus", "Sheddable", "unknown", ""})
        calls.push_back(s.start("0", priority));
    s.wait_for_waiters(4);
    CHECK(waiting(flowguard::priority::critical_plus) == 1);
    CHECK(waiting(flowguard::priority::sheddable) == 1);
    CHECK(waiting(flowguard::priority::sheddable_plus) == 2);
    kept.finish(grpc::Status::OK);
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
    CHECK(s.start("0")->get().status.error_code() == StatusCode::RESOURCE_EXHAUSTED); // beyond the bound
    s.run_as({.permits = 0});
    const answer invalid = s.start("0")->get();
    CHECK(invalid.status.error_code() == StatusCode::INTERNAL);
    CHECK(invalid.status.error_message() == "flowguard: the number of permits is 0, must be in [1, 268435455]");
    heavy.end();
    poll.end();
    guard.close();
    s.run_as({.long_lived = true});
    CHECK(s.start("0")->get().status.error_code() == StatusCode::UNAVAILABLE);
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
        CHECK(s.start(std::to_string(code))->get().status.error_code() == code);
    s.stop();
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.stats().ignored == 3);
    CHECK(guard.stats().dropped == 1);
}

TEST_CASE("A handler of gRPC may tell the outcome itself") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto c = s.start("keep");
    s.kept().pop().finish({StatusCode::UNAVAILABLE, "a guard further inside"}, outcome::ignored);
    CHECK(c->get().status.error_code() == StatusCode::UNAVAILABLE);
    s.stop();
    CHECK(guard.stats().ignored == 1);
}

TEST_CASE("A handler of gRPC that throws ends its call") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    CHECK(s.start("throw")->get().status.error_code() == StatusCode::UNKNOWN);
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
    const answer a = waiter->get();
    CHECK(a.status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(a.pushback);
    CHECK(s.start("keep")->get().status.error_code() == StatusCode::UNAVAILABLE);
    first.end();
    s.stop();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().closed == 2);
}

TEST_CASE("A stream of gRPC runs beside the limit, and is shed beyond its own bound") {
    for (const std::size_t bound : {1U, 0U}) {
        guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = bound}};
        const auto busy = guard.try_acquire();
        site s{guard};
        grpc::ClientContext context;
        grpc::Status status;
        CHECK(s.watch(context, status) == static_cast<int>(bound));
        CHECK(status.error_code() == (bound == 1 ? StatusCode::OK : StatusCode::RESOURCE_EXHAUSTED));
        CHECK(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms") == 1 - bound);
        s.stop();
        CHECK(guard.stats().long_lived == 0);
        CHECK(guard.stats().long_lived_admitted == bound);
    }
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
    CHECK(s.kept().empty()); // the pool's only thread is busy
    release.set_value();
    s.kept().pop().finish(grpc::Status::OK);
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
    CHECK(second->get().status.error_code() == StatusCode::UNAVAILABLE);
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
