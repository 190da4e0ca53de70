// semaphore_benchmark.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Compares dynamic_semaphore with its peers, in one run. See help_text.

#include <benchmark/benchmark.h>

#include <sys/resource.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iostream>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "contender.hpp"
#include "line_chart.hpp"
#include "measuring.hpp"
#include "peers.hpp"
#include "support/command_line.hpp"
#include "support/output_file.hpp"
#include "support/run_main.hpp"
#if defined(FLOWGUARD_CONTENDER)
#include FLOWGUARD_CONTENDER
static_assert(contender<your_contender>, "see contender.hpp");
#endif

namespace {

using clock = std::chrono::steady_clock;
using measuring::allocation_counter;
using measuring::print_ratio;

constexpr std::string_view help_text =
    R"(usage: semaphore_benchmark [--most-waiters N] [--time-outs N] [--pool-repetitions N] [--svg FOLDER]
                           [--benchmark_...]

Compares flowguard::dynamic_semaphore with the alternatives on Asio: an experimental::channel, a
concurrent_channel, a mutex with a list, and a semaphore of your own (benchmarks/contender.hpp says how).

  --most-waiters N      the most callbacks that wait at once; from 1000, default: 1000000
  --time-outs N         how many waits time out; default: 10000000
  --pool-repetitions N  how often pool_hand_off is measured; default: 25
  --svg FOLDER          where to write semaphore_waiters.svg and semaphore_threads.svg; default: .
  --benchmark_...       options of Google Benchmark: --benchmark_repetitions=5 makes the figures steadier,
                        --benchmark_filter=hand_off selects benchmarks
  --help                this text

  acquire_release    one caller, a permit is free
  shared_...         several threads, permits are free for all
  hand_off           64 coroutines on one thread pass one permit around, with a post while they hold it;
                     two_posts is the same without a semaphore
  pool_hand_off/T    the same on a pool of T threads
  queue/N, grant/N,  N callbacks begin to wait; are each granted a permit and called; or are each cancelled and
  cancel/N           called, one after the other
  hand_off_of_4      the same as hand_off, with four permits
  coroutine_...      the memory of a coroutine that waits, by acquire(), or by async_acquire(use_awaitable)
  time_outs          1000 callbacks wait and time out, again and again; no permit is ever released;
                     timers is the same without a semaphore

Times are per operation. The ratios at the end are of the shortest times of all repetitions. On a pool they are of the
medians, because a thread that happens not to fall asleep saves much time.
)";

void count_time(benchmark::State& state, std::chrono::nanoseconds taken, double operations_per_iteration) {
    state.counters["ns/op"] = std::chrono::duration<double, std::nano>(taken).count() /
                              static_cast<double>(state.iterations()) / operations_per_iteration;
}

// ---- One caller ----

void try_acquire_release(benchmark::State& state) {
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, 10};
    const allocation_counter allocations{state};
    for (auto _ : state) {
        benchmark::DoNotOptimize(semaphore.try_acquire());
        semaphore.release();
    }
}

// Several threads share one semaphore that has permits for all of them. This is the cost of the permit word alone.
void shared_try_acquire_release(benchmark::State& state) {
    static asio::io_context context{1};
    static flowguard::dynamic_semaphore semaphore{context, 1'000'000};
    for (auto _ : state) {
        benchmark::DoNotOptimize(semaphore.try_acquire());
        semaphore.release();
    }
}

void acquire_release(benchmark::State& state) {
    measuring::run_coroutine([&]() -> asio::awaitable<void> {
        flowguard::dynamic_semaphore semaphore{co_await asio::this_coro::executor, 10};
        static_cast<void>(co_await semaphore.acquire());
        const allocation_counter allocations{state};
        for (auto _ : state) {
            auto p = co_await semaphore.acquire();
            benchmark::DoNotOptimize(p);
        }
    });
}

template <contender S>
void acquire_release_of(benchmark::State& state) {
    measuring::run_coroutine([&]() -> asio::awaitable<void> {
        S semaphore{co_await asio::this_coro::executor, 10};
        const allocation_counter allocations{state};
        for (auto _ : state) {
            co_await semaphore.async_acquire(asio::use_awaitable);
            semaphore.release();
        }
    });
}

