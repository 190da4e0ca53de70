// flow_guard_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Guards that several threads use at once. Run these tests with ThreadSanitizer, and with AddressSanitizer and UBSan.

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"

// Where GCC 12 inlines a coroutine frame's operator new, but not its operator delete, it warns that the two do not
// match.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

using namespace std::chrono_literals;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::plan;
using flowguard::window;

constexpr std::size_t threads = 4;

// What a strategy has found wrong, and how often it was asked. Outlives the strategy.
struct findings {
    std::atomic<int> entered_by_two{0};
    std::atomic<int> impossible_windows{0};
    std::atomic<std::uint64_t> updates{0};
};

// Sets a random limit after each window, and counts the windows that are impossible.
class random_strategy {
public:
    random_strategy(findings& found, std::uint32_t seed, std::size_t most, std::size_t max_window)
        : state_(std::make_unique<state>(found, seed, most, max_window)) {}

    std::size_t current_limit() const noexcept { return state_->limits.max(); }
    plan update(const window& w) noexcept { return state_->update(w); }

private:
    struct state {
        state(findings& f, std::uint32_t seed, std::size_t most, std::size_t max_window)
            : found(f), random(seed), limits(1, most), sizes(1, max_window) {}

        plan update(const window& w) noexcept {
            // Relaxed: an operation that synchronizes would hide a race from ThreadSanitizer.
            if (inside.exchange(true, std::memory_order_relaxed))
                ++found.entered_by_two;
            if (!is_possible(w))
                ++found.impossible_windows;
            ++updates;
            found.updates.store(updates, std::memory_order_relaxed);
            const std::size_t after = sizes(random) % 2 == 0 ? limits(random) : 0;
            const plan next{limits(random), sizes(random), after, sizes(random) * 1ms};
            inside.store(false, std::memory_order_relaxed);
            return next;
        }

        // If a straggler ends while its window is being closed, it may be missing, or be counted twice. A probe that
        // was ended by its time limit may have no members.
        static bool is_possible(const window& w) noexcept {
            const std::size_t done = w.all.samples + w.dropped + w.ignored + w.unfinished;
            return w.limit > 0 && (w.admitted == 0 || w.max_in_flight > 0) && done <= w.admitted + threads &&
                   done + threads >= w.admitted && is_length(w.length) && is_length(w.admitting) &&
                   is_length(w.all.mean) && is_length(w.dropped_mean_rtt) && w.mean_in_flight >= 0;
        }

        static bool is_length(flowguard::duration d) noexcept { return d >= 0ns && d < 24h; }

        findings& found;
        std::mt19937 random;
        std::uniform_int_distribution<std::size_t> limits;
        std::uniform_int_distribution<std::size_t> sizes;
        std::uint64_t updates = 0; // not atomic: ThreadSanitizer reports a race
        std::atomic<bool> inside{false};
    };

    std::unique_ptr<state> state_;
};

// Never changes its limit.
struct steady_limit {
    std::size_t current_limit() const noexcept { return 8; }
    std::size_t update(const window&) const noexcept { return 8; }
};

// Stands still for a while, and then jumps, so that many calls seem to take far too long.
struct jumping_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<jumping_clock>;
    [[maybe_unused]] static constexpr bool is_steady = true;

    static time_point now() noexcept {
        static std::atomic<rep> at{0};
        static thread_local int calls = 0;
        if (++calls % 8 == 0)
            at.fetch_add(duration{2ms}.count(), std::memory_order_relaxed);
        return time_point{duration{at.load(std::memory_order_relaxed)}};
    }
};

using guard_type = flow_guard<random_strategy, jumping_clock>;
using strand = asio::strand<asio::any_io_executor>;

// How the calls ended, as their callers saw it.
struct counts {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> classified[3]{};
    std::atomic<std::uint64_t> shed{0};
    std::atomic<std::uint64_t> timed_out{0};
    std::atomic<std::uint64_t> closed{0};
    std::atomic<std::uint64_t> succeeded{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> aborted{0};
    std::atomic<std::uint64_t> unexpected{0};
    std::atomic<std::int64_t> running{0};

    std::uint64_t admitted() const { return classified[0] + classified[1] + classified[2]; }

    outcome classify(outcome how) {
        ++classified[static_cast<std::size_t>(how)];
        return how;
    }
};

// The default classifier. It also counts the outcomes.
struct counting_classifier {
    outcome operator()(const int&) const { return seen->classify(outcome::success); }
    outcome operator()(std::exception_ptr e) const {
        return seen->classify(flowguard::default_classifier{}(std::move(e)));
    }

