// chaos_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Everything that may go wrong in a service, at once, on one guard or one semaphore: calls that hang, streams, floods,
// cancellations, deadlines, what throws, what is slow, contexts that go, clocks that are set. Best run with
// -fsanitize=thread, and with address,undefined; FLOWGUARD_STRESS=100 makes it minutes.
//
// Ordinary calls must get through all of this: a test ends when each worker has had its number of calls. So a caller
// that is forgotten, or a guard that stops serving, shows as a time-out.

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"
#include "support/memory_in_use.hpp"

// GCC 12 takes a coroutine frame's operator delete for a mismatch where it inlines its operator new alone.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

using namespace std::chrono_literals;
using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::permit;
using flowguard::rejection;

// How much longer than usual to go on.
int endurance() {
    const char* factor = std::getenv("FLOWGUARD_STRESS"); // NOLINT(concurrency-mt-unsafe): read once, before threads
    return factor != nullptr ? std::max(1, std::atoi(factor)) : 1;
}

// What all calls at once, their stacks and their contexts take at most, however long the test goes on.
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
    succeeded, // these three: admitted
    ignored,
    dropped,
    shed,
    timed_out,
    cancelled,
    closed,
    bypassed,
    destroyed, // uncalled, with its context
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

    // Whether `in_flight()` is at most what callers may hold: a call counts from before it starts until after its
    // permits are back.
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
    std::atomic<std::uint64_t> started_{0}; // these two in permits
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

    void admit() noexcept { admitted_ = true; }
    bool admitted() const noexcept { return admitted_; }
    // Of an admitted call, even one that was cancelled just before its task could start.
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
    outcome verdict_ = outcome::ignored; // as is a ticket that is destroyed without one
    canary counted_;
};

// Runs on as steady_clock does, but is set forward by years and back by hours, and after a century back to the start.
struct stepping_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<stepping_clock>;
    [[maybe_unused]] static constexpr bool is_steady = false;

    static time_point now() noexcept {
        return time_point(std::chrono::steady_clock::now().time_since_epoch() + duration(offset.load()));
    }

    static void step(std::uint64_t n) noexcept {
        constexpr rep year = duration(24h).count() * 365;
        if (offset > 100 * year)
            offset = 0;
        else
            offset += n % 3 == 0 ? 3 * year : -duration(5h).count();
    }

    static inline std::atomic<rep> offset{0};
};

// Spins for a while, as slow code does.
void dawdle() {
    for (std::atomic<int> i{0}; i < 500; ++i) {
    }
}