// ---- Hand-off ----

constexpr int callers = 64;

// The lower bound of a hand-off: one post resumes the coroutine that releases the permit, and another post resumes the
// coroutine that gets it.
class no_semaphore {
public:
    static constexpr const char* name = "two_posts";
    static constexpr bool is_thread_safe = true;
    static constexpr std::int64_t most_cancelled = 0;

    no_semaphore(const asio::any_io_executor&, std::size_t) {}

    template <class Token>
    auto async_acquire(Token&& token) {
        return asio::post(std::forward<Token>(token));
    }
    void release() {}
};

// dynamic_semaphore where an object holds the permit, as its documentation recommends.
class permit_semaphore {
public:
    static constexpr const char* name = "dynamic_semaphore_permit";
    static constexpr bool is_thread_safe = true;
    static constexpr std::int64_t most_cancelled = 0;

    permit_semaphore(asio::any_io_executor executor, std::size_t permits) : semaphore_(std::move(executor), permits) {}

    template <class Token>
    auto async_acquire(Token&& token) {
        return semaphore_.async_acquire_permit(std::forward<Token>(token));
    }
    void release() {}

protected:
    flowguard::dynamic_semaphore semaphore_;
};

// The same by acquire(), which is a coroutine of its own.
class acquire_semaphore : public permit_semaphore {
public:
    static constexpr const char* name = "dynamic_semaphore_acquire";

    using permit_semaphore::permit_semaphore;

    template <class Token>
    auto async_acquire(Token&&) {
        return semaphore_.acquire();
    }
};

template <contender S, class More>
asio::awaitable<void> take_turns(S& semaphore, More more) {
    while (more()) {
        if constexpr (std::is_base_of_v<permit_semaphore, S>) {
            const flowguard::permit p = co_await semaphore.async_acquire(asio::use_awaitable);
            co_await asio::post(asio::use_awaitable);
        } else {
            co_await semaphore.async_acquire(asio::use_awaitable);
            co_await asio::post(asio::use_awaitable);
            semaphore.release();
        }
    }
}

auto times(int n) {
    return [n]() mutable { return n-- > 0; };
}

// The callers take turns in a fixed order. So when the first caller has had a turn, each caller has had one.
template <contender S, std::size_t permits = 1>
void hand_off(benchmark::State& state) {
    asio::io_context context{1};
    S semaphore{context.get_executor(), permits};
    bool stop = false;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            co_await take_turns(semaphore, times(10));
            {
                const allocation_counter allocations{state, callers};
                const auto start = measuring::thread_time();
                co_await take_turns(semaphore, [&state] { return state.KeepRunning(); });
                count_time(state, measuring::thread_time() - start, callers);
            }
            stop = true;
        },
        asio::detached);
    for (int i = 1; i < callers; ++i)
        asio::co_spawn(context, take_turns(semaphore, [&stop] { return !stop; }), asio::detached);
    context.run();
}

template <contender S>
void pool_hand_off(benchmark::State& state) {
    constexpr int turns = 400;
    clock::duration total{};
    for (auto _ : state) {
        asio::thread_pool pool{static_cast<std::size_t>(state.range(0))};
        S semaphore{pool.get_executor(), 1};
        const auto start = clock::now();
        for (int i = 0; i < callers; ++i)
            asio::co_spawn(pool, take_turns(semaphore, times(turns)), asio::detached);
        pool.join();
        const auto taken = clock::now() - start;
        state.SetIterationTime(std::chrono::duration<double>(taken).count());
        total += taken;
    }
    count_time(state, total, callers * turns);
}

// ---- Many waiters ----

struct count_down {
    std::size_t* left;

    template <class... Results>
    void operator()(const Results&...) const {
        --*left;
    }
};

enum class step { queue, grant, cancel };

