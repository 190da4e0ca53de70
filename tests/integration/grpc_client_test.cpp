// grpc_client_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/grpc/grpc_client_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
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
using flowguard::support::job;
using flowguard::support::result;
using flowguard::support::work;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;
using grpc::StatusCode;
using call_info = grpc::experimental::ClientRpcInfo;

// A job's name is the number of the status that answers it; or "keep": the test answers it.
class service final : public work::CallbackService {
public:
    grpc::ServerUnaryReactor* Do(grpc::CallbackServerContext* context, const job* j, result* r) override {
        grpc::ServerUnaryReactor* const call = context->DefaultReactor();
        r->set_name(j->name());
        const std::lock_guard lock(mutex_);
        ++calls_;
        if (j->name() == "keep")
            kept_.push_back(call);
        else
            call->Finish({static_cast<StatusCode>(std::stoi(j->name())), "told to"});
        came_.notify_one();
        return call;
    }

    grpc::ServerWriteReactor<result>* Watch(grpc::CallbackServerContext*, const job*) override {
        class reactor final : public grpc::ServerWriteReactor<result> {
        public:
            reactor() { StartWrite(&event_); }
            void OnWriteDone(bool) override {}
            void OnCancel() override { Finish(grpc::Status::CANCELLED); }
            void OnDone() override { delete this; }

        private:
            result event_;
        };
        return new reactor;
    }

    // Answers the call that was kept first. Blocks until there is one.
    void answer() {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [this] { return !kept_.empty(); });
        kept_.front()->Finish(grpc::Status::OK);
        kept_.pop_front();
    }

    void wait_for_kept() {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [this] { return !kept_.empty(); });
    }

    int calls() {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<grpc::ServerUnaryReactor*> kept_;
    int calls_ = 0;
};

// A call by callback.
class call {
public:
    StatusCode get() { return done_.get_future().get().error_code(); }
    void cancel() { context_.TryCancel(); }

private:
    friend class site;

    grpc::ClientContext context_;
    job job_;
    result result_;
    std::promise<grpc::Status> done_;
};

using grpc::experimental::ClientInterceptorFactoryInterface;

std::shared_ptr<grpc::Channel> guarded_channel(const std::string& target,
                                               std::unique_ptr<ClientInterceptorFactoryInterface> client_guard) {
    std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(std::move(client_guard));
    return grpc::experimental::CreateCustomChannelWithInterceptors(target, grpc::InsecureChannelCredentials(), {},
                                                                   std::move(interceptors));
}

// A server, and a client of it whose channel has a guard.
class site {
public:
    template <class... Options>
    explicit site(guard_type& guard, Options... options) : guard_(guard) {
        int port = 0;
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterService(&server_side);
        server_ = builder.BuildAndStart();
        stub = work::NewStub(guarded_channel(
            "127.0.0.1:" + std::to_string(port),
            std::make_unique<flowguard::grpc_client_guard<guard_type, Options...>>(guard, std::move(options)...)));
    }
    ~site() {
        server_->Shutdown();
        server_->Wait();
    }

    std::unique_ptr<call> start(const std::string& name, std::chrono::milliseconds timeout = {}) const {
        auto c = std::make_unique<call>();
        c->job_.set_name(name);
        if (timeout != 0ms)
            c->context_.set_deadline(std::chrono::system_clock::now() + timeout);
        stub->async()->Do(&c->context_, &c->job_, &c->result_,
                          [c = c.get()](const grpc::Status& status) { c->done_.set_value(status); });
        return c;
    }

    // Blocks until the call has ended.
    grpc::Status block(const std::string& name) const {
        grpc::ClientContext context;
        job j;
        j.set_name(name);
        result r;
        const grpc::Status status = stub->Do(&context, j, &r);
        CHECK((!status.ok() || r.name() == name));
        return status;
    }

    void wait_for_waiters(std::size_t n) const {
        while (guard_.stats().waiting != n)
            std::this_thread::yield();
    }

    service server_side;
    std::unique_ptr<work::Stub> stub;

private:
    guard_type& guard_;
    std::unique_ptr<grpc::Server> server_;
};

// Some threads of gRPC may be inside a call that has ended already.
void check_idle(const guard_type& guard) {
    while (!guard.is_idle())
        std::this_thread::yield();
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().waiting == 0);
}

TEST_CASE("A client's call of gRPC holds a permit until its status has come") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto c = s.start("keep");
    s.server_side.wait_for_kept();
    CHECK(guard.in_flight() == 1);
    s.server_side.answer();
    CHECK(c->get() == StatusCode::OK);
    check_idle(guard);
    CHECK(s.block("0").ok());
    check_idle(guard);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("A client's call of gRPC waits for a permit, whether its thread blocks or not") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    const auto second = s.start("0");
    auto third = std::async(std::launch::async, [&] { return s.block("0"); });
    s.wait_for_waiters(2);
    CHECK(s.server_side.calls() == 1);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    CHECK(second->get() == StatusCode::OK);
    CHECK(third.get().ok());
    check_idle(guard);
    CHECK(guard.stats().succeeded == 3);
}