    counts* seen;
};

// Posts itself to the executor `rounds` times. Then it returns, or throws if it is to fail.
asio::awaitable<int> work(counts& seen, int rounds, bool fails) {
    struct presence {
        explicit presence(counts& c) : in(c) { ++in.running; }
        presence(const presence&) = delete;
        presence& operator=(const presence&) = delete;
        ~presence() { --in.running; }
        counts& in;
    } here{seen};
    for (int i = 0; i < rounds; ++i)
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (fails)
        throw std::runtime_error("as told to");
    co_return 1;
}

// Emits the signal after `rounds` posts to the strand. All uses of a signal must be on one strand, because signals are
// not thread-safe.
void emit_later(strand s, std::shared_ptr<asio::cancellation_signal> signal, int rounds) {
    asio::post(s, [s, signal = std::move(signal), rounds]() mutable {
        if (rounds == 0)
            signal->emit(asio::cancellation_type::terminal);
        else
            emit_later(s, std::move(signal), rounds - 1);
    });
}

enum kind { plain, made, failing, attempted, cancelled, hurried, by_ticket, kinds };

// A random priority and partition, for most calls a random flow, and for some several permits, even more than the
// limit.
struct place {
    place(std::mt19937& random, std::size_t partitions)
        : rank(static_cast<flowguard::priority>(random() % 4)), partition(random() % partitions) {
        if (random() % 4 != 0)
            flow = random() % 5;
        if (random() % 4 == 0)
            permits = 1 + random() % 16;
    }

    flowguard::priority rank;
    std::size_t partition;
    std::optional<std::uint64_t> flow{};
    std::size_t permits = 1;
};

asio::awaitable<void> call_once(guard_type& guard, counts& seen, strand s, kind what, int rounds, place in) {
    const counting_classifier classifier{&seen};
    switch (what) {
    case plain:
        co_await guard.run(work(seen, rounds, false), classifier);
        break;
    case made:
        co_await guard.run([&] { return work(seen, rounds, false); }, classifier);
        break;
    case failing:
        co_await guard.run(work(seen, rounds, true), classifier);
        break;
    case attempted:
        if (!co_await guard.try_run([&] { return work(seen, rounds, false); },
                                    flowguard::run_options<counting_classifier, jumping_clock>{
                                        .permits = in.permits, .classify = classifier})) {
            ++seen.shed;
            co_return;
        }
        break;
    case cancelled: {
        auto signal = std::make_shared<asio::cancellation_signal>();
        emit_later(s, signal, rounds);
        co_await asio::co_spawn(s, guard.run(work(seen, 4, false), classifier),
                                asio::bind_cancellation_slot(signal->slot(), asio::use_awaitable));
        break;
    }
    case hurried: // the deadline is a few jumps of the clock away
        co_await guard.run(work(seen, rounds, false), flowguard::run_options<counting_classifier, jumping_clock>{
                                                          .deadline = jumping_clock::now() + rounds * 8ms,
                                                          .priority = in.rank,
                                                          .partition = in.partition,
                                                          .flow = in.flow,
                                                          .permits = in.permits,
                                                          .classify = classifier});
        break;
    default: {
        auto t = co_await guard.async_acquire(
            {.priority = in.rank, .partition = in.partition, .flow = in.flow, .permits = in.permits},
            asio::use_awaitable);
        co_await work(seen, rounds, false);
        t.finish(seen.classify(static_cast<outcome>(rounds % 3)));
        break;
    }
    }
    ++seen.succeeded;
}

asio::awaitable<void> client(guard_type& guard, counts& seen, strand s, std::uint32_t seed, int calls,
                             std::size_t partitions) {
    std::mt19937 random{seed};
    for (int i = 0; i < calls; ++i) {
        ++seen.calls;
        try {
            const auto what = static_cast<kind>(random() % kinds);
            const auto rounds = static_cast<int>(random() % 4);
            co_await call_once(guard, seen, s, what, rounds, place(random, partitions));
        } catch (const std::runtime_error& e) { // system_error is one, too
            const auto* with_code = dynamic_cast<const asio::system_error*>(&e);
            if (with_code == nullptr)
                ++seen.failed;
            else if (with_code->code() == asio::error::operation_aborted)
                ++seen.aborted;
            else if (with_code->code() == flowguard::error::shed)
                ++seen.shed;
            else if (with_code->code() == flowguard::error::wait_timeout)
                ++seen.timed_out;
            else if (with_code->code() == flowguard::error::closed)
                ++seen.closed;
            else
                ++seen.unexpected;
        } catch (...) {
            ++seen.unexpected;
        }
    }
}

} // namespace