// Measures how long one of the steps takes for n waiters. The work runs in a context, where Asio recycles memory, as in
// a service.
template <contender S, step measured>
std::chrono::nanoseconds time_of(benchmark::State& state, std::size_t n) {
    asio::io_context context{1};
    std::vector<asio::cancellation_signal> signals(measured == step::cancel ? n : 0);
    S semaphore{context.get_executor(), 1};
    std::size_t left = n + 1;
    semaphore.async_acquire(count_down{&left});
    context.run();

    const auto time = [&context](auto work) { // includes the handlers that the work posts
        asio::post(context, work);
        context.restart();
        const auto start = measuring::thread_time();
        context.poll();
        return measuring::thread_time() - start;
    };
    const std::uint64_t bytes = support::allocated_bytes.load();
    const auto queueing = time([&] {
        for (std::size_t i = 0; i < n; ++i) {
            if constexpr (measured == step::cancel)
                semaphore.async_acquire(asio::bind_cancellation_slot(signals[i].slot(), count_down{&left}));
            else
                semaphore.async_acquire(count_down{&left});
        }
    });
    if constexpr (measured == step::queue)
        state.counters["bytes/waiter"] =
            static_cast<double>(support::allocated_bytes.load() - bytes) / static_cast<double>(n) -
            static_cast<double>(sizeof(count_down));
    const auto ending = time([&] {
        if constexpr (measured == step::cancel) {
            for (asio::cancellation_signal& s : signals)
                s.emit(asio::cancellation_type::terminal);
        } else {
            for (std::size_t i = 0; i < n; ++i)
                semaphore.release();
        }
    });
    if (left != 0)
        state.SkipWithError("some callbacks were not called");
    return measured == step::queue ? queueing : ending;
}

template <contender S, step measured>
void many_waiters(benchmark::State& state) {
    const auto n = static_cast<std::size_t>(state.range(0));
    time_of<S, measured>(state, n); // a first run gets the memory from the system, and keeps it
    std::chrono::nanoseconds total{};
    for (auto _ : state) {
        const auto taken = time_of<S, measured>(state, n);
        state.SetIterationTime(std::chrono::duration<double>(taken).count());
        total += taken;
    }
    count_time(state, total, static_cast<double>(n));
}

// ---- Waiting coroutines ----

struct by_acquire {
    static constexpr const char* name = "acquire";
    static asio::awaitable<void> wait(flowguard::dynamic_semaphore& semaphore) {
        const auto permit = co_await semaphore.acquire();
    }
};

struct by_async_acquire {
    static constexpr const char* name = "async_acquire";
    static asio::awaitable<void> wait(flowguard::dynamic_semaphore& semaphore) {
        co_await semaphore.async_acquire(asio::use_awaitable);
        semaphore.release();
    }
};

// The memory of a coroutine that waits, with the frames of all that it awaits.
template <class Way>
void waiting_coroutines(benchmark::State& state) {
    constexpr std::size_t n = 1000;
    double bytes = 0;
    for (auto _ : state) {
        asio::io_context context{1};
        flowguard::dynamic_semaphore semaphore{context, 1};
        const bool taken = semaphore.try_acquire();
        const std::uint64_t before = support::allocated_bytes.load();
        for (std::size_t i = 0; i < n; ++i)
            asio::co_spawn(context, Way::wait(semaphore), asio::detached);
        context.poll();
        bytes = static_cast<double>(support::allocated_bytes.load() - before) / static_cast<double>(n);
        if (!taken || semaphore.waiting() != n)
            state.SkipWithError("some coroutines do not wait");
        semaphore.release();
        context.run();
    }
    state.counters["bytes/waiter"] = bytes;
}

// ---- Time-outs ----

std::uint64_t time_outs_wanted = 10'000'000;

class impatient_callbacks {
public:
    explicit impatient_callbacks(asio::io_context& context) : semaphore_(context, 0) {}

    void start(std::uint64_t& left) { callback{&semaphore_, &left}.wait(); }
    bool is_over() const { return semaphore_.waiting() == 0 && semaphore_.in_flight() == 0; }

private:
    struct callback {
        flowguard::dynamic_semaphore* semaphore;
        std::uint64_t* left;

        void wait() const { semaphore->async_acquire_for(std::chrono::microseconds(100), *this); }
        void operator()(flowguard::error_code) const {
            if (*left > 0) {
                --*left;
                wait();
            }
        }
    };

    flowguard::dynamic_semaphore semaphore_;
};