TEST_CASE("A client's call of gRPC that is shed is never sent") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    CHECK(s.start("0")->get() == StatusCode::RESOURCE_EXHAUSTED);
    const grpc::Status blocked = s.block("0");
    CHECK(blocked.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    CHECK(blocked.error_message() == "shed");
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
    CHECK(s.server_side.calls() == 1);
    CHECK(guard.stats().shed == 2);
    CHECK(guard.stats().admitted == 1);
}

TEST_CASE("A client's call of gRPC by a completion queue ends if it is shed, in one step or in two") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_waiters = 1, .max_wait = 20ms}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    for (const bool reads_metadata : {false, true}) {
        grpc::ClientContext context;
        grpc::CompletionQueue queue;
        job j;
        j.set_name("0");
        const auto reader = s.stub->AsyncDo(&context, j, &queue);
        result r;
        grpc::Status status;
        int finished = 0;
        int read = 0;
        if (reads_metadata)
            reader->ReadInitialMetadata(&read);
        reader->Finish(&r, &status, &finished);
        for (int events = reads_metadata ? 2 : 1; events > 0; --events) {
            void* tag = nullptr;
            bool ok = false;
            REQUIRE(queue.Next(&tag, &ok));
        }
        CHECK(status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
        queue.Shutdown();
        void* tag = nullptr;
        bool ok = false;
        while (queue.Next(&tag, &ok)) {
        }
    }
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
    CHECK(guard.stats().timed_out == 2);
    CHECK(s.server_side.calls() == 1);
}

TEST_CASE("A client's call of gRPC whose deadline passes while it waits ends with DEADLINE_EXCEEDED") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    CHECK(s.start("0", 20ms)->get() == StatusCode::DEADLINE_EXCEEDED);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
    CHECK(s.server_side.calls() == 1);
    CHECK(guard.stats().timed_out + guard.stats().cancelled == 1); // gRPC may have cancelled the call first
}

TEST_CASE("A client's call of gRPC may be cancelled while it waits, or before") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    second->cancel();
    second->cancel();
    CHECK(second->get() == StatusCode::CANCELLED);
    grpc::ClientContext context;
    context.TryCancel();
    result r;
    CHECK(s.stub->Do(&context, job(), &r).error_code() == StatusCode::CANCELLED);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
    CHECK(s.server_side.calls() == 1);
    CHECK(guard.stats().cancelled == 2);
}

TEST_CASE("A client's call of gRPC may be cancelled while it begins to wait, or is granted its permit") {
    guard_type guard{flowguard::fixed_limit{1}, flowguard::guard_options::for_batch()};
    site s{guard};
    constexpr int rounds = 200;
    for (int i = 0; i < rounds; ++i) {
        const auto first = s.start("keep");
        s.server_side.wait_for_kept();
        const auto second = s.start("0");
        if (i % 2 == 0)
            s.wait_for_waiters(1);
        std::thread canceller([&] { second->cancel(); });
        s.server_side.answer();
        CHECK(first->get() == StatusCode::OK);
        const StatusCode code = second->get();
        CHECK((code == StatusCode::OK || code == StatusCode::CANCELLED));
        canceller.join();
    }
    check_idle(guard);
    CHECK(guard.stats().admitted + guard.stats().cancelled == 2 * rounds);
}

TEST_CASE("A client's call of gRPC that gets its permit when its status has come returns it at once") {
    asio::io_context context;
    guard_type guard{context.get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();

    grpc::ClientContext second;
    grpc::CompletionQueue queue;
    job j;
    j.set_name("0");
    result r;
    grpc::Status status;
    int sent = 0;
    int finished = 0;
    const auto reader = s.stub->AsyncDo(&second, j, &queue);
    reader->ReadInitialMetadata(&sent); // so gRPC receives the status apart from what it sends
    reader->Finish(&r, &status, &finished);
    s.wait_for_waiters(1);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    s.wait_for_waiters(0); // the second call has got the permit, but does not know it yet
    second.TryCancel();
    const auto next = [&queue] {
        void* tag = nullptr;
        bool ok = false;
        CHECK(queue.Next(&tag, &ok));
        return tag;
    };
    CHECK(next() == &finished);
    CHECK(status.error_code() == StatusCode::CANCELLED);
    context.run();
    CHECK(next() == &sent);
    check_idle(guard);
    CHECK(s.server_side.calls() == 1);
    CHECK(guard.stats().ignored == 1);
    queue.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    CHECK_FALSE(queue.Next(&tag, &ok));
}

TEST_CASE("A client's call of gRPC whose deadline has passed before it begins is not admitted, and is no drop") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    CHECK(s.start("0", -1ms)->get() == StatusCode::DEADLINE_EXCEEDED);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() - 1s);
    const auto stream = s.stub->Watch(&context, job());
    result event;
    CHECK_FALSE(stream->Read(&event));
    CHECK(stream->Finish().error_code() == StatusCode::DEADLINE_EXCEEDED);
    check_idle(guard);
    CHECK(s.server_side.calls() == 0);
    CHECK(guard.stats().admitted == 0);
    CHECK(guard.stats().dropped == 0);
    CHECK(guard.stats().timed_out == 2);
}

