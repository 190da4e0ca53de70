// grpc_stream_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "flowguard/flow_guard.hpp"
#include "flowguard/grpc/grpc_layer.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "grpc_site.hpp"
#include "grpc_work.grpc.pb.h"

namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using grpc_site::guard_type;
using grpc_site::job;
using grpc_site::result;
using grpc_site::work;

// Sends one event.
class watch_reactor : public grpc::ServerWriteReactor<result> {
public:
    explicit watch_reactor(const job& watched) {
        event_.set_name(watched.name());
        StartWrite(&event_);
    }
    void OnWriteDone(bool) override { Finish(grpc::Status::OK); }
    void OnDone() override { delete this; }

private:
    result event_;
};

// Sends one event, and lasts until its client leaves. Then it tells how many long-lived calls the guard counts.
class endless_reactor : public grpc::ServerWriteReactor<result> {
public:
    endless_reactor(const guard_type& guard, std::atomic<std::size_t>& counted_in_on_done)
        : guard_(guard), counted_in_on_done_(counted_in_on_done) {
        StartWrite(&event_);
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }

protected:
    void OnDone() override {
        counted_in_on_done_ = guard_.stats().long_lived;
        delete this;
    }

private:
    result event_;
    const guard_type& guard_;
    std::atomic<std::size_t>& counted_in_on_done_;
};

class throwing_reactor : public grpc::ServerWriteReactor<result> {
public:
    throwing_reactor() { throw std::runtime_error("thrown"); }
    void OnDone() override {}
};

// Answers with the names of all jobs, one after the other.
class collect_reactor : public grpc::ServerReadReactor<job> {
public:
    explicit collect_reactor(result& answer, std::unique_ptr<job> space) : answer_(answer), next_(std::move(space)) {
        StartRead(next_.get());
    }
    void OnReadDone(bool ok) override {
        if (!ok)
            return Finish(grpc::Status::OK);
        answer_.set_name(answer_.name() + next_->name());
        StartRead(next_.get());
    }
    void OnDone() override { delete this; }

private:
    result& answer_;
    std::unique_ptr<job> next_;
};

// Sends the name of each job back.
class exchange_reactor : public grpc::ServerBidiReactor<job, result> {
public:
    exchange_reactor() { StartRead(&next_); }
    void OnReadDone(bool ok) override {
        if (!ok)
            return Finish(grpc::Status::OK);
        answer_.set_name(next_.name());
        StartWrite(&answer_);
    }
    void OnWriteDone(bool) override { StartRead(&next_); }
    void OnDone() override { delete this; }

private:
    job next_;
    result answer_;
};

class watch_service : public work::CallbackService {
public:
    explicit watch_service(guard_type& guard) : guarded_(guard) {}

    grpc::ServerWriteReactor<result>* Watch(grpc::CallbackServerContext* context, const job* watched) override {
        return guarded_.stream<watch_reactor>(context, *watched);
    }

protected:
    flowguard::grpc_layer<guard_type> guarded_;
};

// The name of a job that is watched may be special: "endless", "throw", or "late", which is shown to the layer after
// its deadline.
class service final : public watch_service {
public:
    explicit service(guard_type& guard) : watch_service(guard), guard_(guard) {}

    grpc::ServerWriteReactor<result>* Watch(grpc::CallbackServerContext* context, const job* watched) override {
        if (watched->name() == "endless")
            return guarded_.stream<endless_reactor>(context, guard_, counted_in_on_done);
        if (watched->name() == "throw")
            return guarded_.stream<throwing_reactor>(context);
        while (watched->name() == "late" && std::chrono::system_clock::now() <= context->deadline())
            std::this_thread::yield();
        return watch_service::Watch(context, watched);
    }

    grpc::ServerReadReactor<job>* Collect(grpc::CallbackServerContext* context, result* answer) override {
        return guarded_.stream<collect_reactor>(context, *answer, std::make_unique<job>());
    }

    grpc::ServerBidiReactor<job, result>* Exchange(grpc::CallbackServerContext* context) override {
        return guarded_.stream<exchange_reactor>(context);
    }

    std::atomic<std::size_t> counted_in_on_done{0};

private:
    const guard_type& guard_;
};

// A server with a guard, and a client of it.
class site : public grpc_site::site_of<service> {
public:
    explicit site(guard_type& guard) : site_of(guard, grpc_site::plain_channel, guard) {}

    std::unique_ptr<grpc::ClientReader<result>> watch(grpc::ClientContext& context, const std::string& name) const {
        job watched;
        watched.set_name(name);
        return stub->Watch(&context, watched);
    }
};

template <class Stream>
void write(Stream& stream, const std::string& name) {
    job next;
    next.set_name(name);
    stream.Write(next); // false if the stream is over: its status tells more
}

// Each returns what has come from the server, and the status and the pushback.
grpc_site::answer watch(const site& s, const std::string& name) {
    grpc::ClientContext context;
    const auto stream = s.watch(context, name);
    grpc_site::answer a;
    for (result event; stream->Read(&event);)
        a.name += event.name();
    a.status = stream->Finish();
    a.pushback = grpc_site::pushback_of(context);
    return a;
}