TEST_CASE("Outcomes and permits add up after calls of every kind on many threads") {
    guard_options options{.min_window = 10, .order = flowguard::wait_order::fifo};
    SECTION("any number of callers may wait, for any time") {}
    SECTION("few callers may wait") {
        options.max_waiters = 12;
    }
    SECTION("callers may wait for a short time") {
        options.max_wait = 20ms;
    }
    SECTION("few callers may wait, for a short time") {
        options.max_waiters = 12;
        options.max_wait = 20ms;
    }
    SECTION("the order of the waiting callers adapts") {
        options.max_waiters = 30;
        options.order = flowguard::wait_order::adaptive;
        options.target = 5ms;
        options.interval = 10ms;
    }
    SECTION("the order of the waiting callers adapts to the RTT") {
        options.order = flowguard::wait_order::adaptive;
    }
    SECTION("waiting callers age, and each partition has its share") {
        options.max_waiters = 30;
        options.ageing = 10ms;
        options.partitions = {0.5, 0.3, 0.2, 0};
    }
    findings found;
    counts seen;
    guard_type guard{random_strategy{found, 1, 12, 40}, options};
    const std::size_t partitions = std::max<std::size_t>(options.partitions.size(), 1);
    asio::thread_pool pool{threads};
    constexpr int clients = 40;
    constexpr int calls = 250;
    for (std::uint32_t i = 0; i < clients; ++i) {
        strand s{pool.get_executor()};
        asio::co_spawn(s, client(guard, seen, s, 100 + i, calls, partitions), [&seen](std::exception_ptr e) {
            if (e)
                ++seen.unexpected;
        });
    }
    pool.join();

    CHECK(guard.in_flight() == 0);
    for (std::size_t p = 0; p < partitions; ++p)
        CHECK(guard.in_flight(p) == 0);
    CHECK(guard.waiting() == 0);
    CHECK(guard.available_permits() == guard.current_limit());
    CHECK(seen.running == 0);
    CHECK(seen.unexpected == 0);
    CHECK(seen.calls == clients * calls);
    CHECK(seen.succeeded + seen.failed + seen.aborted + seen.shed + seen.timed_out == seen.calls);

    const guard_stats s = guard.stats();
    CHECK(s.succeeded == seen.classified[static_cast<std::size_t>(outcome::success)]);
    CHECK(s.ignored == seen.classified[static_cast<std::size_t>(outcome::ignored)]);
    CHECK(s.dropped == seen.classified[static_cast<std::size_t>(outcome::dropped)]);
    CHECK(s.shed == seen.shed);
    CHECK(s.timed_out == seen.timed_out);
    const std::uint64_t never_admitted = seen.calls - seen.admitted() - seen.shed - seen.timed_out;
    CHECK(never_admitted <= seen.aborted);

    // Each kind of end must have occurred. Otherwise the sums would prove little.
    CHECK(seen.failed > 0);
    CHECK(seen.shed > 0);
    CHECK(seen.timed_out > 0);
    CHECK(never_admitted > 0);
    CHECK(seen.aborted > never_admitted);

    CHECK(found.entered_by_two == 0);
    CHECK(found.impossible_windows == 0);
    CHECK(found.updates > 0);
    CHECK(s.windows == found.updates);
}

TEST_CASE("Windows are closed one at a time, even if members straggle") {
    findings found;
    std::atomic<std::uint64_t> admitted{0};
    constexpr int attempts = 60'000;
    guard_type guard{random_strategy{found, 2, 8, 3}, guard_options{.min_window = 2}};
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < threads; ++i)
        workers.emplace_back([&, i] {
            std::minstd_rand random{static_cast<std::uint32_t>(i + 1)};
            for (int n = 0; n < attempts; ++n)
                if (auto t = guard.try_acquire()) {
                    ++admitted;
                    t.finish(static_cast<outcome>(random() % 4 % 3)); // half of them are successes
                }
        });
    for (std::thread& w : workers)
        w.join();

    const guard_stats s = guard.stats();
    CHECK(s.succeeded + s.ignored + s.dropped == admitted);
    CHECK(s.shed == threads * attempts - admitted);
    CHECK(guard.in_flight() == 0);
    CHECK(guard.available_permits() == guard.current_limit());
    CHECK(found.entered_by_two == 0);
    CHECK(found.impossible_windows == 0);
    CHECK(found.updates > 20); // few, since a busy machine may stop a worker in a window
    CHECK(s.windows == found.updates);
}