TEST_CASE("The status of a client's call of gRPC is its outcome") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    for (const StatusCode code : {StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::UNAVAILABLE,
                                  StatusCode::RESOURCE_EXHAUSTED, StatusCode::PERMISSION_DENIED})
        CHECK(s.block(std::to_string(code)).error_code() == code);
    check_idle(guard);
    CHECK(guard.stats().succeeded == 2);
    CHECK(guard.stats().dropped == 2);
    CHECK(guard.stats().ignored == 1);
}

TEST_CASE("A client's streams of gRPC run beside the limit, and are shed beyond their own bound") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = 1}};
    site s{guard};
    grpc::ClientContext first;
    const auto stream = s.stub->Watch(&first, job());
    result event;
    CHECK(stream->Read(&event));
    CHECK(guard.stats().long_lived == 1);
    CHECK(s.block("0").ok());

    grpc::ClientContext second;
    const auto shed = s.stub->Watch(&second, job());
    CHECK_FALSE(shed->Read(&event));
    CHECK(shed->Finish().error_code() == StatusCode::RESOURCE_EXHAUSTED);

    first.TryCancel();
    while (stream->Read(&event)) {
    }
    CHECK(stream->Finish().error_code() == StatusCode::CANCELLED);
    check_idle(guard);
    CHECK(guard.stats().long_lived == 0);
    CHECK(guard.stats().succeeded == 1);
}

TEST_CASE("A closed guard ends a client's calls of gRPC with UNAVAILABLE") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    guard.close();
    CHECK(second->get() == StatusCode::UNAVAILABLE);
    CHECK(s.block("0").error_code() == StatusCode::UNAVAILABLE);
    grpc::ClientContext context;
    const auto stream = s.stub->Watch(&context, job());
    result event;
    CHECK_FALSE(stream->Read(&event));
    CHECK(stream->Finish().error_code() == StatusCode::UNAVAILABLE);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
}

TEST_CASE("A client's call of gRPC ends if the context in which it waits is destroyed") {
    auto context = std::make_unique<asio::io_context>();
    guard_type guard{context->get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    context.reset();
    CHECK(second->get() == StatusCode::UNAVAILABLE);
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);
}

TEST_CASE("A client of gRPC says how each call is run, by its method") {
    guard_type guard{flowguard::fixed_limit{2}, {.max_waiters = 0, .partitions = {0.5, 0.5}}};
    std::size_t partition = 1;
    const auto how = [&](const call_info& info) -> flowguard::run_options<> {
        CHECK(std::string_view(info.method()) == "/flowguard.support.work/Do");
        if (partition == 3)
            throw std::runtime_error("no such method");
        return {.partition = partition, .permits = 2, .bypass = partition == 7};
    };
    site s{guard, how};
    const auto first = s.start("keep");
    s.server_side.wait_for_kept();
    CHECK(guard.in_flight() == 2);
    CHECK(guard.in_flight(1) == 2);
    partition = 7;
    CHECK(s.block("0").ok());
    s.server_side.answer();
    CHECK(first->get() == StatusCode::OK);
    check_idle(guard);

    partition = 2;
    const grpc::Status invalid = s.block("0");
    CHECK(invalid.error_code() == StatusCode::INVALID_ARGUMENT);
    CHECK(invalid.error_message() == "flowguard: the partition is 2, must be in [0, 1]");
    partition = 3;
    const grpc::Status thrown = s.block("0");
    CHECK(thrown.error_code() == StatusCode::UNKNOWN);
    CHECK(thrown.error_message() == "no such method");
    check_idle(guard);
    CHECK(guard.stats().admitted == 1);
}

std::unique_ptr<work::Stub> make_guarded_stub(flowguard::flow_guard<>& guard, const std::string& target) {
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(std::make_unique<flowguard::grpc_client_guard<flowguard::flow_guard<>>>(guard));
    return work::NewStub(grpc::experimental::CreateCustomChannelWithInterceptors(
        target, grpc::InsecureChannelCredentials(), grpc::ChannelArguments(), std::move(interceptors)));
}

TEST_CASE("A client of gRPC without a server gets UNAVAILABLE, which is a drop") {
    flowguard::flow_guard<> guard;
    const auto stub = make_guarded_stub(guard, "127.0.0.1:1");
    grpc::ClientContext context;
    result r;
    CHECK(stub->Do(&context, job(), &r).error_code() == StatusCode::UNAVAILABLE);
    CHECK(guard.stats().dropped == 1);
}

} // namespace
