// guard_chaos_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Everything that may go wrong in a service happens to one guard, at once: calls that hang, streams, floods,
// cancellations, deadlines, callbacks that throw or are slow, contexts that are destroyed, clocks that are set. Best
// run with -fsanitize=thread, and with address,undefined. With FLOWGUARD_STRESS=100 it takes minutes.

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "chaos.hpp"
#include "flowguard/flow_guard.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using chaos::any_number;
using chaos::call;
using chaos::canary;
using chaos::chance;
using chaos::crew;
using chaos::ending;
using chaos::rounds;
using flowguard::error_code;
using flowguard::guard_options;
using flowguard::guard_stats;
using flowguard::outcome;
using flowguard::rejection;

// Goes on like steady_clock, but is set forward by years and back by hours, and after a century back to the start.
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

constexpr std::size_t most_permits = 24; // the highest limit of the guards

// Vegas, with a limit that is made to jump, and probes that are below the number of calls that hang.
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

// Tells the call's record how the task ended. Sometimes throws instead of returning the outcome.
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
class guard_chaos : public chaos::world<guard_chaos> {
public:
    using ticket = guard_type::ticket;
    using options = flowguard::run_options<judging, stepping_clock>;

    static constexpr std::size_t hanging = 3; // so many from the start, and as many later
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

        start_workers(workers, calls);
        for (int i = 0; i < 4; ++i)
            spawn(all->any_strand(), flood_by_try_run());
        std::vector<std::function<void()>> outsiders{[this] { flood_by_waiting(); }, [this] { flood_by_trying(); },
                                                     [this] { look_on(); }};
        if (contexts_go_)
            outsiders.emplace_back([this] { let_contexts_come_and_go(); });
        run_outsiders(outsiders);

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

private:
    friend class chaos::world<guard_chaos>;

    struct held_ticket {
        call record;
        ticket held{};

        void take(ticket granted) {
            record.admit();
            held = std::move(granted);
        }
        void finish() {
            held.finish(record.judge(outcome::success));
            record.end_as_judged();
        }
    };

    held_ticket stream() {
        held_ticket s{call(seen_)};
        s.take(guard_->try_acquire());
        REQUIRE(s.held);
        return s;
    }

    static stepping_clock::time_point any_deadline() {
        return chance(2) ? stepping_clock::time_point::max() : stepping_clock::now() + any_number() % 8 * 1ms;
    }
    static std::optional<std::uint64_t> any_flow() {
        return chance(4) ? std::nullopt : std::optional(std::uint64_t{any_number() % 5} << 60);
    }
    // No call hangs that has several permits: those that hang leave two of the lowest limit.
    static std::size_t any_permits() { return chance(4) ? 2 : 1; }
    options any_options(call& c) const {
        return {.deadline = any_deadline(),
                .priority = static_cast<flowguard::priority>(any_number() % 4),
                .partition = any_number() % partitions_,
                .flow = any_flow(),
                .permits = c.weight(),
                .classify = judging{&c}};
    }
    flowguard::run_options<flowguard::default_classifier, stepping_clock> any_wait(std::size_t permits) const {
        return {.deadline = any_deadline(),
                .priority = static_cast<flowguard::priority>(any_number() % 4),
                .partition = any_number() % partitions_,
                .flow = any_flow(),
                .permits = permits};
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

    // Its executor is not concurrent.
    asio::awaitable<bool> ordinary_call() {
        call c(seen_, any_permits());
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
        ticket t = co_await guard_->async_acquire(any_wait(c.weight()), asio::use_awaitable);
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
                co_await ordinary_call();
            spawn(co_await asio::this_coro::executor, hang(end));
        }
    }