TEST_CASE("The number of admitted calls never decreases, and hardly exceeds the true number") {
    flow_guard guard{steady_limit{}, guard_options{.min_window = 10}};
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> admitted{0};
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < threads - 1; ++i)
        workers.emplace_back([&, i] {
            for (std::size_t n = i; !done; ++n) {
                const std::size_t permits = n % 4 == 0 ? 1 + n % 12 : 1; // more than the limit, too
                if (n % 3 == 0) {
                    static_cast<void>(
                        guard.run_blocking_as_tuple([&] { ++admitted; }, {.flow = n % 5, .permits = permits}));
                } else if (auto t = guard.try_acquire({.permits = permits})) {
                    t.success();
                    ++admitted;
                }
            }
        });
    std::uint64_t last = 0;
    std::uint64_t fell = 0;
    std::uint64_t most_beyond = 0;
    for (int i = 0; i < 20'000 || last < 10'000; ++i) {
        const std::uint64_t now = guard.stats().admitted;
        fell += now < last ? 1 : 0;
        last = now;
        const std::uint64_t least = admitted;
        most_beyond = std::max(most_beyond, now > least ? now - least : 0);
    }
    done = true;
    for (std::thread& w : workers)
        w.join();
    CHECK(fell == 0);
    CHECK(most_beyond <= 2 * threads);
    CHECK(guard.stats().admitted >= admitted);
    CHECK(guard.stats().admitted <= admitted + threads);
}

TEST_CASE("A destroyed guard's strategy and observer are destroyed as soon as no thread is inside them") {
    struct watched {
        std::size_t current_limit() const noexcept { return 4; }
        plan update(const window&) noexcept {
            ++*updates; // not atomic: ThreadSanitizer reports a race with another update or the destructor
            return {4, 1};
        }
        std::shared_ptr<std::uint64_t> updates = std::make_shared<std::uint64_t>(0);
    };
    for (int round = 0; round < 200; ++round) {
        auto observed = std::make_shared<std::uint64_t>(0);
        watched strategy;
        const std::weak_ptr<std::uint64_t> of_strategy = strategy.updates;
        const std::weak_ptr<std::uint64_t> of_observer = observed;
        std::optional<flow_guard<watched>> guard;
        guard.emplace(std::move(strategy),
                      guard_options{.min_window = 1, .on_decision = [observed](const auto&) { ++*observed; }});
        observed.reset();
        std::vector<flow_guard<watched>::ticket> tickets[threads];
        for (auto& some : tickets)
            some.push_back(guard->try_acquire());
        std::latch ready{threads + 1};
        std::vector<std::thread> workers;
        for (auto& some : tickets)
            workers.emplace_back([&] {
                ready.arrive_and_wait();
                some.front().success();
            });
        ready.arrive_and_wait();
        guard.reset();
        for (std::thread& w : workers)
            w.join();
        REQUIRE(of_strategy.expired());
        REQUIRE(of_observer.expired());
    }
}

TEST_CASE("The trace of a guard can be read while its limit changes") {
    findings found;
    guard_type guard{random_strategy{found, 3, 8, 3}, guard_options{.min_window = 1, .trace = 8}};
    std::atomic<bool> done{false};
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < threads - 1; ++i)
        workers.emplace_back([&] {
            while (!done)
                guard.try_acquire().success();
        });
    std::size_t torn = 0;
    std::size_t seen = 0;
    // Until the trace is full, too: this thread may read its first decision thousands of times before the others run.
    while (seen < 5000 || guard.stats().windows < 8)
        for (const flowguard::limit_decision& d : guard.trace()) {
            ++seen;
            torn +=
                d.limit >= 1 && d.limit <= 8 && d.probe <= 8 && d.before >= 1 && d.before <= 8 && d.at >= 0ns ? 0 : 1;
        }
    done = true;
    for (std::thread& w : workers)
        w.join();
    CHECK(torn == 0);
    CHECK(guard.trace().size() == 8);
}