// A number that is hard to tell, without a lock or a race.
std::uint32_t any_number() {
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

    // For what stays till the end; one thread.
    asio::io_context& shelf() noexcept { return shelf_; }

    // One of the others, by its own type.
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

    asio::any_io_executor any_strand() {
        asio::any_io_executor strand;
        with_any([&](const auto& executor) { strand = asio::make_strand(executor); });
        return strand;
    }

    // Waits until everybody on the executors is done.
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

// Lets coroutines on the shelf hang until the test is over.
class long_wait {
public:
    explicit long_wait(asio::io_context& shelf) : timer_(shelf, asio::steady_timer::time_point::max()) {}

    asio::awaitable<void> pass() {
        error_code ignored;
        if (!over_)
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }

    void end() {
        asio::post(timer_.get_executor(), [this] {
            over_ = true;
            timer_.cancel();
        });
    }

private:
    asio::steady_timer timer_;
    bool over_ = false;
};

asio::awaitable<void> rounds(std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i)
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

constexpr std::size_t most_permits = 24; // the highest limit of the guards

// Vegas, whose limit is made to jump, and to probe below what hangs.
class chaotic_strategy {
public:
    explicit chaotic_strategy(std::size_t least)
        : least_(least),
          vegas_(flowguard::vegas_options{.initial_limit = most_permits,
                                          .min_limit = least,
                                          .max_limit = most_permits,
                                          .min_window = 20,
                                          .min_probe = 10}) {}

    std::size_t current_limit() const noexcept { return vegas_.current_limit(); }
    flowguard::duration baseline() const noexcept { return vegas_.baseline(); }
    const char* reason() const noexcept { return vegas_.reason(); }

    flowguard::plan update(const flowguard::window& w) {
        const flowguard::plan wanted = vegas_.update(w);
        switch (++updates_ % 4) {
        case 0:
            return {least_ + any_number() % (most_permits - least_ + 1), 1 + any_number() % 20};
        case 1:
            return {1, 1 + any_number() % 5, most_permits, any_number() % 20 * 1ms};
        default:
            return wanted;
        }
    }

private:
    std::size_t least_;
    flowguard::vegas_strategy vegas_;
    std::uint64_t updates_ = 0;
    std::unique_ptr<canary> counted_ = std::make_unique<canary>();
};

using guard_type = flowguard::flow_guard<chaotic_strategy, stepping_clock>;

struct classifier_failure {};

// Tells the call's record, and sometimes throws instead.
struct judging {
    outcome operator()(const int& result) const {
        return result % 7 == 0 ? fail() : of->judge(static_cast<outcome>(result % 3));
    }
    outcome operator()(std::exception_ptr e) const { // NOLINT(performance-unnecessary-value-param): asked by type
        return any_number() % 5 == 0 ? fail() : of->judge(flowguard::default_classifier{}(std::move(e)));
    }
    [[noreturn]] outcome fail() const {
        of->judge(outcome::ignored);
        throw classifier_failure();
    }

    call* of = nullptr;
};

// Everything that happens to one guard.
class guard_chaos {
public:
    using ticket = guard_type::ticket;
    using options = flowguard::run_options<judging, stepping_clock>;

    static constexpr std::size_t hanging = 3; // from the start, and as many later
    static constexpr std::size_t streams = 4;
    static constexpr std::size_t max_waiters = 24;

    // With `closes`, the guard is closed at the end, in the middle of the floods.
    guard_chaos(guard_options o, bool contexts_go, bool closes)
        : partitions_(std::max<std::size_t>(o.partitions.size(), 1)), contexts_go_(contexts_go), closes_(closes) {
        o.max_waiters = max_waiters;
        o.min_window = 10;
        o.on_rejection = [this, counted = canary()](rejection why) { observe(why); };
        o.on_decision = [this, counted = canary()](const flowguard::limit_decision&) { observe_decision(); };
        guard_.emplace(chaotic_strategy(2 * hanging + streams + 2), std::move(o));
    }

    void run(int workers, int calls) {
        std::optional<crew> all(std::in_place);
        crew_ = &*all;
        std::optional<long_wait> end(all->shelf());
        std::vector<held_ticket> held;
        for (std::size_t i = 0; i < streams; ++i)
            held.push_back(stream());
        for (std::size_t i = 0; i < hanging; ++i)
            spawn(all->shelf().get_executor(), hang(*end));
        spawn(all->shelf().get_executor(), hang_one_by_one(*end));

        workers_ = workers;
        working_ = workers;
        for (int i = 0; i < workers; ++i)
            spawn(all->any_strand(), work(calls));
        for (int i = 0; i < 4; ++i)
            spawn(all->any_strand(), flood_by_try_run());
        std::vector<std::thread> outsiders;
        outsiders.emplace_back([this] { flood_by_waiting(); });
        outsiders.emplace_back([this] { flood_by_trying(); });
        outsiders.emplace_back([this] { look_on(); });
        if (contexts_go_)
            outsiders.emplace_back([this] { let_contexts_come_and_go(); });
        for (std::thread& t : outsiders)
            t.join();

        end->end();
        for (held_ticket& s : held)
            s.finish();
        held.clear();
        all->join();
        check();
        guard_.reset();
        end.reset();
        all.reset();
        CHECK(canary::alive == 0);
    }

    // Of which kinds there were any, so that sums of nothing do not pass for proof.
    std::uint64_t count(ending how) const noexcept { return seen_[how]; }

private:
    struct held_ticket {
        call record;
        ticket held{};

        void finish() {
            held.finish(record.judge(outcome::success));
            record.end_as_judged();
        }
    };

    held_ticket stream() {
        held_ticket s{call(seen_)};
        s.held = guard_->try_acquire();
        REQUIRE(s.held);
        s.record.admit();
        return s;
    }

    bool is_over() const noexcept { return working_ == 0; }

    void spawn(const asio::any_io_executor& executor, asio::awaitable<void> what) {
        asio::co_spawn(executor, std::move(what), [this](std::exception_ptr e) { escaped_ += e ? 1 : 0; });
    }

    static bool chance(std::uint32_t one_in) { return any_number() % one_in == 0; }

    static stepping_clock::time_point any_deadline() {
        return chance(2) ? stepping_clock::time_point::max() : stepping_clock::now() + any_number() % 8 * 1ms;
    }
    options any_options(call& c) const {
        return {.deadline = any_deadline(),
                .priority = static_cast<flowguard::priority>(any_number() % 4),
                .partition = any_number() % partitions_,
                .classify = judging{&c}};
    }
    flowguard::run_options<flowguard::default_classifier, stepping_clock> any_wait() const {
        return {.deadline = any_deadline(),
                .priority = static_cast<flowguard::priority>(any_number() % 4),
                .partition = any_number() % partitions_};
    }

    // ---- Tasks ----

    static asio::awaitable<int> task(call& c, std::uint32_t n, bool fails) {
        const canary counted;
        c.admit();
        co_await rounds(n % 4);
        if (fails)
            throw std::runtime_error("as told to");
        co_return static_cast<int>(n % 1000);
    }

    // A task that calls the guard again, under the permit that it has.
    asio::awaitable<int> nesting_task(call& c, std::uint32_t n) {
        c.admit();
        call inner(seen_);
        const options bypass{.bypass = true, .classify = judging{&inner}};
        co_await guard_->run(rounds_of(n), bypass);
        inner.end(ending::bypassed);
        co_return static_cast<int>(n % 1000);
    }
    static asio::awaitable<int> rounds_of(std::uint32_t n) {
        co_await rounds(n % 2);
        co_return 1;
    }

    static asio::awaitable<int> hanging_task(call& c, long_wait& end) {
        c.admit();
        co_await end.pass();
        co_return 1;
    }

    static asio::awaitable<int> endless_task(call& c) {
        c.admit();
        asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await never.async_wait(asio::use_awaitable);
        co_return 1;
    }

    // ---- Calls ----

    // Any call that ends soon once it is admitted; whether it was. Its executor is not concurrent.
    asio::awaitable<bool> any_call() {
        call c(seen_);
        const std::uint32_t n = any_number();
        const bool fails = chance(5);
        options o = any_options(c);
        const auto make = [&c, n, fails] { return task(c, n, fails); };
        bool ran = true;
        try {
            switch (any_number() % 6) {
            case 0:
                co_await guard_->run(task(c, n, fails), judging{&c});
                break;
            case 1:
                co_await guard_->run(make, o);
                break;
            case 2:
                co_await guard_->run(nesting_task(c, n), o);
                break;
            case 3:
                o.deadline = stepping_clock::time_point::max(); // else "too late" looks like "no permit"
                ran = (co_await guard_->try_run(make, o)).has_value();
                break;
            case 4:
                co_await cancelled_call(c, n);
                break;
            default:
                co_await ticket_call(c, n);
                break;
            }
        } catch (const asio::system_error& e) {
            if (!c.admitted()) {
                c.end_rejected(e.code());
                co_return false;
            }
        } catch (const std::runtime_error&) { // the task's
        } catch (const classifier_failure&) {
        }
        if (ran)
            c.end_as_judged();
        else
            c.end(ending::shed);
        co_return ran;
    }

    asio::awaitable<void> cancelled_call(call& c, std::uint32_t n) {
        const auto here = co_await asio::this_coro::executor;
        auto signal = std::make_shared<asio::cancellation_signal>();
        emit_later(here, signal, n % 3);
        co_await asio::co_spawn(here, guard_->run(task(c, n, false), judging{&c}),
                                asio::bind_cancellation_slot(signal->slot(), asio::use_awaitable));
    }

    static void emit_later(const asio::any_io_executor& where, std::shared_ptr<asio::cancellation_signal> signal,
                           std::uint32_t n) {
        asio::post(where, [where, signal = std::move(signal), n]() mutable {
            if (n == 0)
                signal->emit(asio::cancellation_type::terminal);
            else
                emit_later(where, std::move(signal), n - 1);
        });
    }

    asio::awaitable<void> ticket_call(call& c, std::uint32_t n) {
        ticket t = co_await guard_->async_acquire(any_wait(), asio::use_awaitable);
        c.admit();
        co_await rounds(n % 4);
        ticket moved(std::move(t));
        moved.finish(c.judge(static_cast<outcome>(n % 3)));
    }

    asio::awaitable<void> endless_call() {
        call c(seen_);
        try {
            co_await guard_->run(endless_task(c), any_options(c));
        } catch (const asio::system_error& e) {
            c.end_rejected(e.code());
        }
    }

    asio::awaitable<void> hang(long_wait& end) {
        while (!is_over()) {
            call c(seen_);
            try {
                co_await guard_->run(hanging_task(c, end), judging{&c});
            } catch (const asio::system_error& e) {
                c.end_rejected(e.code());
                continue;
            } catch (const classifier_failure&) {
            }
            c.end_as_judged();
            co_return;
        }
    }

    asio::awaitable<void> hang_one_by_one(long_wait& end) {
        for (std::size_t i = 0; i < hanging; ++i) {
            for (int n = 0; n < 20 && !is_over(); ++n)
                co_await any_call();
            spawn(co_await asio::this_coro::executor, hang(end));
        }
    }

    // An ordinary client, which must get through.
    asio::awaitable<void> work(int calls) {
        for (int done = 0; done < calls;) {
            if (!co_await any_call()) {
                co_await rounds(1);
                continue;
            }
            ++done;
            if (const std::uint64_t n = ++progress_; n % 4 == 0)
                stepping_clock::step(n / 4);
        }
        if (++through_ == workers_ && closes_) {
            guard_->close();
            for (int i = 0; i < 50; ++i)
                co_await any_call();
        }
        --working_;
    }

    // ---- Floods ----

    asio::awaitable<void> flood_by_try_run() {
        while (!is_over()) {
            for (int i = 0; i < 16; ++i) {
                call c(seen_);
                const auto make = [&c] { return task(c, 0, false); };
                bool ran = true;
                try {
                    ran = (co_await guard_->try_run(make, judging{&c})).has_value();
                } catch (const classifier_failure&) {
                }
                if (ran)
                    c.end_as_judged();
                else
                    c.end(ending::shed);
            }
            co_await rounds(1);
        }
    }

    void flood_by_trying() {
        while (!is_over()) {
            for (int i = 0; i < 16; ++i)
                try_once();
            std::this_thread::yield();
        }
    }

    void try_once() {
        call c(seen_);
        ticket t = chance(2) ? guard_->try_acquire() : guard_->try_acquire(any_number() % partitions_);
        if (!t)
            return c.end(ending::shed);
        c.admit();
        t.finish(c.judge(static_cast<outcome>(any_number() % 3)));
        c.end_as_judged();
    }

    // The handler of a wait. Some hold their ticket for a while.
    struct waiting {
        std::atomic<std::int64_t>* untold; // null where nobody counts
        asio::any_io_executor where;
        held_ticket held;

        void operator()(error_code e, ticket t) {
            if (untold != nullptr)
                --*untold;
            if (e)
                return held.record.end_rejected(e);
            held.record.admit();
            held.held = std::move(t);
            if (chance(2))
                return held.finish();
            asio::post(where, [later = std::move(held)]() mutable { later.finish(); });
        }
    };

    template <class Executor>
    void wait_once(const Executor& executor, asio::cancellation_signal* signal, std::atomic<std::int64_t>* untold) {
        if (untold != nullptr)
            ++*untold;
        const auto slot = signal != nullptr ? signal->slot() : asio::cancellation_slot();
        auto handler = asio::bind_executor(
            executor, asio::bind_cancellation_slot(slot, waiting{untold, executor, held_ticket{call(seen_)}}));
        if (chance(2))
            guard_->async_acquire(std::move(handler));
        else
            guard_->async_acquire(any_wait(), std::move(handler));
    }

    // More waits at once than may, from a thread that runs no executor, and emits for some at once, for others later,
    // uses signals again, and destroys them.
    void flood_by_waiting() {
        std::array<std::optional<asio::cancellation_signal>, 4> signals;
        for (auto& s : signals)
            s.emplace();
        while (!is_over()) {
            if (untold_ >= static_cast<std::int64_t>(3 * max_waiters)) {
                std::this_thread::yield();
                continue;
            }
            auto& signal = signals[any_number() % signals.size()];
            switch (any_number() % 4) {
            case 0:
                signal->emit(asio::cancellation_type::terminal);
                break;
            case 1:
                signal.emplace();
                break;
            case 2:
                crew_->with_any([&](const auto& executor) { wait_once(executor, &*signal, &untold_); });
                break;
            default:
                crew_->with_any([&](const auto& executor) { wait_once(executor, nullptr, &untold_); });
                break;
            }
        }
    }

    // ---- Contexts ----

    void let_contexts_come_and_go() {
        for (int round = 0; round < 20 || !is_over(); ++round) {
            std::array<asio::cancellation_signal, 4> signals; // outlive their context
            if (chance(2)) {
                asio::io_context own(1);
                start_calls(own, signals);
                for (std::uint32_t i = any_number() % 30; i > 0; --i)
                    own.poll_one();
            } else {
                asio::thread_pool own(1);
                start_calls(own, signals);
                for (std::uint32_t i = any_number() % 4; i > 0; --i)
                    std::this_thread::yield();
                own.stop();
            }
            for (asio::cancellation_signal& s : signals)
                s.emit(asio::cancellation_type::terminal);
        }
    }

    template <class Context>
    void start_calls(Context& own, std::array<asio::cancellation_signal, 4>& signals) {
        for (std::uint32_t i = 0; i < 12; ++i) {
            switch (any_number() % 4) {
            case 0:
                spawn(own.get_executor(), ignore(any_call()));
                break;
            case 1:
                spawn(own.get_executor(), endless_call());
                break;
            case 2:
                wait_once(own.get_executor(), nullptr, nullptr);
                break;
            default:
                wait_once(own.get_executor(), &signals[any_number() % signals.size()], nullptr);
                break;
            }
        }
    }

    static asio::awaitable<void> ignore(asio::awaitable<bool> what) { co_await std::move(what); }

    // ---- Observers ----

    void observe(rejection why) {
        const std::uint64_t n = ++observed_[static_cast<std::size_t>(why)];
        if (n % 64 == 0)
            dawdle();
        thread_local bool inside = false;
        if (n % 5 == 0 && !inside) { // calls the guard, whose rejection comes here again
            inside = true;
            try {
                try_once();
            } catch (...) {
                ++escaped_;
            }
            inside = false;
        }
        if (n % 7 == 0)
            throw std::runtime_error("an observer's");
    }

    void observe_decision() {
        // Relaxed, for what synchronizes would hide a race.
        if (deciding_.exchange(true, std::memory_order_relaxed))
            ++decided_at_once_;
        const std::uint64_t n = ++decisions_;
        if (n % 8 == 0)
            dawdle();
        deciding_.store(false, std::memory_order_relaxed);
        if (n % 3 == 0)
            throw std::runtime_error("an observer's");
    }

    // ---- What must hold ----

    void look_on() {
        std::uint64_t admitted = 0;
        while (!is_over()) {
            memory_.look();
            if (!seen_.covers([this] { return guard_->in_flight(); }))
                ++impossible_in_flight_;
            const guard_stats s = guard_->stats();
            if (s.in_flight > most_permits || s.limit > most_permits)
                ++impossible_in_flight_;
            if (s.admitted < admitted)
                ++admitted_fell_;
            admitted = s.admitted;
            for (const flowguard::limit_decision& d : guard_->trace())
                if (d.limit > most_permits || d.probe > most_permits || d.mean_in_flight < 0)
                    ++impossible_decisions_;
            std::this_thread::yield();
        }
    }

    // What a guard counted and callers saw. A call that was destroyed with its context may have been counted before.
    void check_count(std::uint64_t counted, ending how) const {
        CAPTURE(static_cast<int>(how));
        CHECK(counted >= seen_[how]);
        CHECK(counted <= seen_[how] + seen_[ending::destroyed]);
    }

    void check() const {
        CHECK(memory_.growth() < most_memory);
        CHECK(impossible_in_flight_ == 0);
        CHECK(impossible_decisions_ == 0);
        CHECK(admitted_fell_ == 0);
        CHECK(decided_at_once_ == 0);
        CHECK(escaped_ == 0);
        CHECK(seen_.ended_twice() == 0);
        CHECK(seen_[ending::unexpected] == 0);
        CHECK(seen_.ends() == seen_.calls());
        CHECK((contexts_go_ || seen_[ending::destroyed] == 0));

        CHECK(guard_->in_flight() == 0);
        for (std::size_t p = 0; p < partitions_; ++p)
            CHECK(guard_->in_flight(p) == 0);
        CHECK(guard_->waiting() == 0);
        if (!closes_)
            CHECK(guard_->available_permits() == guard_->current_limit());

        const guard_stats s = guard_->stats();
        CHECK(s.waiting_by_priority == std::array<std::size_t, 4>{});
        CHECK(s.windows == decisions_);
        CHECK(s.windows > 0);
        check_count(s.succeeded, ending::succeeded);
        check_count(s.ignored, ending::ignored);
        check_count(s.dropped, ending::dropped);
        check_count(s.shed, ending::shed);
        check_count(s.timed_out, ending::timed_out);
        check_count(s.cancelled, ending::cancelled);
        check_count(s.closed, ending::closed);
        check_count(s.bypassed, ending::bypassed);
        const std::uint64_t counted =
            s.succeeded + s.ignored + s.dropped + s.shed + s.timed_out + s.cancelled + s.closed + s.bypassed;
        CHECK(counted <= seen_.calls());
        CHECK(counted + seen_[ending::destroyed] >= seen_.calls());

        const auto told = [this](rejection why) { return observed_[static_cast<std::size_t>(why)].load(); };
        CHECK(told(rejection::no_permit) == s.shed_at_once);
        CHECK(told(rejection::queue_full) == s.shed_from_full);
        CHECK(told(rejection::overdue) == s.shed_as_overdue);
        CHECK(told(rejection::timed_out) == s.timed_out);
        CHECK(told(rejection::cancelled) == s.cancelled);
        CHECK(told(rejection::closed) == s.closed);
    }

    const std::size_t partitions_;
    const bool contexts_go_;
    const bool closes_;
    std::optional<guard_type> guard_;
    crew* crew_ = nullptr;
    ledger seen_;
    int workers_ = 0;
    std::atomic<int> through_{0}; // of the workers
    std::atomic<int> working_{0};
    std::atomic<std::uint64_t> progress_{0};
    std::atomic<std::int64_t> untold_{0}; // of flood_by_waiting()

    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(rejection::closed) + 1> observed_{};
    std::atomic<bool> deciding_{false};
    std::uint64_t decisions_ = 0; // no atomic: a race of two decisions would show

    std::atomic<int> escaped_{0};
    std::atomic<int> decided_at_once_{0};
    std::atomic<int> impossible_in_flight_{0};
    std::atomic<int> impossible_decisions_{0};
    std::atomic<int> admitted_fell_{0};
    support::memory_peak memory_; // of look_on()
};

// Everything that happens to one semaphore.
class semaphore_chaos {
public:
    // The limit is one of two. Some calls want more than the lower one, and few enough that those who hang do not keep
    // them from being served under the other; some want more than either, and are closed in the end.
    static constexpr std::size_t low = 10;
    static constexpr std::size_t high = 40;
    static constexpr std::size_t hanging = 6;
    static constexpr std::size_t most_ordinary = low - hanging;
    static constexpr std::size_t most_heavy = high - hanging;
    static constexpr std::size_t too_many = high + 1;

    void run(int workers, int calls) {
        std::optional<crew> all(std::in_place);
        crew_ = &*all;
        semaphore_.emplace(all->shelf(), high);
        std::vector<held_permits> held;
        for (std::size_t i = 0; i < hanging; i += 2) {
            held.emplace_back(held_permits{call(seen_, 2)});
            held.back().held = semaphore_->try_acquire_permit_n(2);
            REQUIRE(held.back().held);
        }
        for (int i = 0; i < 3; ++i)
            wait_once(all->shelf().get_executor(), too_many, nullptr, nullptr);

        workers_ = workers;
        working_ = workers;
        for (int i = 0; i < workers; ++i)
            spawn(all->any_strand(), work(calls));
        for (int i = 0; i < 3; ++i)
            spawn(all->any_strand(), want_much());
        std::vector<std::thread> outsiders;
        outsiders.emplace_back([this] { flood_by_waiting(); });
        outsiders.emplace_back([this] { flood_by_trying(); });
        outsiders.emplace_back([this] { look_on(); });
        outsiders.emplace_back([this] { let_contexts_come_and_go(); });
        for (std::thread& t : outsiders)
            t.join();

        for (held_permits& h : held)
            h.finish();
        held.clear();
        all->join();
        check();
        semaphore_.reset();
        all.reset();
        CHECK(canary::alive == 0);
    }

private:
    struct held_permits {
        call record;
        permit held{};

        void finish() {
            held.release();
            record.end(ending::succeeded);
        }
    };

    bool is_over() const noexcept { return working_ == 0; }

    void spawn(const asio::any_io_executor& executor, asio::awaitable<void> what) {
        asio::co_spawn(executor, std::move(what), [this](std::exception_ptr e) { escaped_ += e ? 1 : 0; });
    }

    static bool chance(std::uint32_t one_in) { return any_number() % one_in == 0; }
    static std::chrono::milliseconds short_time() { return any_number() % 8 * 1ms; }

    // Waits for so many, in some way, holds them for a while; whether it had them. Its executor is not concurrent.
    asio::awaitable<bool> any_call(std::size_t n) {
        call c(seen_, n);
        try {
            switch (any_number() % 5) {
            case 0: {
                const permit p = co_await semaphore_->acquire(n);
                co_await rounds(any_number() % 4);
                break;
            }
            case 1: {
                const permit p = co_await semaphore_->acquire_for(short_time(), n);
                co_await rounds(any_number() % 4);
                break;
            }
            case 2: {
                const auto here = co_await asio::this_coro::executor;
                const auto signal = std::make_shared<asio::cancellation_signal>();
                asio::post(here, [signal] { signal->emit(asio::cancellation_type::total); });
                co_await semaphore_->async_acquire_n(n,
                                                     asio::bind_cancellation_slot(signal->slot(), asio::use_awaitable));
                semaphore_->release(n);
                break;
            }
            case 3:
                if (!semaphore_->try_acquire_n(n)) {
                    c.end(ending::shed);
                    co_return false;
                }
                semaphore_->release(n);
                break;
            default:
                co_await semaphore_->async_acquire_n(n, asio::use_awaitable);
                semaphore_->release(n);
                break;
            }
        } catch (const asio::system_error& e) {
            c.end_rejected(e.code());
            co_return false;
        }
        c.end(ending::succeeded);
        co_return true;
    }
    asio::awaitable<void> one_call() { co_await any_call(1 + any_number() % most_ordinary); }

    // An ordinary client, which must get through.
    asio::awaitable<void> work(int calls) {
        for (int done = 0; done < calls;) {
            if (!co_await any_call(1 + any_number() % most_ordinary)) {
                co_await rounds(1);
                continue;
            }
            ++done;
            if (const std::uint64_t n = ++progress_; n % 16 == 0)
                semaphore_->set_limit(n % 32 == 0 ? low : high);
        }
        if (++through_ == workers_) {
            semaphore_->close();
            for (int i = 0; i < 50; ++i)
                co_await one_call();
        }
        --working_;
    }

    asio::awaitable<void> want_much() {
        while (!is_over()) {
            co_await any_call(low + 1 + any_number() % (most_heavy - low));
            co_await rounds(1);
        }
    }

    struct waiting {
        std::atomic<std::int64_t>* untold; // null where nobody counts
        asio::any_io_executor where;
        held_permits held;

        void operator()(error_code e, permit p) {
            if (untold != nullptr)
                --*untold;
            if (e)
                return held.record.end_rejected(e);
            held.held = std::move(p);
            if (chance(2))
                return held.finish();
            asio::post(where, [later = std::move(held)]() mutable { later.finish(); });
        }
    };

    template <class Executor>
    void wait_once(const Executor& executor, std::size_t n, asio::cancellation_signal* signal,
                   std::atomic<std::int64_t>* untold) {
        if (untold != nullptr)
            ++*untold;
        const auto slot = signal != nullptr ? signal->slot() : asio::cancellation_slot();
        auto handler = asio::bind_executor(
            executor, asio::bind_cancellation_slot(slot, waiting{untold, executor, held_permits{call(seen_, n)}}));
        if (n != 1 || chance(2))
            semaphore_->async_acquire_permit_n(n, std::move(handler));
        else
            semaphore_->async_acquire_permit_for(short_time(), std::move(handler));
    }

    void flood_by_waiting() {
        std::array<std::optional<asio::cancellation_signal>, 4> signals;
        for (auto& s : signals)
            s.emplace();
        while (!is_over()) {
            auto& signal = signals[any_number() % signals.size()];
            const std::size_t n = 1 + any_number() % most_ordinary;
            switch (untold_ < 60 ? any_number() % 5 : 0) {
            case 0:
                signal->emit(asio::cancellation_type::partial);
                std::this_thread::yield();
                break;
            case 1:
                signal.emplace();
                break;
            case 2: // is cancelled, or waits till the end
                if (unserved_ < 20)
                    crew_->with_any([&](const auto& executor) { wait_once(executor, too_many, &*signal, &unserved_); });
                break;
            case 3:
                crew_->with_any([&](const auto& executor) { wait_once(executor, n, &*signal, &untold_); });
                break;
            default:
                crew_->with_any([&](const auto& executor) { wait_once(executor, n, nullptr, &untold_); });
                break;
            }
        }
    }

    void flood_by_trying() {
        while (!is_over()) {
            for (int i = 0; i < 16; ++i) {
                const std::size_t n = 1 + any_number() % most_heavy;
                call c(seen_, n);
                permit p = semaphore_->try_acquire_permit_n(n);
                const bool had = static_cast<bool>(p);
                p.release();
                c.end(had ? ending::succeeded : ending::shed);
            }
            std::this_thread::yield();
        }
    }

    void let_contexts_come_and_go() {
        for (int round = 0; round < 20 || !is_over(); ++round) {
            std::array<asio::cancellation_signal, 4> signals; // outlive their context
            if (chance(2)) {
                asio::io_context own(1);
                start_calls(own, signals);
                for (std::uint32_t i = any_number() % 30; i > 0; --i)
                    own.poll_one();
            } else {
                asio::thread_pool own(1);
                start_calls(own, signals);
                std::this_thread::yield();
                own.stop();
            }
            for (asio::cancellation_signal& s : signals)
                s.emit(asio::cancellation_type::terminal);
        }
    }

    template <class Context>
    void start_calls(Context& own, std::array<asio::cancellation_signal, 4>& signals) {
        for (std::uint32_t i = 0; i < 12; ++i) {
            const std::size_t n = chance(6) ? too_many : 1 + any_number() % most_ordinary;
            switch (any_number() % 3) {
            case 0:
                spawn(own.get_executor(), one_call());
                break;
            case 1:
                wait_once(own.get_executor(), n, nullptr, nullptr);
                break;
            default:
                wait_once(own.get_executor(), n, &signals[any_number() % signals.size()], nullptr);
                break;
            }
        }
    }

    void look_on() {
        while (!is_over()) {
            memory_.look();
            if (!seen_.covers([this] { return semaphore_->in_flight(); }))
                ++impossible_in_flight_;
            if (semaphore_->in_flight() > high || semaphore_->available_permits() > high)
                ++impossible_in_flight_;
            std::this_thread::yield();
        }
    }

    void check() const {
        CHECK(memory_.growth() < most_memory);
        CHECK(impossible_in_flight_ == 0);
        CHECK(escaped_ == 0);
        CHECK(seen_.ended_twice() == 0);
        CHECK(seen_[ending::unexpected] == 0);
        CHECK(seen_.ends() == seen_.calls());
        for (const ending how : {ending::succeeded, ending::shed, ending::timed_out, ending::cancelled, ending::closed,
                                 ending::destroyed}) {
            CAPTURE(static_cast<int>(how));
            CHECK(seen_[how] > 0);
        }
        CHECK(semaphore_->in_flight() == 0);
        CHECK(semaphore_->waiting() == 0);
    }

    std::optional<dynamic_semaphore> semaphore_;
    crew* crew_ = nullptr;
    ledger seen_;
    int workers_ = 0;
    std::atomic<int> through_{0}; // of the workers
    std::atomic<int> working_{0};
    std::atomic<std::uint64_t> progress_{0};
    std::atomic<std::int64_t> untold_{0}; // these two of flood_by_waiting()
    std::atomic<std::int64_t> unserved_{0};
    std::atomic<int> escaped_{0};
    std::atomic<int> impossible_in_flight_{0};
    support::memory_peak memory_; // of look_on()
};

} // namespace

TEST_CASE("A guard goes on serving, and loses nothing, whatever goes wrong at once") {
    guard_options options;
    bool contexts_go = true;
    bool closes = false;
    SECTION("first come, first served") {}
    SECTION("with an order that adapts, partitions, and a bound on waits") {
        options.order = flowguard::wait_order::adaptive;
        options.target = 1ms;
        options.interval = 5ms;
        options.ageing = 3ms;
        options.partitions = {0.5, 0.3, 0.2, 0};
        options.max_wait = 30ms;
    }
    SECTION("closed in the end, contexts staying") {
        contexts_go = false;
        closes = true;
    }
    guard_chaos chaos(std::move(options), contexts_go, closes);
    chaos.run(8, 100 * endurance());
    for (const ending how : {ending::succeeded, ending::ignored, ending::dropped, ending::shed, ending::timed_out,
                             ending::cancelled, ending::bypassed}) {
        CAPTURE(static_cast<int>(how));
        CHECK(chaos.count(how) > 0);
    }
    CHECK((chaos.count(ending::destroyed) > 0) == contexts_go);
}

TEST_CASE("A semaphore goes on serving, and loses no permit, whatever goes wrong at once") {
    semaphore_chaos chaos;
    chaos.run(8, 400 * endurance());
}