// The lower bound of a time-out: a timer that fires.
class bare_timers {
public:
    explicit bare_timers(asio::io_context& context) : context_(context) {}

    void start(std::uint64_t& left) {
        timers_.emplace_back(context_);
        wait(timers_.back(), left);
    }
    static bool is_over() { return true; }

private:
    static void wait(asio::steady_timer& timer, std::uint64_t& left) {
        timer.expires_after(std::chrono::microseconds(100));
        timer.async_wait([&timer, &left](asio::error_code) {
            if (left > 0) {
                --left;
                wait(timer, left);
            }
        });
    }

    asio::io_context& context_;
    std::deque<asio::steady_timer> timers_;
};

double resident_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

template <class Waits>
void time_outs(benchmark::State& state) {
    constexpr int at_once = 1000;
    std::chrono::nanoseconds taken{};
    double measured = 1;
    for (auto _ : state) {
        asio::io_context context{1};
        Waits waits{context};
        std::uint64_t left = time_outs_wanted;
        for (int i = 0; i < at_once; ++i)
            waits.start(left);
        while (left > time_outs_wanted - time_outs_wanted / 10) // warms up
            context.run_one();
        const double before = resident_megabytes();
        const std::uint64_t allocations = support::allocations.load();
        measured = static_cast<double>(left);
        const auto start = measuring::thread_time();
        context.run();
        taken = measuring::thread_time() - start;
        state.SetIterationTime(std::chrono::duration<double>(taken).count());
        state.counters["allocs/op"] = static_cast<double>(support::allocations.load() - allocations) / measured;
        state.counters["MB more"] = resident_megabytes() - before;
        if (!waits.is_over())
            state.SkipWithError("some callbacks still wait");
    }
    count_time(state, taken, measured);
}

// ---- The run ----

struct options {
    bool help = false;
    std::int64_t most_waiters = 1'000'000;
    int pool_repetitions = 25; // many, because the times vary by half of their mean
    std::string folder = ".";
};

// Removes the program's own options from the arguments, and leaves the others for Google Benchmark.
options parse_options(int& argc, char** argv) {
    constexpr std::uint64_t most = 100'000'000;
    options chosen;
    int kept = 1;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            chosen.help = true;
        else if (option == "--most-waiters")
            chosen.most_waiters = static_cast<std::int64_t>(line.number_in(1000, most));
        else if (option == "--time-outs")
            time_outs_wanted = line.number_in(1, most);
        else if (option == "--pool-repetitions")
            chosen.pool_repetitions = static_cast<int>(line.number_in(1, most));
        else if (option == "--svg")
            chosen.folder = line.value();
        else
            argv[kept++] = line.option();
    }
    argc = kept;
    return chosen;
}

std::string name_of(const char* benchmark, const char* contender_name) {
    return std::string(benchmark) + '/' + contender_name;
}

template <class Way>
std::string coroutine_name() {
    return std::string("coroutine_") + Way::name;
}

template <contender S>
void add_waiters(const options& chosen) {
    const auto add = [](const char* what, std::int64_t most, auto* function) {
        auto* b = benchmark::RegisterBenchmark(name_of(what, S::name).c_str(), function);
        b->UseManualTime()->Unit(benchmark::kMillisecond);
        for (std::int64_t n = 1000; n <= most; n *= 10)
            b->Arg(n);
    };
    add("queue", chosen.most_waiters, many_waiters<S, step::queue>);
    add("grant", chosen.most_waiters, many_waiters<S, step::grant>);
    add("cancel", std::min(chosen.most_waiters, S::most_cancelled), many_waiters<S, step::cancel>);
}

template <contender S>
void add_hand_off(const options& chosen) {
    benchmark::RegisterBenchmark(name_of("hand_off", S::name).c_str(), hand_off<S>);
    benchmark::RegisterBenchmark(name_of("hand_off_of_4", S::name).c_str(), hand_off<S, 4>);
    if constexpr (S::is_thread_safe)
        benchmark::RegisterBenchmark(name_of("pool_hand_off", S::name).c_str(), pool_hand_off<S>)
            ->Arg(1)
            ->Arg(2)
            ->Arg(4)
            ->UseManualTime()
            ->MinTime(0.03)
            ->Repetitions(chosen.pool_repetitions)
            ->Unit(benchmark::kMillisecond);
}

