// grpc_client_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/grpc/grpc_client_guard.hpp" // first: self-contained

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "grpc_site.hpp"
#include "grpc_work.grpc.pb.h"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using grpc_site::guard_type;
using grpc_site::job;
using grpc_site::kept_call;
using grpc_site::result;
using grpc_site::work;
using call_info = grpc::experimental::ClientRpcInfo;

// A call at the server.
class call_at_server final : public grpc::ServerUnaryReactor {
public:
    void finish(grpc::Status status) { Finish(std::move(status)); }
    void OnDone() override { delete this; }
};

// A job's name is the number of the status that answers it; or "keep": the test answers it.
class service final : public work::CallbackService {
public:
    grpc::ServerUnaryReactor* Do(grpc::CallbackServerContext*, const job* j, result* r) override {
        auto* const call = new call_at_server;
        r->set_name(j->name());
        ++calls;
        if (j->name() == "keep")
            kept.push(*call);
        else
            call->finish({static_cast<StatusCode>(std::stoi(j->name())), "told to"});
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

    grpc_site::kept_calls<call_at_server> kept;
    std::atomic<int> calls{0}; // of Do
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
class site : public grpc_site::site_of<service> {
public:
    template <class... Options>
    explicit site(guard_type& guard, Options... options)
        : site_of(guard, [&](const std::string& address) {
              return guarded_channel(address, std::make_unique<flowguard::grpc_client_guard<guard_type, Options...>>(
                                                  guard, std::move(options)...));
          }) {}

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
    kept_call first{s};
    CHECK(guard.in_flight() == 1);
    first.end();
    check_idle(guard);
    CHECK(s.block("0").ok());
    check_idle(guard);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("A client's call of gRPC waits for a permit, whether its thread blocks or not") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("0");
    auto third = std::async(std::launch::async, [&] { return s.block("0"); });
    s.wait_for_waiters(2);
    CHECK(s.server_side.calls == 1);
    first.end();
    CHECK(second->code() == StatusCode::OK);
    CHECK(third.get().ok());
    check_idle(guard);
    CHECK(guard.stats().succeeded == 3);
}

TEST_CASE("A client's call of gRPC that is shed is never sent") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_waiters = 0}};
    site s{guard};
    kept_call first{s};
    CHECK(s.start("0")->code() == StatusCode::RESOURCE_EXHAUSTED);
    const grpc::Status blocked = s.block("0");
    CHECK(blocked.error_code() == StatusCode::RESOURCE_EXHAUSTED);
    CHECK(blocked.error_message() == "shed");
    first.end();
    check_idle(guard);
    CHECK(s.server_side.calls == 1);
    CHECK(guard.stats().shed == 2);
    CHECK(guard.stats().admitted == 1);
}

TEST_CASE("A client's call of gRPC by a completion queue ends if it is shed, in one step or in two") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_waiters = 1, .max_wait = 20ms}};
    site s{guard};
    kept_call first{s};
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
    first.end();
    check_idle(guard);
    CHECK(guard.stats().timed_out == 2);
    CHECK(s.server_side.calls == 1);
}

TEST_CASE("A client's call of gRPC whose deadline passes while it waits ends with DEADLINE_EXCEEDED") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    CHECK(s.start("0", 20ms)->code() == StatusCode::DEADLINE_EXCEEDED);
    first.end();
    check_idle(guard);
    CHECK(s.server_side.calls == 1);
    CHECK(guard.stats().timed_out + guard.stats().cancelled == 1); // gRPC may have cancelled the call first
}

TEST_CASE("A client's call of gRPC may be cancelled while it waits, or before") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    second->cancel();
    second->cancel();
    CHECK(second->code() == StatusCode::CANCELLED);
    grpc::ClientContext context;
    context.TryCancel();
    result r;
    CHECK(s.stub->Do(&context, job(), &r).error_code() == StatusCode::CANCELLED);
    first.end();
    check_idle(guard);
    CHECK(s.server_side.calls == 1);
    CHECK(guard.stats().cancelled == 2);
}

TEST_CASE("A client's call of gRPC may be cancelled while it begins to wait, or is granted its permit") {
    guard_type guard{flowguard::fixed_limit{1}, flowguard::guard_options::for_batch()};
    site s{guard};
    constexpr int rounds = 200;
    for (int i = 0; i < rounds; ++i) {
        kept_call first{s};
        const auto second = s.start("0");
        if (i % 2 == 0)
            s.wait_for_waiters(1);
        std::thread canceller([&] { second->cancel(); });
        first.end();
        const StatusCode code = second->code();
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
    kept_call first{s};

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
    first.end();
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
    CHECK(s.server_side.calls == 1);
    CHECK(guard.stats().ignored == 1);
    queue.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    CHECK_FALSE(queue.Next(&tag, &ok));
}

TEST_CASE("A client's call of gRPC whose deadline has passed before it begins is not admitted, and is no drop") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    CHECK(s.start("0", -1ms)->code() == StatusCode::DEADLINE_EXCEEDED);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() - 1s);
    const auto stream = s.stub->Watch(&context, job());
    result event;
    CHECK_FALSE(stream->Read(&event));
    CHECK(stream->Finish().error_code() == StatusCode::DEADLINE_EXCEEDED);
    check_idle(guard);
    CHECK(s.server_side.calls == 0);
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
    kept_call first{s};
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    guard.close();
    CHECK(second->code() == StatusCode::UNAVAILABLE);
    CHECK(s.block("0").error_code() == StatusCode::UNAVAILABLE);
    grpc::ClientContext context;
    const auto stream = s.stub->Watch(&context, job());
    result event;
    CHECK_FALSE(stream->Read(&event));
    CHECK(stream->Finish().error_code() == StatusCode::UNAVAILABLE);
    first.end();
    check_idle(guard);
}

TEST_CASE("A client's call of gRPC ends if the context in which it waits is destroyed") {
    auto context = std::make_unique<asio::io_context>();
    guard_type guard{context->get_executor(), flowguard::fixed_limit{1}};
    site s{guard};
    kept_call first{s};
    const auto second = s.start("0");
    s.wait_for_waiters(1);
    context.reset();
    CHECK(second->code() == StatusCode::UNAVAILABLE);
    first.end();
    check_idle(guard);
}

TEST_CASE("A client of gRPC says how each call is run, by its method") {
    guard_type guard{flowguard::fixed_limit{2}, {.max_waiters = 0, .partitions = {0.5, 0.5}}};
    std::size_t partition = 1;
    const auto how = [&](const call_info& info) -> flowguard::run_options<> {
        CHECK(std::string_view(info.method()) == "/flowguard.support.work/Do");
        if (partition == 3)
            throw std::runtime_error("no such method");
        if (partition == 4)
            throw partition;
        return {.partition = partition, .permits = 2, .bypass = partition == 7};
    };
    site s{guard, how};
    kept_call first{s};
    CHECK(guard.in_flight() == 2);
    CHECK(guard.in_flight(1) == 2);
    partition = 7;
    CHECK(s.block("0").ok());
    first.end();
    check_idle(guard);

    partition = 2;
    const grpc::Status invalid = s.block("0");
    CHECK(invalid.error_code() == StatusCode::INVALID_ARGUMENT);
    CHECK(invalid.error_message() == "flowguard: the partition is 2, must be in [0, 1]");
    partition = 3;
    const grpc::Status thrown = s.block("0");
    CHECK(thrown.error_code() == StatusCode::UNKNOWN);
    CHECK(thrown.error_message() == "no such method");
    partition = 4;
    CHECK(s.block("0").error_code() == StatusCode::UNKNOWN);
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
