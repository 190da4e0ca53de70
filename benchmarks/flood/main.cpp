// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures how a flood of calls to a full queue affects a service, and how soon rejected callers are told.
//
// The service has 10 permits and tasks of 1 ms, and runs on its own thread. At most 10 callers wait. Ordinary callers
// offer twice its capacity. In addition, threads call as fast as they can, with a lower priority: this is the flood.
// For comparison, the same threads only spin.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#if defined(FLOWGUARD_USE_BOOST_ASIO)
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#else
#include <asio/bind_executor.hpp>
#include <asio/steady_timer.hpp>
#endif

#include "flowguard.hpp"
#include "support/command_line.hpp"

namespace {

namespace asio = flowguard::asio;
using namespace std::chrono_literals;
using flowguard::error_code;
using clock_type = std::chrono::steady_clock;
using guard = flowguard::flow_guard<flowguard::fixed_limit>;

constexpr double capacity = 10'000; // tasks per second

struct result {
    double served = 0; // tasks of ordinary callers and of the flood, per second
    double rejected = 0; // per second
    std::size_t most_untold = 0;
    std::vector<std::chrono::nanoseconds> told; // the times until ordinary callers were told of their rejections
};

void spin(clock_type::duration length) {
    for (const auto end = clock_type::now() + length; clock_type::now() < end;) {
    }
}

class service {
public:
    service(std::chrono::nanoseconds cost_of_rejection, double seconds) : length_(seconds) {
        flowguard::guard_options options{.max_waiters = 10, .order = flowguard::wait_order::fifo};
        if (cost_of_rejection > 0ns)
            options.on_rejection = [cost_of_rejection](flowguard::rejection) { spin(cost_of_rejection); };
        guard_.emplace(context_.get_executor(), flowguard::fixed_limit{10}, options);
    }

    // Runs the service while `busy_threads` threads flood it, or only spin.
    result run(std::size_t busy_threads, bool flooded) {
        std::optional work(asio::make_work_guard(context_));
        std::thread server([this] { context_.run(); });
        std::vector<std::thread> threads;
        const auto begin = clock_type::now();
        for (std::size_t i = 0; i < busy_threads; ++i)
            threads.emplace_back([this, flooded] { flooded ? flood() : spin_instead(); });
        result r = call_at(2 * capacity);
        const double seconds = std::chrono::duration<double>(clock_type::now() - begin).count();
        r.served = static_cast<double>(served_.load()) / seconds;
        r.rejected = static_cast<double>(guard_->stats().shed) / seconds;
        ends_ = true;
        for (std::thread& t : threads)
            t.join();
        guard_->close();
        work.reset();
        server.join();
        return r;
    }

private:
    void serve(guard::ticket t) {
        auto timer = std::make_shared<asio::steady_timer>(context_, 1ms);
        timer->async_wait([this, timer, t = std::move(t)](const error_code&) mutable {
            ++served_;
            t.success();
        });
    }

    // The handlers run in the thread's own context, which has no other work.
    void flood() {
        asio::io_context mine{1};
        std::size_t untold = 0;
        while (!ends_) {
            ++untold;
            guard_->async_acquire({.priority = flowguard::priority::sheddable},
                                  asio::bind_executor(mine, [&untold](error_code, guard::ticket) { --untold; }));
            for (std::size_t most = most_untold_; untold > most && !most_untold_.compare_exchange_weak(most, untold);) {
            }
            mine.restart();
            mine.poll();
        }
        guard_->close(); // ends the calls that still wait
        mine.restart();
        mine.run();
    }

    // Keeps the thread as busy as a flood does, but without calls.
    void spin_instead() {
        while (!ends_)
            spin(10us);
    }

    result call_at(double rate) {
        result r;
        asio::io_context mine{1};
        const auto begin = clock_type::now();
        const auto end = begin + std::chrono::duration_cast<clock_type::duration>(length_);
        double sent = 0;
        for (auto now = begin; now < end; now = clock_type::now()) {
            for (const double due = std::chrono::duration<double>(now - begin).count() * rate; sent < due; ++sent) {
                const auto called = clock_type::now();
                guard_->async_acquire(asio::bind_executor(mine, [&r, called, this](error_code e, guard::ticket t) {
                    if (e)
                        r.told.push_back(clock_type::now() - called);
                    else
                        asio::post(context_, [this, t = std::move(t)]() mutable { serve(std::move(t)); });
                }));
                mine.restart();
                mine.poll();
            }
            mine.restart();
            mine.run_for(200us);
        }
        r.most_untold = most_untold_;
        guard_->close(); // ends the calls that still wait
        mine.restart();
        mine.run();
        return r;
    }

    const std::chrono::duration<double> length_;
    asio::io_context context_{1};
    std::optional<guard> guard_;
    std::atomic<std::size_t> served_{0};
    std::atomic<std::size_t> most_untold_{0};
    std::atomic<bool> ends_{false};
};

double quantile(std::vector<std::chrono::nanoseconds>& times, double q) {
    if (times.empty())
        return 0;
    const auto at = times.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), at, times.end());
    return static_cast<double>(at->count()) * 1e-6;
}

void print_row(std::chrono::nanoseconds cost, std::size_t threads, double seconds) {
    const result calm = service(cost, seconds).run(threads, false);
    result r = service(cost, seconds).run(threads, true);
    std::printf("%9.0f us %9zu %10.0f/s %8.0f %% %11.0f/s %9.3f ms %9.3f ms %8zu\n",
                static_cast<double>(cost.count()) * 1e-3, threads, r.served,
                calm.served > 0 ? 100 * r.served / calm.served : 0, r.rejected, quantile(r.told, 0.5),
                quantile(r.told, 0.99), r.most_untold);
}

} // namespace

int main(int argc, char** argv) {
    double seconds = 3;
    try {
        for (support::command_line line(argc, argv); line.next();) {
            if (std::strcmp(line.option(), "--seconds") == 0)
                seconds = line.number_in<double>(0.01, 3600);
            else
                line.reject();
        }
        std::printf(
            "10 permits, tasks of 1 ms, at most 10 callers wait. Ordinary callers offer twice the capacity. Besides,\n"
            "threads call as fast as they can. Calm: the same threads spin instead. Told: how long it takes until an\n"
            "ordinary caller is told of its rejection. Untold: the most calls of one thread without an answer.\n\n"
            "%12s %9s %12s %10s %13s %12s %12s %8s\n",
            "an observer", "threads", "served", "of calm", "rejected", "told: p50", "p99", "untold");
        for (const auto cost : {0ns, 20'000ns})
            for (const std::size_t threads : {1U, 3U})
                print_row(cost, threads, seconds);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "flood_benchmark: %s\n", e.what());
        return 1;
    }
    return 0;
}