template <contender S>
void add(const options& chosen) {
    benchmark::RegisterBenchmark(name_of("acquire_release", S::name).c_str(), acquire_release_of<S>);
    add_hand_off<S>(chosen);
    add_waiters<S>(chosen);
}

const std::vector<const char*> single_thread_peers{
    no_semaphore::name,
    plain_channel_semaphore::name,
    mutex_semaphore::name,
#if defined(FLOWGUARD_CONTENDER)
    your_contender::name,
#endif
};
const std::vector<const char*> pool_peers{
    concurrent_channel_semaphore::name, mutex_semaphore::name,
#if defined(FLOWGUARD_CONTENDER)
    your_contender::name, // has no figures if it is not thread-safe
#endif
};

class report {
public:
    report(const measuring::keeping_reporter& times, const options& chosen) : times_(times), chosen_(chosen) {}

    void print() const {
        std::printf("\nRatios of the shortest times; on a pool, of the medians:\n");
        const double cas = times_.ns("raw_cas_pair");
        print_ratio("try_acquire + release", times_.ns("try_acquire_release"), "CAS pair", cas);
        print_ratio("co_await acquire(), permit free", times_.ns("acquire_release"), "CAS pair + bare await",
                    cas + times_.ns("await_ready"));
        for (const char* ours : {permit_semaphore::name, flowguard_semaphore::name}) {
            for (const char* peer : single_thread_peers)
                print_ratio(name_of("hand_off", ours), times_.ns(name_of("hand_off", ours)), peer,
                            times_.ns(name_of("hand_off", peer)));
            const std::string on_pool = name_of("pool_hand_off", ours) + "/2";
            for (const char* peer : pool_peers)
                print_ratio(on_pool, times_.median_ns(on_pool), peer,
                            times_.median_ns(name_of("pool_hand_off", peer) + "/2"));
        }
        for (const char* what : {"queue", "grant", "cancel"}) {
            const std::string base = name_of(what, flowguard_semaphore::name) + '/';
            const std::string many = std::to_string(most());
            print_ratio(base + many, times_.ns(base + many), "1000 waiters", times_.ns(base + "1000"));
        }
        print_above_two_posts();
        print_ratio("time_outs", times_.ns("time_outs"), "timers", times_.ns("timers"));
        print_memory();
    }

    void draw() const {
        line_chart waiters("Cost of a waiter: queued, granted, cancelled (ns)", "waiters at once");
        const auto add_waiters_of = [&](const char* what, const char* who) {
            waiters.add(name_of(what, who), line(name_of(what, who), 1000, most(), 10));
        };
        for (const char* what : {"queue", "grant", "cancel"})
            add_waiters_of(what, flowguard_semaphore::name);
        for (const char* peer : single_thread_peers)
            add_waiters_of("grant", peer);
        write(waiters, "semaphore_waiters.svg");

        line_chart threads("Cost of a hand-off among 64 coroutines on a pool (ns)", "threads");
        const auto add_threads_of = [&](const char* who) {
            threads.add(who, line(name_of("pool_hand_off", who), 1, 4, 2));
        };
        for (const char* who : {permit_semaphore::name, flowguard_semaphore::name, no_semaphore::name})
            add_threads_of(who);
        for (const char* peer : pool_peers)
            add_threads_of(peer);
        write(threads, "semaphore_threads.svg");
    }

private:
    // What a hand-off costs above the two posts that it needs, over what a channel costs above them.
    void print_above_two_posts() const {
        for (const char* what : {"hand_off", "hand_off_of_4"}) {
            const double floor = times_.ns(name_of(what, no_semaphore::name));
            const double channel = times_.ns(name_of(what, plain_channel_semaphore::name));
            for (const char* ours : {acquire_semaphore::name, permit_semaphore::name, flowguard_semaphore::name})
                if (const double ns = times_.ns(name_of(what, ours)); ns > 0 && floor > 0 && channel > 0) {
                    print_ratio(name_of(what, ours) + " - two_posts", ns - floor, "channel - two_posts",
                                channel - floor);
                    std::printf("%-50s %7.2f\n", (name_of(what, ours) + ", allocations").c_str(),
                                times_.counter(name_of(what, ours), "allocs/op"));
                }
        }
    }