    void progress(std::uint64_t n) {
        if (n % 4 == 0)
            stepping_clock::step(n / 4);
        if (n % 64 == 0)
            guard_->cancel_waiting(crew_->any_context());
    }
    bool close_at_end() {
        if (closes_)
            guard_->close();
        return closes_;
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

    template <class Executor>
    void wait_once(const Executor& executor, asio::cancellation_signal* signal,
                   std::atomic<std::int64_t>* outstanding) {
        const std::size_t permits = any_permits();
        auto handler = chaos::handler_on(executor, held_ticket{call(seen_, permits)}, signal, outstanding);
        if (permits == 1 && chance(2))
            guard_->async_acquire(std::move(handler));
        else
            guard_->async_acquire(any_wait(permits), std::move(handler));
    }

    // More waits at once than may.
    void flood_by_waiting() {
        world::flood_by_waiting(3 * max_waiters, asio::cancellation_type::terminal,
                                [this](const auto& executor, asio::cancellation_signal* signal) {
                                    wait_once(executor, signal, &outstanding_);
                                });
    }

    // ---- Contexts ----

    template <class Executor>
    void start_call(const Executor& executor, signals& own) {
        switch (any_number() % 4) {
        case 0:
            return spawn(executor, ignore(ordinary_call()));
        case 1:
            return spawn(executor, endless_call());
        case 2:
            return wait_once(executor, nullptr, nullptr);
        default:
            return wait_once(executor, &own[any_number() % own.size()], nullptr);
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

    std::size_t in_flight() const { return guard_->in_flight(); }
    std::size_t waiting() const { return guard_->waiting(); }

    void look() {
        const guard_stats s = guard_->stats();
        if (s.in_flight > most_permits || s.limit > most_permits)
            ++impossible_in_flight_;
        if (s.admitted < admitted_)
            ++admitted_fell_;
        admitted_ = s.admitted;
        for (const flowguard::limit_decision& d : guard_->trace())
            if (d.limit > most_permits || d.probe > most_permits || d.mean_in_flight < 0)
                ++impossible_decisions_;
    }

    // What a guard counted and callers saw. A call that was destroyed with its context may have been counted before.
    void check_count(std::uint64_t counted, std::uint64_t seen) const {
        CHECK(counted >= seen);
        CHECK(counted <= seen + seen_[ending::destroyed]);
    }
    void check_count(std::uint64_t counted, ending how) const {
        CAPTURE(static_cast<int>(how));
        check_count(counted, seen_[how]);
    }

    void check() const {
        check_calls();
        CHECK(impossible_decisions_ == 0);
        CHECK(admitted_fell_ == 0);
        CHECK(decided_at_once_ == 0);
        CHECK((contexts_go_ || seen_[ending::destroyed] == 0));

        for (std::size_t p = 0; p < partitions_; ++p)
            CHECK(guard_->in_flight(p) == 0);
        if (!closes_)
            CHECK(guard_->available_permits() == guard_->current_limit());

        const guard_stats s = guard_->stats();
        CHECK(s.waiting_by_priority == std::array<std::size_t, 4>{});
        CHECK(s.windows == decisions_);
        CHECK(s.windows > 0);
        check_count(s.succeeded, ending::succeeded);
        check_count(s.ignored, ending::ignored);
        check_count(s.dropped, ending::dropped);
        check_count(s.shed + s.closed, seen_[ending::shed] + seen_[ending::closed]); // an attempt is not told which
        check_count(s.timed_out, ending::timed_out);
        check_count(s.cancelled, ending::cancelled);
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

    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(rejection::closed) + 1> observed_{};
    std::atomic<bool> deciding_{false};
    std::uint64_t decisions_ = 0; // no atomic: a race of two decisions would show

    std::atomic<int> decided_at_once_{0};
    std::atomic<int> impossible_decisions_{0};
    std::atomic<int> admitted_fell_{0};
    std::uint64_t admitted_ = 0; // when look() was last called
};

} // namespace

TEST_CASE("A guard goes on serving, and loses nothing, whatever goes wrong at once") {
    guard_options options;
    bool contexts_go = true;
    bool closes = false;
    SECTION("first come, first served") {
        options.order = flowguard::wait_order::fifo;
    }
    SECTION("with an order that adapts, partitions, and a bound on waits") {
        options.order = flowguard::wait_order::adaptive;
        options.target = 1ms;
        options.interval = 5ms;
        options.ageing = 3ms;
        options.partitions = {0.5, 0.3, 0.2, 0};
        options.max_wait = 30ms;
    }
    SECTION("with the default options") {}
    SECTION("closed in the end, contexts staying") {
        contexts_go = false;
        closes = true;
    }
    guard_chaos world(std::move(options), contexts_go, closes);
    world.run(8, 100 * chaos::endurance());
    for (const ending how : {ending::succeeded, ending::ignored, ending::dropped, ending::shed, ending::timed_out,
                             ending::cancelled, ending::bypassed}) {
        CAPTURE(static_cast<int>(how));
        CHECK(world.count(how) > 0);
    }
    CHECK((world.count(ending::destroyed) > 0) == contexts_go);
}
