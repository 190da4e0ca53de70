// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// A server of gRPC, whose calls need a resource of limited capacity, and a client that calls it at twice that capacity.
// Prints how much of the capacity was used for calls that succeeded, and how soon the others were told. Health checks,
// which have no guard, show what gRPC and the machine take for an answer that is made at once.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "flowguard.hpp"
#include "flowguard/grpc/grpc_layer.hpp"
#include "grpc_work.grpc.pb.h"
#include "support/asio.hpp"
#include "support/command_line.hpp"
#include "support/random_numbers.hpp"
#include "support/run_main.hpp"

namespace grpc_guard {

using flowguard::support::job;
using flowguard::support::result;
using flowguard::support::work;
using clock = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

constexpr std::string_view help_text = R"(grpc_guard: a guard in a server of gRPC, at twice its capacity.

  --load <x>      calls per second, relative to the capacity; 2 by default
  --seconds <x>   how long to measure, after a second of warming up; 5 by default
  --quick         a second in all: checks that each call is answered, and how
)";

struct options {
    double load = 2;
    double seconds = 5;
    bool quick = false;
    bool help = false;
};

options parse_options(int argc, char** argv) {
    options chosen;
    support::command_line args(argc, argv);
    while (args.next()) {
        const std::string_view option = args.option();
        if (option == "--load")
            chosen.load = args.number_in<double>(0.1, 10);
        else if (option == "--seconds")
            chosen.seconds = args.number_in<double>(0.1, 3600);
        else if (option == "--quick")
            chosen.quick = true;
        else if (option == "--help")
            chosen.help = true;
        else
            args.reject();
    }
    return chosen;
}

/// What the calls need: some workers, and a queue in front of them. A job takes 10 ms on average.
class resource {
public:
    static constexpr std::size_t workers = 8;
    static constexpr seconds mean_time{0.010};
    static constexpr double capacity = static_cast<double>(workers) / mean_time.count(); // jobs per second

    explicit resource(asio::io_context& context) : context_(context), free_at_(workers) {}

    /// Calls `done()` on the context when a worker has done the job.
    template <class Done>
    void start(Done done) {
        auto timer = std::make_shared<asio::steady_timer>(context_);
        {
            const std::lock_guard lock(mutex_);
            auto& free_at = *std::min_element(free_at_.begin(), free_at_.end());
            const seconds takes = mean_time * (0.5 + random_.uniform());
            free_at = std::max(free_at, clock::now()) + std::chrono::duration_cast<clock::duration>(takes);
            timer->expires_at(free_at);
        }
        timer->async_wait([timer, done = std::move(done)](asio::error_code) { done(); });
    }

private:
    asio::io_context& context_;
    std::mutex mutex_;
    std::vector<clock::time_point> free_at_;
    support::random_numbers random_{1};
};

class service final : public work::CallbackService {
public:
    service(flowguard::flow_guard<>& guard, resource& needed) : guarded_(guard), needed_(needed) {}

    grpc::ServerUnaryReactor* Do(grpc::CallbackServerContext* context, const job* request, result* response) override {
        return guarded_.unary(context, [this, request, response](flowguard::grpc_call& call) {
            needed_.start([&call, request, response] {
                response->set_name(request->name());
                call.finish(grpc::Status::OK);
            });
        });
    }

    grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const job*, result*) override {
        grpc::ServerUnaryReactor* const call = context->DefaultReactor();
        call->Finish(grpc::Status::OK);
        return call;
    }

private:
    flowguard::grpc_layer<flowguard::flow_guard<>> guarded_;
    resource& needed_;
};

/// How a call ended, as the client saw it.
struct ended_call {
    bool is_check;
    clock::time_point at;
    seconds took;
    grpc::StatusCode code;
    bool has_pushback;
};

/// Sends calls at random times, whether or not others have been answered; and with every tenth, a health check.
class client {
public:
    explicit client(const std::shared_ptr<grpc::Channel>& channel)
        : stub_(work::NewStub(channel)), receiver_([this] { receive(); }) {}

    void send_until(clock::time_point end, double calls_per_second) {
        support::random_numbers random(2);
        clock::time_point next = clock::now();
        while (next < end) {
            std::this_thread::sleep_until(next);
            send(false);
            if (sent_ % 11 == 10) // ten of eleven are no checks
                send(true);
            next += std::chrono::duration_cast<clock::duration>(seconds(random.exponential() / calls_per_second));
        }
    }

    std::size_t sent() const { return sent_; }

    /// Waits for the calls that are under way. Returns all calls.
    std::vector<ended_call> finish() {
        while (ended_count() != sent_)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        queue_.Shutdown();
        receiver_.join();
        return std::move(ended_);
    }

private:
    struct call {
        bool is_check = false;
        clock::time_point began = clock::now();
        grpc::ClientContext context{};
        result response{};
        grpc::Status status{};
        std::unique_ptr<grpc::ClientAsyncResponseReader<result>> reader{};
    };

