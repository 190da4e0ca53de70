// grpc_site.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the tests of gRPC share: a server on this machine, a client of it, and calls that the server keeps.

#ifndef FLOWGUARD_TESTS_INTEGRATION_GRPC_SITE_HPP
#define FLOWGUARD_TESTS_INTEGRATION_GRPC_SITE_HPP

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "grpc_work.grpc.pb.h"

namespace grpc_site {

using flowguard::support::job;
using flowguard::support::result;
using flowguard::support::work;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;
using grpc::StatusCode;

inline std::shared_ptr<grpc::Channel> plain_channel(const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
}

// The end of a call, as its client sees it.
struct answer {
    grpc::Status status;
    std::string name;
    std::optional<int> pushback;
};

inline std::optional<int> pushback_of(const grpc::ClientContext& ended) {
    const auto& trailers = ended.GetServerTrailingMetadata();
    const auto found = trailers.find("grpc-retry-pushback-ms");
    if (found == trailers.end())
        return {};
    return std::stoi(std::string(found->second.data(), found->second.size()));
}

// A unary call by callback.
class call {
public:
    call(work::Stub& stub, const std::string& name, std::chrono::milliseconds timeout, const std::string& priority) {
        job_.set_name(name);
        if (!priority.empty())
            context_.AddMetadata("x-priority", priority);
        if (timeout != std::chrono::milliseconds::zero())
            context_.set_deadline(std::chrono::system_clock::now() + timeout);
        stub.async()->Do(&context_, &job_, &result_, [this](const grpc::Status& status) { done_.set_value(status); });
    }

    // Returns the answer. Blocks until there is one. To be called once, as code().
    answer get() {
        grpc::Status status = done_.get_future().get();
        return {std::move(status), result_.name(), pushback_of(context_)};
    }
    StatusCode code() { return get().status.error_code(); }
    void cancel() { context_.TryCancel(); }

private:
    grpc::ClientContext context_;
    job job_;
    result result_;
    std::promise<grpc::Status> done_;
};

// The calls that a service keeps, until the test finishes them.
template <class Call>
class kept_calls {
public:
    void push(Call& c) {
        const std::lock_guard lock(mutex_);
        calls_.push_back(&c);
        came_.notify_one();
    }
    // Blocks until there is one.
    Call& pop() {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [this] { return !calls_.empty(); });
        Call* const first = calls_.front();
        calls_.pop_front();
        return *first;
    }
    bool empty() {
        const std::lock_guard lock(mutex_);
        return calls_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<Call*> calls_;
};

// A server of a `Service`, and a client of it. One of them has the guard.
template <class Service>
class site_of {
public:
    // `make_channel(address)` returns the client's channel.
    template <class MakeChannel, class... Args>
    explicit site_of(const guard_type& guard, MakeChannel make_channel, Args&&... args)
        : server_side(std::forward<Args>(args)...), guard_(guard) {
        int port = 0;
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterService(&server_side);
        server_ = builder.BuildAndStart();
        stub = work::NewStub(make_channel("127.0.0.1:" + std::to_string(port)));
    }
    ~site_of() { stop(); }

    std::unique_ptr<call> start(const std::string& name, std::chrono::milliseconds timeout = {},
                                const std::string& priority = "") const {
        return std::make_unique<call>(*stub, name, timeout, priority);
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

    Service server_side;
    std::unique_ptr<work::Stub> stub;

private:
    const guard_type& guard_;
    std::unique_ptr<grpc::Server> server_;
};

// A call that its service keeps until end(), so that it holds a permit. The service has `kept`, its kept_calls.
template <class Service>
class kept_call {
public:
    explicit kept_call(site_of<Service>& s) : client_side_(s.start("keep")), kept_(s.server_side.kept.pop()) {}

    void end() {
        kept_.finish(grpc::Status::OK);
        CHECK(client_side_->code() == StatusCode::OK);
    }

private:
    std::unique_ptr<call> client_side_;
    decltype(std::declval<Service&>().kept.pop()) kept_;
};

} // namespace grpc_site

#endif
