// chaos.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// Everything that may go wrong in a service, at once: the part that the tests of a guard and of a semaphore share.
// Ordinary calls must get through all of it, because a test ends only when each worker has completed its number of
// calls. So a caller that is forgotten, or a guard that stops serving, shows as a time-out.

#ifndef FLOWGUARD_TESTS_STRESS_CHAOS_HPP
#define FLOWGUARD_TESTS_STRESS_CHAOS_HPP

// GCC 12 takes a coroutine frame's operator delete for a mismatch where it inlines its operator new alone. It reports
// that in Asio's headers, so this must come before them.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/outcome.hpp"
#include "support/asio.hpp"
#include "support/memory_in_use.hpp"

namespace chaos {

using flowguard::error_code;
using flowguard::outcome;

// How many times as long as usual the test goes on.
inline int endurance() {
    const char* factor = std::getenv("FLOWGUARD_STRESS"); // NOLINT(concurrency-mt-unsafe): read once, before threads
    return factor != nullptr ? std::max(1, std::atoi(factor)) : 1;
}

// The most memory that all calls at one time take, with their stacks and contexts, however long the test goes on.
constexpr std::size_t most_memory = 16 << 20;

// Counts the objects that it is a part of.
class canary {
public:
    canary() noexcept { ++alive; }
    canary(const canary&) noexcept { ++alive; }
    canary(canary&&) noexcept { ++alive; }
    canary& operator=(const canary&) noexcept = default;
    canary& operator=(canary&&) noexcept = default;
    ~canary() { --alive; }

    static inline std::atomic<std::int64_t> alive{0};
};

enum class ending : std::uint8_t {
    succeeded, // the first three were admitted
    ignored,
    dropped,
    shed,
    timed_out,
    cancelled,
    closed,
    bypassed,
    destroyed, // with its context; its handler was not called
    unexpected
};

// How calls ended, as their callers saw it.
class ledger {
public:
    void start(std::uint64_t weight) noexcept { started_.fetch_add(weight); }
    void end(ending how, std::uint64_t weight) noexcept {
        calls_[static_cast<std::size_t>(how)].fetch_add(1);
        ended_.fetch_add(weight);
    }
    void start_one() noexcept { ++calls_started_; }
    void note_second_end() noexcept { ++ended_twice_; }

    std::uint64_t operator[](ending how) const noexcept { return calls_[static_cast<std::size_t>(how)]; }
    std::uint64_t calls() const noexcept { return calls_started_; }
    std::uint64_t ended_twice() const noexcept { return ended_twice_; }

    std::uint64_t ends() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& n : calls_)
            sum += n;
        return sum;
    }

    // Whether `in_flight()` is at most what callers may hold. A call counts from before its start until after the
    // release of its permits.
    template <class InFlight>
    bool covers(InFlight in_flight) const {
        const std::uint64_t ended = ended_;
        const std::uint64_t held = in_flight();
        return held + ended <= started_;
    }

private:
    std::array<std::atomic<std::uint64_t>, 10> calls_{};
    std::atomic<std::uint64_t> calls_started_{0};
    std::atomic<std::uint64_t> ended_twice_{0};
    std::atomic<std::uint64_t> started_{0}; // this and the next in permits
    std::atomic<std::uint64_t> ended_{0};
};

// One call, in its caller's frame or its handler.
class call {
public:
    explicit call(ledger& in, std::uint64_t weight = 1) : in_(&in), weight_(weight) {
        in.start_one();
        in.start(weight);
    }
    call(call&& other) noexcept
        : in_(std::exchange(other.in_, nullptr)),
          weight_(other.weight_),
          ended_(other.ended_),
          admitted_(other.admitted_),
          verdict_(other.verdict_) {}
    call& operator=(call&&) = delete;
    ~call() {
        if (in_ != nullptr && !ended_)
            in_->end(admitted_ ? static_cast<ending>(verdict_) : ending::destroyed, weight_);
    }

    std::size_t weight() const noexcept { return weight_; } // the permits that it wants
    void admit() noexcept { admitted_ = true; }
    bool admitted() const noexcept { return admitted_; }
    // Sets the verdict of an admitted call. The call may have been cancelled just before its task could start.
    outcome judge(outcome how) noexcept {
        admitted_ = true;
        verdict_ = how;
        return how;
    }

