// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

#include "chart.hpp"
#include "client.hpp"
#include "options.hpp"
#include "recorder.hpp"
#include "report.hpp"
#include "schedule.hpp"
#include "service.hpp"
#include "support/no_guard.hpp"
#include "support/output_file.hpp"
#include "support/run_main.hpp"
#include "workload.hpp"

namespace overload_demo {

using namespace std::chrono_literals;

constexpr std::size_t workers = 8;
constexpr auto compute = 1ms;
constexpr auto wait = 14ms;
constexpr seconds deadline = 300ms;

double capacity_of(const workload& work, seconds length) {
    support::no_guard guard;
    service server(guard, work, workers);
    return measure_capacity(server.endpoint(), 3 * workers, length);
}

template <class Guard>
asio::awaitable<void> watch(const Guard& guard, recorder& record, live_report& live, clock::time_point start) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    const auto interval = std::chrono::duration_cast<clock::duration>(record.plan().length() / 120);
    for (auto next = start; next - start <= record.plan().length(); next += interval) {
        timer.expires_at(next);
        co_await timer.async_wait(asio::use_awaitable);
        record.read({clock::now() - start, guard.current_limit(), guard.in_flight(), guard.waiting()});
        live.show(record);
    }
}

template <class Guard>
recorder run(std::string name, Guard& guard, const workload& work, const schedule& plan, std::uint64_t seed,
             live_report& live) {
    recorder record(std::move(name), plan, deadline);
    service server(guard, work, workers);
    asio::io_context context(1);
    open_loop_client client(context, server.endpoint(), record, seed);
    live.begin();
    const auto start = clock::now();
    const auto rethrow = [](const std::exception_ptr& failure) {
        if (failure)
            std::rethrow_exception(failure);
    };
    asio::co_spawn(context, client.run(start), rethrow);
    asio::co_spawn(context, watch(guard, record, live, start), rethrow);
    context.run();
    live.end();
    return record;
}

void demonstrate(const options& chosen) {
    support::require_writable(chosen.svg);

    const workload work(compute, wait);
    const double capacity = capacity_of(work, seconds(chosen.quick ? 0.6 : 2));
    if (capacity < 1)
        throw std::runtime_error("the service answered no request");
    std::printf("%zu workers; each request holds one for %.0f ms of computing and, on average, %.0f ms of waiting\n"
                "measured capacity: %.0f requests/s\n\n",
                workers, seconds(compute).count() * 1000, seconds(wait).count() * 1000, capacity);

    const schedule plan = overload_schedule(capacity, chosen.load, chosen.quick);
    const auto too_many = static_cast<std::size_t>(std::lround(2 * capacity * deadline.count())); // all answers late
    const std::size_t too_few = workers / 4;

    support::no_guard nothing;
    // The service bounds the queue, first come, first served, in each run. So the runs differ in the limit alone.
    const flowguard::guard_options in_turn{.order = flowguard::wait_order::fifo};
    flowguard::flow_guard high{flowguard::fixed_limit{too_many}, in_turn};
    flowguard::flow_guard low{flowguard::fixed_limit{too_few}, in_turn};
    flowguard::flow_guard adaptive{flowguard::vegas_strategy{10}, in_turn};

    live_report live;
    std::vector<recorder> runs;
    runs.push_back(run("unguarded", nothing, work, plan, chosen.seed, live));
    runs.push_back(run("static, too high", high, work, plan, chosen.seed, live));
    runs.push_back(run("static, too low", low, work, plan, chosen.seed, live));
    runs.push_back(run("FlowGuard", adaptive, work, plan, chosen.seed, live));
    print_table(runs);
    print_verdict(runs.front(), runs.back(), workers);

    const double capacity_now = capacity_of(work, seconds(chosen.quick ? 0.4 : 1));
    std::printf("capacity   measured again: %.0f requests/s, %+.0f %%%s\n", capacity_now,
                percent(capacity_now - capacity, capacity),
                std::abs(capacity_now - capacity) > 0.1 * capacity ? "; the machine was busy with other things" : "");

    support::write_file(chosen.svg, [&](std::ostream& svg) { chart(runs).write(svg); });
    std::printf("chart      %s\n", chosen.svg.c_str());
}

} // namespace overload_demo

int main(int argc, char** argv) {
    return support::run_main("overload_demo", overload_demo::help_text, argc, argv, overload_demo::parse_options,
                             [](const overload_demo::options& chosen) { overload_demo::demonstrate(chosen); });
}