    void print_memory() const {
        const auto print_bytes = [this](const char* what, const std::string& name) {
            if (const double bytes = times_.counter(name, "bytes/waiter"); bytes > 0)
                std::printf("%-50s %7.0f bytes\n", what, bytes);
        };
        const auto queued = [this](const char* who) { return name_of("queue", who) + '/' + std::to_string(most()); };
        print_bytes("memory of a waiter, beyond its handler", queued(flowguard_semaphore::name));
        print_bytes("the same in a channel", queued(plain_channel_semaphore::name));
        print_bytes("memory of a coroutine in acquire()", coroutine_name<by_acquire>());
        print_bytes("the same in async_acquire(use_awaitable)", coroutine_name<by_async_acquire>());
    }

    std::int64_t most() const {
        std::int64_t n = 1000;
        while (10 * n <= chosen_.most_waiters)
            n *= 10;
        return n;
    }

    line_chart::points line(const std::string& name, std::int64_t least, std::int64_t greatest,
                            std::int64_t factor) const {
        line_chart::points points;
        for (std::int64_t n = least; n <= greatest; n *= factor)
            if (const double ns = times_.median_ns(name + '/' + std::to_string(n)); ns > 0)
                points.emplace_back(static_cast<double>(n), ns);
        return points;
    }

    void write(const line_chart& chart, const char* file) const {
        if (chart.empty())
            return; // its benchmarks were filtered out
        const std::string path = chosen_.folder + '/' + file;
        support::write_file(path, [&](std::ostream& out) { chart.write(out); });
        std::printf("chart: %s\n", path.c_str());
    }

    const measuring::keeping_reporter& times_;
    const options& chosen_;
};

void register_all(const options& chosen) {
    benchmark::RegisterBenchmark("raw_cas_pair", measuring::raw_cas_pair);
    benchmark::RegisterBenchmark("await_ready", measuring::await_ready);
    benchmark::RegisterBenchmark("try_acquire_release", try_acquire_release);
    benchmark::RegisterBenchmark("acquire_release", acquire_release);
    benchmark::RegisterBenchmark("shared_try_acquire_release", shared_try_acquire_release)->ThreadRange(1, 4);
    add_hand_off<no_semaphore>(chosen);
    add_hand_off<permit_semaphore>(chosen);
    benchmark::RegisterBenchmark(name_of("hand_off_of_4", acquire_semaphore::name).c_str(),
                                 hand_off<acquire_semaphore, 4>);
    add<flowguard_semaphore>(chosen);
    add<plain_channel_semaphore>(chosen);
    add<mutex_semaphore>(chosen);
    add_hand_off<concurrent_channel_semaphore>(chosen);
#if defined(FLOWGUARD_CONTENDER)
    add<your_contender>(chosen);
#endif
    benchmark::RegisterBenchmark(coroutine_name<by_acquire>().c_str(), waiting_coroutines<by_acquire>);
    benchmark::RegisterBenchmark(coroutine_name<by_async_acquire>().c_str(), waiting_coroutines<by_async_acquire>);
    for (const auto& [name, function] :
         {std::pair{"time_outs", &time_outs<impatient_callbacks>}, std::pair{"timers", &time_outs<bare_timers>}})
        benchmark::RegisterBenchmark(name, function)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
}

} // namespace

int main(int argc, char** argv) {
    return support::run_main("semaphore_benchmark", help_text, argc, argv, parse_options, [&](const options& chosen) {
        benchmark::Initialize(&argc, argv);
        if (benchmark::ReportUnrecognizedArguments(argc, argv))
            return false;
#if defined(__GLIBC__)
        mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max()); // keeps freed memory: see many_waiters
        mallopt(M_MMAP_MAX, 0);
#endif
        register_all(chosen);
        measuring::keeping_reporter times;
        benchmark::RunSpecifiedBenchmarks(&times);
        const report r(times, chosen);
        r.print();
        r.draw();
        return true;
    });
}