    void end(ending how) noexcept {
        if (std::exchange(ended_, true))
            in_->note_second_end();
        else
            in_->end(how, weight_);
    }
    void end_as_judged() noexcept { end(static_cast<ending>(verdict_)); }
    void end_rejected(error_code why) noexcept { end(ending_of(why)); }

private:
    static ending ending_of(error_code why) noexcept {
        if (why == flowguard::error::shed)
            return ending::shed;
        if (why == flowguard::error::wait_timeout)
            return ending::timed_out;
        if (why == flowguard::error::closed)
            return ending::closed;
        return why == asio::error::operation_aborted ? ending::cancelled : ending::unexpected;
    }

    ledger* in_;
    std::uint64_t weight_;
    bool ended_ = false;
    bool admitted_ = false;
    outcome verdict_ = outcome::ignored; // as for a ticket that is destroyed without a verdict
    canary counted_;
};

// A random number. Takes no lock, and causes no race.
inline std::uint32_t any_number() {
    static std::atomic<std::uint32_t> seeds{1};
    thread_local std::minstd_rand random(seeds.fetch_add(1));
    return static_cast<std::uint32_t>(random());
}

// Threads that run the executors of a test until it is over.
class crew {
public:
    crew() : shelf_(1), single_(1), shared_(2), pool_(2) {
        run(shelf_, 1);
        run(single_, 1);
        run(shared_, 2);
    }
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;
    ~crew() { join(); }

    // A context with one thread, for calls that stay until the end.
    asio::io_context& shelf() noexcept { return shelf_; }

    // Calls `f` with one of the other executors, in its own type.
    template <class F>
    void with_any(F f) {
        switch (any_number() % 3) {
        case 0:
            return f(single_.get_executor());
        case 1:
            return f(shared_.get_executor());
        default:
            return f(pool_.get_executor());
        }
    }

    // One of the other contexts.
    asio::execution_context& any_context() {
        asio::execution_context* context = nullptr;
        with_any([&](const auto& executor) { context = &asio::query(executor, asio::execution::context); });
        return *context;
    }

    asio::any_io_executor any_strand() {
        asio::any_io_executor strand;
        with_any([&](const auto& executor) { strand = asio::make_strand(executor); });
        return strand;
    }

    // Waits until all work on the executors is done.
    void join() {
        work_.clear();
        for (std::thread& t : threads_)
            t.join();
        threads_.clear();
        pool_.join();
    }

private:
    void run(asio::io_context& context, int threads) {
        work_.push_back(asio::make_work_guard(context));
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([&context] { context.run(); });
    }

    asio::io_context shelf_;
    asio::io_context single_;
    asio::io_context shared_;
    asio::thread_pool pool_;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::vector<std::thread> threads_;
};

inline bool chance(std::uint32_t one_in) {
    return any_number() % one_in == 0;
}

inline asio::awaitable<void> rounds(std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i)
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

// The handler of a wait. Some hold what they were granted for a while. Held has the call's `record`, `take()` for what
// was granted, and `finish()`.
template <class Held>
struct waiting {
    std::atomic<std::int64_t>* outstanding; // waits; null where nobody counts them
    asio::any_io_executor where;
    Held held;

    template <class Granted>
    void operator()(error_code e, Granted granted) {
        if (outstanding != nullptr)
            --*outstanding;
        if (e)
            return held.record.end_rejected(e);
        held.take(std::move(granted));
        if (chance(2))
            return held.finish();
        asio::post(where, [later = std::move(held)]() mutable { later.finish(); });
    }
};

template <class Executor, class Held>
auto handler_on(const Executor& executor, Held held, asio::cancellation_signal* signal,
                std::atomic<std::int64_t>* outstanding) {
    if (outstanding != nullptr)
        ++*outstanding;
    const auto slot = signal != nullptr ? signal->slot() : asio::cancellation_slot();
    return asio::bind_executor(
        executor, asio::bind_cancellation_slot(slot, waiting<Held>{outstanding, executor, std::move(held)}));
}

// The part of a test that is the same for a guard and a semaphore. World has the rest:
//
//     awaitable<bool> ordinary_call()     makes any call that ends soon if admitted; returns whether it was
//     void progress(std::uint64_t n)      follows the n-th ordinary call of the workers
//     bool close_at_end()                 follows the last one; returns whether it closed the guard or semaphore
//     void start_call(executor, signals)  starts a call in a context that is destroyed soon; a signal may cancel it
//     void look()                         checks what must hold at any time
//     in_flight(), waiting()              are those of the guard or semaphore
template <class World>
class world {
public:
    // How many calls ended like this. A test must see some of each kind, because sums of nothing prove nothing.
    std::uint64_t count(ending how) const noexcept { return seen_[how]; }

protected:
    using signals = std::array<asio::cancellation_signal, 4>;