grpc_site::answer collect(const site& s) {
    grpc::ClientContext context;
    result answer;
    const auto stream = s.stub->Collect(&context, &answer);
    write(*stream, "a");
    write(*stream, "b");
    stream->WritesDone();
    grpc::Status status = stream->Finish();
    return {std::move(status), answer.name(), grpc_site::pushback_of(context)};
}

grpc_site::answer exchange(const site& s) {
    grpc::ClientContext context;
    const auto stream = s.stub->Exchange(&context);
    grpc_site::answer a;
    result received;
    for (const std::string name : {"a", "b"}) {
        write(*stream, name);
        if (stream->Read(&received))
            a.name += received.name();
    }
    stream->WritesDone();
    a.status = stream->Finish();
    a.pushback = grpc_site::pushback_of(context);
    return a;
}

} // namespace

TEST_CASE("Streams of gRPC of all kinds run beside the limit") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = 1}};
    const auto busy = guard.try_acquire();
    site s{guard};
    const auto check = [&](const grpc_site::answer& a) {
        CHECK(a.status.ok());
        CHECK(a.name == "ab");
        CHECK_FALSE(a.pushback);
        while (guard.stats().long_lived != 0) // the server may still be inside OnDone
            std::this_thread::yield();
    };
    check(watch(s, "ab"));
    check(collect(s));
    check(exchange(s));
    CHECK(guard.stats().long_lived_admitted == 3);
    CHECK(guard.stats().admitted == 1); // the busy one
}

TEST_CASE("Streams of gRPC of all kinds are shed beyond their bound, and told when to try again") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = 0}};
    site s{guard};
    const auto check = [](const grpc_site::answer& a) {
        CHECK(a.status.error_code() == StatusCode::RESOURCE_EXHAUSTED);
        CHECK(a.name.empty());
        REQUIRE(a.pushback);
        CHECK(*a.pushback >= 100);
    };
    check(watch(s, "ab"));
    check(collect(s));
    check(exchange(s));
    CHECK(guard.stats().shed == 3);
    CHECK(guard.stats().long_lived_admitted == 0);
}

TEST_CASE("A stream of gRPC keeps its place until its reactor is done") {
    guard_type guard{flowguard::fixed_limit{1}, {.max_long_lived = 1}};
    site s{guard};
    grpc::ClientContext context;
    const auto stream = s.watch(context, "endless");
    result event;
    CHECK(stream->Read(&event));
    CHECK(guard.stats().long_lived == 1);
    CHECK(watch(s, "ab").status.error_code() == StatusCode::RESOURCE_EXHAUSTED);

    context.TryCancel(); // the reactor's own OnCancel ends the stream
    CHECK(stream->Finish().error_code() == StatusCode::CANCELLED);
    s.stop();
    CHECK(s.server_side.counted_in_on_done == 1);
    CHECK(guard.stats().long_lived == 0);
    CHECK(guard.is_idle());
}

TEST_CASE("A stream of gRPC may be cancelled at any time") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    constexpr std::size_t rounds = 200;
    for (std::size_t i = 0; i < rounds; ++i) {
        grpc::ClientContext context;
        const auto stream = s.watch(context, i % 2 == 0 ? "ab" : "endless");
        std::thread canceller([&] { context.TryCancel(); });
        for (result event; stream->Read(&event);) {
        }
        const StatusCode code = stream->Finish().error_code();
        CHECK((code == StatusCode::CANCELLED || (code == StatusCode::OK && i % 2 == 0)));
        canceller.join();
    }
    s.stop();
    CHECK(guard.is_idle());
    CHECK(guard.stats().long_lived == 0);
    CHECK(guard.stats().long_lived_admitted <= rounds); // gRPC need not send a call that is cancelled so soon
}

TEST_CASE("A closed guard answers streams of gRPC with UNAVAILABLE") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    guard.close();
    const grpc_site::answer a = watch(s, "ab");
    CHECK(a.status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(a.pushback);
    s.stop();
    CHECK(guard.stats().long_lived_admitted == 0);
}

TEST_CASE("A stream of gRPC whose deadline has passed is not admitted") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    while (guard.stats().timed_out == 0) { // a machine may be too slow to send the call in time
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + 200ms);
        // From the client's own timer, or from the layer, if its answer comes first.
        const StatusCode code = s.watch(context, "late")->Finish().error_code();
        CHECK((code == StatusCode::DEADLINE_EXCEEDED || code == StatusCode::RESOURCE_EXHAUSTED));
    }
    s.stop();
    CHECK(guard.stats().long_lived_admitted == 0);
}

TEST_CASE("A stream of gRPC whose reactor throws ends with UNKNOWN, and returns its place") {
    guard_type guard{flowguard::fixed_limit{1}};
    site s{guard};
    const grpc_site::answer a = watch(s, "throw");
    CHECK(a.status.error_code() == StatusCode::UNKNOWN);
    CHECK_FALSE(a.pushback);
    s.stop();
    CHECK(guard.stats().long_lived_admitted == 1);
    CHECK(guard.is_idle());
}
