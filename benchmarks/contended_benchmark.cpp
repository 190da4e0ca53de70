// contended_benchmark.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Measures what a semaphore and a guard cost if two threads share them, against one thread alone. Also measures how
// long a cache line takes from one processor to the other: it depends on where the two processors are, and the other
// figures depend on it.
//
// Each thread works in short stretches. A stretch counts only if both threads ran all the time: other programs, which
// take a processor from one of the two, make the other one faster. With any argument, the program runs briefly.

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "flowguard.hpp"
#include "measuring.hpp"

namespace {

using std::chrono::nanoseconds;
using clock_type = std::chrono::steady_clock;

struct alignas(64) line {
    std::atomic<std::uint64_t> value{0};
};

struct stretch {
    clock_type::time_point begin;
    clock_type::time_point end;
    bool undisturbed; // the thread had its processor all the time
};

// One thread's stretches of `calls` calls of `work(thread)`.
template <class Work>
std::vector<stretch> run(Work& work, std::size_t thread, std::size_t stretches, std::size_t calls) {
    std::vector<stretch> all;
    all.reserve(stretches);
    for (std::size_t i = 0; i < stretches; ++i) {
        const nanoseconds cpu = measuring::thread_time();
        const auto begin = clock_type::now();
        for (std::size_t c = 0; c < calls; ++c)
            work(thread);
        const auto end = clock_type::now();
        all.push_back({begin, end, 20 * (measuring::thread_time() - cpu) >= 19 * (end - begin)});
    }
    return all;
}

double median(std::vector<double> times) {
    if (times.empty())
        return 0;
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

double ns_of(const stretch& s, std::size_t calls) {
    return static_cast<double>(nanoseconds(s.end - s.begin).count()) / static_cast<double>(calls);
}

// Whether the other thread ran undisturbed from the beginning of `s` to its end.
bool is_accompanied(const stretch& s, const std::vector<stretch>& other) {
    auto at = std::partition_point(other.begin(), other.end(), [&](const stretch& o) { return o.end <= s.begin; });
    if (at == other.end() || at->begin > s.begin)
        return false;
    while (at != other.end() && at->undisturbed) {
        if (at->end >= s.end)
            return true;
        ++at;
    }
    return false;
}

template <class Work>
void measure(const char* what, std::size_t stretches, std::size_t calls, Work work) {
    std::vector<double> alone;
    for (const stretch& s : run(work, 0, stretches, calls))
        if (s.undisturbed)
            alone.push_back(ns_of(s, calls));

    std::array<std::vector<stretch>, 2> of_both;
    std::atomic<int> ready{0};
    const auto run_thread = [&](std::size_t thread) {
        ready.fetch_add(1);
        while (ready.load() < 2)
            std::this_thread::yield();
        of_both[thread] = run(work, thread, stretches, calls);
    };
    std::thread second(run_thread, 1);
    run_thread(0);
    second.join();
    std::vector<double> shared;
    for (std::size_t thread = 0; thread < 2; ++thread)
        for (const stretch& s : of_both[thread])
            if (s.undisturbed && is_accompanied(s, of_both[1 - thread]))
                shared.push_back(ns_of(s, calls));

    const double one = median(alone);
    const double two = median(shared);
    if (shared.empty()) // other programs had the processors
        std::printf("%-44s %8.1f ns %15s %10s %10d\n", what, one, "-", "-", 0);
    else
        std::printf("%-44s %8.1f ns %12.1f ns %10.2f %10zu\n", what, one, two, 2 * one / two, shared.size());
}

// Half of the time in which a line goes to the other processor and comes back.
void measure_transfer(std::size_t rounds) {
    line shared;
    std::thread other([&] {
        for (std::uint64_t i = 1; i < 2 * rounds; i += 2) {
            while (shared.value.load(std::memory_order_acquire) != i) {
            }
            shared.value.store(i + 1, std::memory_order_release);
        }
    });
    std::vector<double> times;
    for (std::uint64_t i = 0; i < 2 * rounds; i += 2) {
        const auto begin = clock_type::now();
        shared.value.store(i + 1, std::memory_order_release);
        while (shared.value.load(std::memory_order_acquire) != i + 2) {
        }
        times.push_back(static_cast<double>(nanoseconds(clock_type::now() - begin).count()) / 2);
    }
    other.join();
    std::printf("A line takes %.0f ns from one processor to the other (median).\n", median(times));
}

} // namespace

int main(int argc, char**) {
    const std::size_t stretches = argc > 1 ? 20 : 4000;
    measure_transfer(argc > 1 ? 100 : 100'000);
    std::printf("\n%-44s %11s %15s %10s %10s\n", "each call", "one thread", "two threads", "rates", "stretches");

    std::array<line, 2> lines;
    measure("an addition to a line of the thread", stretches, 2000, [&](std::size_t t) { ++lines[t].value; });
    measure("an addition to a line of both", stretches, 2000, [&](std::size_t) { ++lines[0].value; });

    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 1'000'000};
    measure("a semaphore: try_acquire, release", stretches, 1000, [&](std::size_t) {
        if (semaphore.try_acquire())
            semaphore.release();
    });

    flowguard::flow_guard first{flowguard::fixed_limit{1000}};
    flowguard::flow_guard second{flowguard::fixed_limit{1000}};
    measure("a guard for each thread: a ticket", stretches, 400,
            [&](std::size_t t) { (t == 0 ? first : second).try_acquire().success(); });
    measure("a guard for both: a ticket", stretches, 400, [&](std::size_t) { first.try_acquire().success(); });
    flowguard::split_guard split{2, flowguard::fixed_limit{2000}};
    measure("a split guard: a ticket", stretches, 400, [&](std::size_t) { split.local().try_acquire().success(); });
    std::printf(
        "\n`rates`: what two threads do in all, for what one does alone. `stretches`: how many counted; with too "
        "few, run it again\nwhile no other program needs the processors.\n");
    return 0;
}