    void send(bool is_check) {
        job request;
        request.set_name(std::to_string(sent_++));
        auto c = std::make_unique<call>();
        c->is_check = is_check;
        c->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
        c->reader =
            is_check ? stub_->AsyncCheck(&c->context, request, &queue_) : stub_->AsyncDo(&c->context, request, &queue_);
        auto* sent = c.release(); // receive() gets it back
        sent->reader->Finish(&sent->response, &sent->status, sent);
    }

    void receive() {
        void* tag = nullptr;
        bool ok = false;
        while (queue_.Next(&tag, &ok)) {
            const std::unique_ptr<call> c(static_cast<call*>(tag));
            const auto now = clock::now();
            const std::lock_guard lock(mutex_);
            ended_.push_back({c->is_check, now, now - c->began, c->status.error_code(),
                              c->context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms") == 1});
        }
    }

    std::size_t ended_count() {
        const std::lock_guard lock(mutex_);
        return ended_.size();
    }

    std::unique_ptr<work::Stub> stub_;
    grpc::CompletionQueue queue_;
    std::mutex mutex_;
    std::vector<ended_call> ended_;
    std::size_t sent_ = 0;
    std::thread receiver_;
};

/// Whether each call was answered, and each answer is one that the server may give.
bool check(const std::vector<ended_call>& calls, std::size_t sent) {
    const auto is_right = [](const ended_call& c) {
        const bool shed = c.code == grpc::StatusCode::RESOURCE_EXHAUSTED;
        return shed == c.has_pushback && !(shed && c.is_check) &&
               (shed || c.code == grpc::StatusCode::OK || c.code == grpc::StatusCode::DEADLINE_EXCEEDED);
    };
    const auto wrong = calls.size() - static_cast<std::size_t>(std::count_if(calls.begin(), calls.end(), is_right));
    if (wrong != 0 || calls.size() != sent)
        std::cerr << "sent " << sent << " calls, " << calls.size() << " ended, " << wrong << " with a wrong answer\n";
    return wrong == 0 && calls.size() == sent;
}

double p99_in_ms(std::vector<seconds> times) {
    if (times.empty())
        return 0;
    const auto p99 = times.begin() + static_cast<std::ptrdiff_t>(times.size() * 99 / 100);
    std::nth_element(times.begin(), p99, times.end());
    return p99->count() * 1000;
}

void print(const std::vector<ended_call>& calls, clock::time_point begin, clock::time_point end, std::size_t limit) {
    std::vector<seconds> served;
    std::vector<seconds> shed;
    std::vector<seconds> checks;
    std::size_t late = 0;
    for (const ended_call& c : calls) {
        if (c.at < begin || c.at >= end)
            continue;
        if (c.code == grpc::StatusCode::DEADLINE_EXCEEDED)
            ++late;
        else if (c.is_check)
            checks.push_back(c.took);
        else if (c.code == grpc::StatusCode::OK)
            served.push_back(c.took);
        else
            shed.push_back(c.took);
    }
    const double goodput = static_cast<double>(served.size()) / (resource::capacity * seconds(end - begin).count());
    std::cout << std::fixed << std::setprecision(2) << "capacity         " << resource::capacity << " calls/s\n"
              << "goodput          " << goodput << " of the capacity\n"
              << "served           " << served.size() << ", p99 " << p99_in_ms(served) << " ms\n"
              << "shed             " << shed.size() << ", p99 " << p99_in_ms(shed) << " ms\n"
              << "health checks    " << checks.size() << ", p99 " << p99_in_ms(checks) << " ms\n"
              << "past deadline    " << late << '\n'
              << "limit at the end " << limit << '\n';
}

bool run(const options& chosen) {
    asio::io_context context(1);
    const auto work = asio::prefer(context.get_executor(), asio::execution::outstanding_work.tracked);
    std::thread runner([&] { context.run(); });
    resource needed(context);

    // No call waits in front of the guard: the others should be told at once. So no executor is needed either.
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, {.max_waiters = 0}};
    service served(guard, needed);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&served);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();

    client caller(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
    const auto in = [](double s) { return clock::now() + std::chrono::duration_cast<clock::duration>(seconds(s)); };
    const auto begin = in(chosen.quick ? 0.3 : 1.0);
    const auto end = begin + std::chrono::duration_cast<clock::duration>(seconds(chosen.quick ? 0.7 : chosen.seconds));
    caller.send_until(end, chosen.load * resource::capacity);
    const std::size_t limit = guard.current_limit();
    const auto calls = caller.finish();

    server->Shutdown();
    server->Wait();
    context.stop();
    runner.join();
    print(calls, begin, end, limit);
    if (guard.in_flight() != 0)
        std::cerr << guard.in_flight() << " permits have not come back\n";
    return check(calls, caller.sent()) && guard.in_flight() == 0;
}

} // namespace grpc_guard

int main(int argc, char** argv) {
    return support::run_main("grpc_guard", grpc_guard::help_text, argc, argv, grpc_guard::parse_options,
                             [](const grpc_guard::options& chosen) { return grpc_guard::run(chosen); });
}