    bool is_over() const noexcept { return working_ == 0; }

    void spawn(const asio::any_io_executor& executor, asio::awaitable<void> what) {
        asio::co_spawn(executor, std::move(what), [this](std::exception_ptr e) { escaped_ += e ? 1 : 0; });
    }

    void start_workers(int workers, int calls) {
        workers_ = workers;
        working_ = workers;
        for (int i = 0; i < workers; ++i)
            spawn(crew_->any_strand(), work(calls));
    }

    // Runs each on a thread of its own, and returns when all are done.
    static void run_outsiders(const std::vector<std::function<void()>>& each) {
        std::vector<std::thread> outsiders;
        for (const auto& run : each)
            outsiders.emplace_back(run);
        for (std::thread& t : outsiders)
            t.join();
    }

    // Keeps up to `most` waits outstanding, from a thread that runs no executor. Emits for some at once and for others
    // later, and uses the signals again or destroys them. `wait_once(executor, signal)` starts a wait.
    template <class Wait>
    void flood_by_waiting(std::int64_t most, asio::cancellation_type how, Wait wait_once) {
        std::array<std::optional<asio::cancellation_signal>, 4> own;
        for (auto& s : own)
            s.emplace();
        while (!is_over()) {
            auto& signal = own[any_number() % own.size()];
            switch (outstanding_ < most ? any_number() % 4 : 0) {
            case 0:
                signal->emit(how);
                if (outstanding_ >= most)
                    std::this_thread::yield();
                break;
            case 1:
                signal.emplace();
                break;
            case 2:
                crew_->with_any([&](const auto& executor) { wait_once(executor, &*signal); });
                break;
            default:
                crew_->with_any([&](const auto& executor) { wait_once(executor, nullptr); });
                break;
            }
        }
    }

    void let_contexts_come_and_go() {
        for (int round = 0; round < 20 || !is_over(); ++round) {
            signals own; // they outlive their context
            if (chance(2)) {
                asio::io_context context(1);
                start_calls(context, own);
                for (std::uint32_t i = any_number() % 30; i > 0; --i)
                    context.poll_one();
            } else {
                asio::thread_pool context(1);
                start_calls(context, own);
                for (std::uint32_t i = any_number() % 4; i > 0; --i)
                    std::this_thread::yield();
                context.stop();
            }
            for (asio::cancellation_signal& s : own)
                s.emit(asio::cancellation_type::terminal);
        }
    }

    void look_on() {
        while (!is_over()) {
            memory_.look();
            if (!seen_.covers([this] { return self().in_flight(); }))
                ++impossible_in_flight_;
            self().look();
            std::this_thread::yield();
        }
    }

    // To be called at the end, when no call is left.
    void check_calls() const {
        CHECK(memory_.growth() < most_memory);
        CHECK(impossible_in_flight_ == 0);
        CHECK(escaped_ == 0);
        CHECK(seen_.ended_twice() == 0);
        CHECK(seen_[ending::unexpected] == 0);
        CHECK(seen_.ends() == seen_.calls());
        CHECK(self().in_flight() == 0);
        CHECK(self().waiting() == 0);
    }

    crew* crew_ = nullptr;
    ledger seen_;
    std::atomic<std::int64_t> outstanding_{0}; // waits of flood_by_waiting()
    std::atomic<int> escaped_{0};
    std::atomic<int> impossible_in_flight_{0};

private:
    World& self() noexcept { return static_cast<World&>(*this); }
    const World& self() const noexcept { return static_cast<const World&>(*this); }

    // An ordinary client, which must get through its number of calls.
    asio::awaitable<void> work(int calls) {
        for (int done = 0; done < calls;) {
            if (!co_await self().ordinary_call()) {
                co_await rounds(1);
                continue;
            }
            ++done;
            self().progress(++progress_);
        }
        if (++through_ == workers_ && self().close_at_end())
            for (int i = 0; i < 50; ++i)
                co_await self().ordinary_call();
        --working_;
    }

    template <class Context>
    void start_calls(Context& context, signals& own) {
        for (int i = 0; i < 12; ++i)
            self().start_call(context.get_executor(), own);
    }

    int workers_ = 0;
    std::atomic<int> through_{0}; // of the workers
    std::atomic<int> working_{0};
    std::atomic<std::uint64_t> progress_{0};
    support::memory_peak memory_; // of look_on()
};

} // namespace chaos

#endif