TEST_CASE("A guard may be destroyed while other threads hold its tickets") {
    findings found;
    asio::thread_pool pool{threads};
    for (std::uint32_t round = 0; round < 400; ++round) {
        std::optional<guard_type> guard;
        guard.emplace(random_strategy{found, round, 8, 3}, guard_options{.min_window = 1});
        std::latch ready{threads + 1};
        std::latch done{threads};
        for (std::size_t i = 0; i < threads; ++i)
            asio::post(pool, [&ready, &done, i, a = guard->try_acquire(), b = guard->try_acquire()]() mutable {
                ready.arrive_and_wait();
                a.finish(static_cast<outcome>(i % 3));
                auto moved = std::move(b);
                moved.success();
                done.count_down();
            });
        ready.arrive_and_wait();
        guard.reset();
        done.wait();
    }
    pool.join();
    CHECK(found.entered_by_two == 0);
    CHECK(found.impossible_windows == 0);
}

TEST_CASE("Closing a guard during calls of every kind loses no call and no permit") {
    constexpr int clients = 24;
    constexpr int calls = 60;
    std::uint64_t closed = 0;
    for (std::uint32_t round = 0; round < 12; ++round) {
        findings found;
        counts seen;
        guard_type guard{random_strategy{found, round, 8, 20}, guard_options{.min_window = 5,
                                                                             .max_waiters = 10,
                                                                             .max_wait = 30ms,
                                                                             .order = flowguard::wait_order::adaptive,
                                                                             .target = 5ms,
                                                                             .interval = 10ms,
                                                                             .ageing = 10ms,
                                                                             .partitions = {0.6, 0.4}}};
        asio::thread_pool pool{threads};
        for (std::uint32_t i = 0; i < clients; ++i) {
            strand s{pool.get_executor()};
            asio::co_spawn(s, client(guard, seen, s, 1000 * round + i, calls, 2), [&seen](std::exception_ptr e) {
                if (e)
                    ++seen.unexpected;
            });
        }
        while (seen.calls < clients * calls / 3)
            std::this_thread::yield();
        guard.close();
        pool.join();

        CHECK(seen.calls == clients * calls);
        CHECK(seen.unexpected == 0);
        CHECK(seen.running == 0);
        CHECK(seen.succeeded + seen.failed + seen.aborted + seen.shed + seen.timed_out + seen.closed == seen.calls);
        CHECK(guard.in_flight() == 0);
        CHECK(guard.in_flight(0) + guard.in_flight(1) == 0);
        CHECK(guard.waiting() == 0);
        const guard_stats s = guard.stats();
        CHECK(s.admitted == seen.admitted());
        CHECK(s.shed + s.closed == seen.shed + seen.closed); // an attempt is not told which
        CHECK(s.timed_out == seen.timed_out);
        CHECK(s.waiting_by_priority == std::array<std::size_t, 4>{});
        closed += s.closed;
    }
    CHECK(closed > 0);
}

TEST_CASE("A guard may be destroyed while its calls wait and run on other threads") {
    findings found;
    counts seen;
    constexpr std::uint32_t rounds = 15;
    constexpr std::size_t calls = 60;
    std::uint64_t in_flight = 0;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        asio::thread_pool pool{threads};
        std::optional<guard_type> guard;
        guard.emplace(random_strategy{found, round, 6, 5},
                      guard_options{.min_window = 1, .order = flowguard::wait_order::fifo});
        std::atomic<bool> go{false};
        auto task = [&]() -> asio::awaitable<int> {
            while (!go)
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            co_return 1;
        };
        for (std::size_t i = 0; i < calls; ++i)
            asio::co_spawn(pool, guard->run(task),
                           [&](std::exception_ptr e, int) { ++(e ? seen.aborted : seen.succeeded); });
        while (guard->waiting() + guard->in_flight() < calls)
            std::this_thread::yield();
        in_flight += guard->in_flight();
        go = true;
        guard.reset();
        pool.join();
    }
    CHECK(seen.succeeded + seen.aborted == rounds * calls);
    CHECK(seen.succeeded >= in_flight);
    CHECK(seen.aborted > 0);
    CHECK(found.entered_by_two == 0);
    CHECK(found.impossible_windows == 0);
}
