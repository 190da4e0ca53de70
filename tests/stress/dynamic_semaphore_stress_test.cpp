// dynamic_semaphore_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Semaphores that several threads use at once. Run these tests with ThreadSanitizer, and with AddressSanitizer and
// UBSan.

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"

// Where GCC 12 inlines a coroutine frame's operator new, but not its operator delete, it warns that the two do not
// match.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;

constexpr std::size_t threads = 4;

// How many times as long as usual a test runs. With FLOWGUARD_STRESS=100, a test makes some millions of operations.
int endurance() {
    const char* factor = std::getenv("FLOWGUARD_STRESS"); // NOLINT(concurrency-mt-unsafe): read once, before threads
    return factor != nullptr ? std::max(1, std::atoi(factor)) : 1;
}

// Lets at most `most` rounds run at once, and can wait until all rounds have ended.
class rounds {
public:
    explicit rounds(int most) : most_(most) {}

    void enter() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return under_way_ < most_; });
        ++under_way_;
    }
    void leave() {
        const std::lock_guard lock{mutex_};
        --under_way_;
        changed_.notify_all();
    }
    void wait_for_all() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return under_way_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    const int most_;
    int under_way_ = 0;
};

// What all rounds of a test have found.
struct findings {
    std::atomic<int> not_completed_once{0};
    std::atomic<int> unexpected_errors{0};
    std::atomic<int> permits_lost_or_doubled{0};
    std::atomic<int> still_waiting{0};
    std::atomic<int> granted{0};
    std::atomic<int> aborted{0};
    std::atomic<int> timed_out{0};
    std::atomic<int> closed{0};

    void count(error_code error) {
        if (!error)
            ++granted;
        else if (error == asio::error::operation_aborted)
            ++aborted;
        else if (error == flowguard::error::wait_timeout)
            ++timed_out;
        else if (error == flowguard::error::closed)
            ++closed;
        else
            ++unexpected_errors;
    }

    int completed() const { return granted + aborted + timed_out + closed; }

    // Call this when no caller uses the semaphore any more: all permits must be back.
    void check_idle(const dynamic_semaphore& semaphore) {
        if (semaphore.in_flight() != 0)
            ++permits_lost_or_doubled;
        if (semaphore.waiting() != 0)
            ++still_waiting;
    }

    // The main thread calls this after all rounds have ended.
    void require_clean() const {
        REQUIRE(not_completed_once == 0);
        REQUIRE(unexpected_errors == 0);
        REQUIRE(permits_lost_or_doubled == 0);
        REQUIRE(still_waiting == 0);
    }
};

// Several callers use one semaphore. All handlers share the round, so that its destructor finds the semaphore idle.
class round_of_waits : public std::enable_shared_from_this<round_of_waits> {
    struct waiter {
        std::optional<asio::strand<asio::thread_pool::executor_type>> strand;
        asio::cancellation_signal signal;
        int starts = 0;
        int completions = 0; // not atomic: if two threads complete it, ThreadSanitizer reports a race
    };

    template <class Handler>
    static auto on_strand_of(waiter& w, Handler handler) {
        return asio::bind_executor(*w.strand, asio::bind_cancellation_slot(w.signal.slot(), std::move(handler)));
    }

    auto handler_of(std::size_t who) {
        waiter& w = waiters_[who];
        ++w.starts;
        return on_strand_of(w, [self = shared_from_this(), &w](error_code error, permit p) {
            ++w.completions;
            self->found_.count(error);
            if (static_cast<bool>(p) == static_cast<bool>(error))
                ++self->found_.unexpected_errors;
        });
    }

public:
    static constexpr std::size_t most_waiters = 4;

    round_of_waits(rounds& all, findings& found, asio::thread_pool& pool, std::size_t limit)
        : semaphore(pool, limit), all_(all), found_(found) {
        for (waiter& w : waiters_)
            w.strand.emplace(asio::make_strand(pool));
    }
    round_of_waits(const round_of_waits&) = delete;
    round_of_waits& operator=(const round_of_waits&) = delete;

    ~round_of_waits() {
        for (const waiter& w : waiters_)
            if (w.completions != w.starts)
                ++found_.not_completed_once;
        found_.check_idle(semaphore);
        all_.leave();
    }

    // Waits for a permit, and returns it as soon as it is granted.
    void wait(std::size_t who) { semaphore.async_acquire_permit(handler_of(who)); }
    void wait_for(std::size_t who, std::chrono::microseconds timeout) {
        semaphore.async_acquire_permit_for(timeout, handler_of(who));
    }
    void wait_bare(std::size_t who) {
        waiter& w = waiters_[who];
        ++w.starts;
        semaphore.async_acquire(on_strand_of(w, [self = shared_from_this(), &w](error_code error) {
            ++w.completions;
            self->found_.count(error);
            if (!error)
                self->semaphore.release();
        }));
    }

    // Calls f on the waiter's strand, because all uses of its cancellation slot run there.
    template <class F>
    void on_strand(std::size_t who, F f) {
        asio::post(*waiters_[who].strand, [self = shared_from_this(), f = std::move(f)]() mutable { f(*self); });
    }
    void cancel(std::size_t who) {
        on_strand(who, [who](round_of_waits& r) { r.waiters_[who].signal.emit(asio::cancellation_type::all); });
    }

    dynamic_semaphore semaphore;

private:
    rounds& all_;
    findings& found_;
    std::array<waiter, most_waiters> waiters_;
};

// Callers that acquire permits in every possible way, hold them for the time of a post, and release them. Some calls
// are cancelled, at random.
class crowd {
public:
    static constexpr std::size_t most = 5;

    crowd(dynamic_semaphore& semaphore, findings& found) : semaphore_(semaphore), found_(found) {}

    template <class Executor>
    void add(const Executor& executor, std::uint32_t seed) {
        members_.push_back(std::make_unique<member>(asio::any_io_executor(executor), seed));
    }

    void start(int turns) {
        for (auto& m : members_)
            asio::co_spawn(m->executor, run(*m, turns), [this](std::exception_ptr exception) {
                if (exception)
                    ++found_.unexpected_errors;
                ++finished;
            });
    }

    std::size_t size() const { return members_.size(); }

    std::atomic<std::size_t> finished{0};
    std::atomic<int> above_highest_limit{0};
    std::atomic<int> waits{0};

private:
    struct member {
        member(asio::any_io_executor ex, std::uint32_t seed) : executor(std::move(ex)), random(seed) {}

        asio::any_io_executor executor; // runs one handler at a time
        std::mt19937 random;
        asio::cancellation_signal signal;
    };

    asio::awaitable<void> hold(member& m, std::size_t permits = 1) {
        if (inside_.fetch_add(permits) + permits > most)
            ++above_highest_limit;
        co_await asio::post(m.executor, asio::use_awaitable);
        inside_ -= permits;
    }

    asio::awaitable<void> run(member& m, int turns) {
        for (int i = 0; i < turns; ++i) {
            error_code error;
            const auto token = [&] {
                return asio::bind_cancellation_slot(m.signal.slot(), asio::redirect_error(asio::use_awaitable, error));
            };
            switch (m.random() % 9) {
            case 0: {
                ++waits;
                permit p;
                try {
                    p = co_await semaphore_.acquire();
                } catch (const flowguard::system_error& e) {
                    error = e.code();
                }
                found_.count(error);
                if (p)
                    co_await hold(m);
                break;
            }
            case 1: {
                ++waits;
                const permit p = co_await semaphore_.async_acquire_permit(token());
                found_.count(error);
                if (p)
                    co_await hold(m);
                break;
            }
            case 2:
                ++waits;
                co_await semaphore_.async_acquire(token());
                found_.count(error);
                if (!error) {
                    co_await hold(m);
                    semaphore_.release();
                }
                break;
            case 3:
                if (semaphore_.try_acquire()) {
                    co_await hold(m);
                    semaphore_.release();
                }
                break;
            case 4:
                if (const permit p = semaphore_.try_acquire_permit())
                    co_await hold(m);
                break;
            case 5: {
                ++waits;
                const auto wanted = 1 + m.random() % 3;
                permit p;
                try {
                    p = co_await semaphore_.acquire(wanted);
                } catch (const flowguard::system_error& e) {
                    error = e.code();
                }
                found_.count(error);
                if (p)
                    co_await hold(m, wanted);
                break;
            }
            case 6:
                ++waits;
                co_await semaphore_.async_acquire_n(2, token());
                found_.count(error);
                if (!error) {
                    co_await hold(m, 2);
                    semaphore_.release(2);
                }
                break;
            case 7: {
                ++waits;
                const std::chrono::microseconds timeout{m.random() % 300};
                const permit p = co_await semaphore_.async_acquire_permit_for(timeout, token());
                found_.count(error);
                if (p)
                    co_await hold(m);
                break;
            }
            default:
                cancel(*members_[m.random() % members_.size()]);
                co_await asio::post(m.executor, asio::use_awaitable);
                break;
            }
        }
    }

    static void cancel(member& whom) {
        asio::post(whom.executor, [&whom] { whom.signal.emit(asio::cancellation_type::all); });
    }

    dynamic_semaphore& semaphore_;
    findings& found_;
    std::vector<std::unique_ptr<member>> members_;
    std::atomic<std::size_t> inside_{0}; // permits in use
};

} // namespace

TEST_CASE("A semaphore under load loses no permit, completes each waiter once, and never exceeds its highest limit") {
    findings found;
    asio::io_context one{1};
    asio::io_context other{1};
    asio::thread_pool pool{threads};
    dynamic_semaphore semaphore{pool, crowd::most};
    crowd callers{semaphore, found};
    std::uint32_t seed = 1;
    for (int i = 0; i < 12; ++i)
        callers.add(asio::make_strand(pool.get_executor()), ++seed);
    for (int i = 0; i < 6; ++i) {
        callers.add(one.get_executor(), ++seed);
        callers.add(other.get_executor(), ++seed);
    }
    callers.start(1000 * endurance());

    std::thread runs_one{[&] { one.run(); }};
    std::thread runs_other{[&] { other.run(); }};
    std::mt19937 random{seed};
    while (callers.finished < callers.size()) {
        semaphore.set_limit(1 + random() % crowd::most);
        if (random() % 64 == 0)
            semaphore.cancel();
        if (random() % 64 == 0)
            semaphore.cancel(one);
        std::this_thread::yield();
    }
    semaphore.set_limit(crowd::most);
    runs_one.join();
    runs_other.join();
    pool.join();

    CHECK(callers.above_highest_limit == 0);
    CHECK(found.completed() == callers.waits);
    CHECK(found.closed == 0);
    CHECK(found.granted > 0);
    CHECK(found.aborted > 0);
    CHECK(found.timed_out > 0);
    found.check_idle(semaphore);
    found.require_clean();
    CHECK(semaphore.available_permits() == crowd::most);
    for (std::size_t i = 0; i < crowd::most; ++i)
        CHECK(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire());
}

namespace {

// Waits for a permit again and again, and releases it after a post.
asio::awaitable<void> wait_again_and_again(dynamic_semaphore& semaphore, findings& found, int turns) {
    for (int i = 0; i < turns; ++i) {
        error_code error;
        {
            const permit p = co_await semaphore.async_acquire_permit(asio::redirect_error(asio::use_awaitable, error));
            if (static_cast<bool>(p) == static_cast<bool>(error))
                ++found.unexpected_errors;
            co_await asio::post(asio::use_awaitable);
        }
        found.count(error);
    }
}

} // namespace

TEST_CASE("While the waits of one context are cancelled again and again, those of another one are all granted") {
    constexpr std::size_t callers = 6;
    const int turns = 1000 * endurance();
    asio::io_context going{1};
    asio::io_context staying{1};
    dynamic_semaphore semaphore{asio::system_executor(), 2};
    findings of_going;
    findings of_staying;
    for (std::size_t i = 0; i < callers; ++i) {
        asio::co_spawn(asio::make_strand(going), wait_again_and_again(semaphore, of_going, turns), asio::detached);
        asio::co_spawn(staying, wait_again_and_again(semaphore, of_staying, turns), asio::detached);
    }
    std::atomic<int> running{2};
    std::vector<std::thread> runners;
    for (asio::io_context* context : {&going, &staying})
        runners.emplace_back([&running, context] {
            context->run();
            --running;
        });
    std::thread also_cancels{[&] {
        while (running > 0) {
            semaphore.cancel(going);
            std::this_thread::yield();
        }
    }};
    // A context without waits is destroyed while its message may still be on its way. The next context has the same
    // address.
    std::optional<asio::io_context> comes_and_goes;
    int aborted = 0;
    while (running > 0) {
        semaphore.cancel(going);
        comes_and_goes.emplace(1);
        semaphore.cancel(*comes_and_goes);
        comes_and_goes.emplace(1);
        semaphore.async_acquire_permit(
            asio::bind_executor(*comes_and_goes, [&aborted](error_code error, permit) { aborted += error ? 1 : 0; }));
        comes_and_goes->run();
    }
    also_cancels.join();
    for (std::thread& t : runners)
        t.join();

    CHECK(aborted == 0);
    CHECK(of_staying.granted == static_cast<int>(callers) * turns);
    CHECK(of_going.completed() == static_cast<int>(callers) * turns);
    CHECK(of_going.granted + of_going.aborted == of_going.completed());
    of_going.require_clean();
    of_staying.check_idle(semaphore);
    of_staying.require_clean();
    CHECK(semaphore.available_permits() == 2);
}

TEST_CASE("If several threads set limits at once, no more permits are held than the highest limit allows") {
    constexpr int most = 4;
    dynamic_semaphore semaphore{asio::system_executor(), most};
    std::atomic<int> inside{0};
    std::atomic<int> above_highest_limit{0};
    std::atomic<int> setting{2};
    std::vector<std::thread> all;
    for (std::uint32_t seed = 1; seed <= 2; ++seed)
        all.emplace_back([&, seed] {
            std::mt19937 random{seed};
            for (int i = 0; i < 50000; ++i)
                semaphore.set_limit(1 + random() % most);
            --setting;
        });
    for (int i = 0; i < 2; ++i)
        all.emplace_back([&] {
            std::vector<permit> held;
            while (setting > 0) {
                while (permit p = semaphore.try_acquire_permit()) {
                    if (++inside > most)
                        ++above_highest_limit;
                    held.push_back(std::move(p));
                }
                inside -= static_cast<int>(held.size());
                held.clear();
            }
        });
    for (std::thread& t : all)
        t.join();
    CHECK(above_highest_limit == 0);
    semaphore.set_limit(most);
    CHECK(semaphore.available_permits() == most);
}

namespace {

// The only permit of a semaphore goes from waiter to waiter, and the last waiter destroys the semaphore. At that time,
// calls that started the waits or released the permit may still be running.
struct chain {
    static constexpr int length = 3;

    chain(rounds& r, const asio::any_io_executor& executor)
        : all(r), semaphore(std::make_unique<dynamic_semaphore>(executor, 1)) {}
    chain(const chain&) = delete;
    chain& operator=(const chain&) = delete;
    ~chain() { all.leave(); }

    void finish(error_code error, permit) {
        failed = failed || error;
        if (--left == 0)
            semaphore.reset();
    }
    void finish_bare(error_code error) {
        failed = failed || error;
        if (--left == 0)
            semaphore.reset();
        else
            semaphore->release();
    }

    rounds& all;
    std::unique_ptr<dynamic_semaphore> semaphore;
    std::atomic<int> left{length};
    bool failed = false; // only the holder of the permit writes it
};

} // namespace

TEST_CASE("The last waiter to finish may destroy the semaphore at once") {
    const bool bare = GENERATE(true, false);
    const bool timed = !bare && GENERATE(true, false);
    CAPTURE(bare, timed);
    std::atomic<int> failed{0};
    std::atomic<int> not_destroyed{0};
    asio::thread_pool pool{threads};
    rounds all{4};
    const auto end = [&](chain* c) {
        failed += c->failed;
        not_destroyed += c->semaphore != nullptr;
        delete c;
    };
    for (int i = 0; i < 3000; ++i) {
        all.enter();
        std::shared_ptr<chain> c{new chain(all, pool.get_executor()), end};
        dynamic_semaphore* semaphore = c->semaphore.get();
        permit held;
        if (bare)
            failed += !semaphore->try_acquire();
        else
            held = semaphore->try_acquire_permit();
        for (int n = 0; n < chain::length; ++n)
            asio::post(pool, [c, semaphore, bare, timed] {
                const auto finish = [c](error_code error, permit p) { c->finish(error, std::move(p)); };
                if (bare)
                    semaphore->async_acquire([c](error_code error) { c->finish_bare(error); });
                else if (timed)
                    semaphore->async_acquire_permit_for(std::chrono::hours(24), finish);
                else
                    semaphore->async_acquire_permit(finish);
            });
        asio::post(pool, [c, semaphore, bare, p = std::move(held)]() mutable {
            if (bare)
                semaphore->release();
            else
                p.release();
        });
    }
    all.wait_for_all();
    pool.join();
    CHECK(failed == 0);
    CHECK(not_destroyed == 0);
}

TEST_CASE("A semaphore that is closed during acquires, releases and cancellations completes each waiter once") {
    findings found;
    asio::thread_pool pool{threads};
    rounds all{4};
    constexpr int count = 2000;
    for (int i = 0; i < count; ++i) {
        all.enter();
        auto round = std::make_shared<round_of_waits>(all, found, pool, 1);
        permit held = round->semaphore.try_acquire_permit();
        for (std::size_t who = 0; who < round_of_waits::most_waiters; ++who)
            round->on_strand(who, [who, timeout = std::chrono::microseconds(i % 50)](round_of_waits& r) {
                if (who == 0)
                    r.wait_for(who, timeout);
                else if (who == 2)
                    r.wait(who);
                else
                    r.wait_bare(who);
            });
        asio::post(pool, [round, p = std::move(held)]() mutable { p.release(); });
        asio::post(pool, [round] { round->semaphore.close(); });
        round->cancel(0);
        round->cancel(1);
    }
    all.wait_for_all();
    pool.join();
    CHECK(found.completed() == count * static_cast<int>(round_of_waits::most_waiters));
    CHECK(found.closed > 0);
    found.require_clean();
}

TEST_CASE("A permit that is granted at the moment of a cancellation is not lost") {
    const bool bare = GENERATE(true, false);
    CAPTURE(bare);
    findings found;
    asio::thread_pool pool{threads};
    rounds all{4};
    constexpr int count = 5000;
    for (int i = 0; i < count; ++i) {
        all.enter();
        auto round = std::make_shared<round_of_waits>(all, found, pool, 1);
        permit held = round->semaphore.try_acquire_permit();
        for (std::size_t who = 0; who < 2; ++who)
            bare ? round->wait_bare(who) : round->wait(who);
        round->cancel(0);
        asio::post(pool, [round, p = std::move(held)]() mutable { p.release(); });
        round->cancel(1);
    }
    all.wait_for_all();
    pool.join();
    CHECK(found.completed() == 2 * count);
    CHECK(found.granted > 0);
    CHECK(found.aborted > 0);
    found.require_clean();
}

TEST_CASE("A permit that is granted to the loser of operator|| is not lost, whichever side wins") {
    using namespace asio::experimental::awaitable_operators;

    struct race {
        race(rounds& r, findings& f, const asio::any_io_executor& executor)
            : all(r), found(f), first(executor, 1), second(executor, 1) {}
        race(const race&) = delete;
        race& operator=(const race&) = delete;
        ~race() {
            found.not_completed_once += completions != 1;
            found.check_idle(first);
            found.check_idle(second);
            all.leave();
        }

        rounds& all;
        findings& found;
        dynamic_semaphore first;
        dynamic_semaphore second;
        int completions = 0;
    };

    findings found;
    std::array<std::atomic<int>, 2> won{};
    asio::thread_pool pool{threads};
    rounds all{4};
    for (int i = 0; i < 2000; ++i) {
        all.enter();
        auto r = std::make_shared<race>(all, found, pool.get_executor());
        permit of_first = r->first.try_acquire_permit();
        permit of_second = r->second.try_acquire_permit();
        asio::co_spawn(
            asio::make_strand(pool), // the operators need a strand
            [r, &won]() -> asio::awaitable<void> {
                const auto winner =
                    co_await (r->first.acquire() || r->second.async_acquire_permit(asio::use_awaitable));
                ++won[winner.index()];
                const bool has_permit = winner.index() == 0 ? bool(std::get<0>(winner)) : bool(std::get<1>(winner));
                if (!has_permit)
                    ++r->found.unexpected_errors;
            },
            [r](std::exception_ptr exception) {
                ++r->completions;
                if (exception)
                    ++r->found.unexpected_errors;
            });
        asio::post(pool, [r, p = std::move(of_first)]() mutable { p.release(); });
        asio::post(pool, [r, p = std::move(of_second)]() mutable { p.release(); });
    }
    all.wait_for_all();
    pool.join();
    CHECK(won[0] + won[1] == 2000);
    found.require_clean();
}

TEST_CASE("A permit that is granted at the moment of a time-out is not lost") {
    findings found;
    asio::io_context waits{1};
    asio::thread_pool releases{1};
    dynamic_semaphore semaphore{waits, 1};
    int granted = 0;
    asio::co_spawn(
        waits,
        [&]() -> asio::awaitable<void> {
            std::mt19937 random{1};
            for (int i = 0; i < 4000; ++i) {
                auto held = std::make_shared<permit>(co_await semaphore.acquire());
                const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
                asio::post(releases, [held = std::move(held), when, early = random() % 3]() mutable {
                    // Releases the permit at the deadline, or one or two microseconds before it.
                    while (std::chrono::steady_clock::now() < when - std::chrono::microseconds(early)) {
                    }
                    held.reset();
                });
                error_code error;
                const permit p = co_await semaphore.async_acquire_permit_until(
                    when, asio::redirect_error(asio::use_awaitable, error));
                found.count(error);
                granted += p ? 1 : 0;
            }
        },
        asio::detached);
    waits.run();
    releases.join();
    CHECK(found.granted == granted);
    CHECK(found.granted + found.timed_out == 4000);
    found.check_idle(semaphore);
    found.require_clean();
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("Permits on other threads may outlive their semaphore") {
    findings found;
    asio::thread_pool pool{threads};
    rounds all{4};
    constexpr int count = 3000;
    for (int i = 0; i < count; ++i) {
        all.enter();
        const std::shared_ptr<void> last{nullptr, [&all](void*) { all.leave(); }};
        auto semaphore = std::make_unique<dynamic_semaphore>(pool.get_executor(), 2);
        for (int n = 0; n < 2; ++n)
            asio::post(pool, [last, p = semaphore->try_acquire_permit()]() mutable { p.release(); });
        semaphore->async_acquire_permit([last, &found](error_code error, permit) { found.count(error); });
        semaphore->async_acquire([last, &found](error_code error) { found.count(error); });
        asio::post(pool, [last, s = std::move(semaphore)]() mutable { s.reset(); });
    }
    all.wait_for_all();
    pool.join();
    CHECK(found.completed() == 2 * count);
    CHECK(found.closed == 0);
    found.require_clean();
}

TEST_CASE("Contexts and their semaphore may be destroyed in any order, while callers hold permits or wait") {
    std::mt19937 random{7};
    std::atomic<int> acquired{0};
    const auto started = std::make_shared<int>(); // each caller that exists holds a reference
    int wrong = 0;
    for (int i = 0; i < 400; ++i) {
        std::array<std::unique_ptr<asio::io_context>, 2> contexts;
        for (auto& c : contexts)
            c = std::make_unique<asio::io_context>(1);
        auto semaphore = std::make_unique<dynamic_semaphore>(*contexts[0], 2);
        for (auto& c : contexts)
            for (int n = 0; n < 4; ++n) {
                asio::co_spawn(
                    *c,
                    [&acquired, started, &s = *semaphore, &context = *c]() -> asio::awaitable<void> {
                        const permit p = co_await s.acquire();
                        ++acquired;
                        for (int posts = 0; posts < 3; ++posts)
                            co_await asio::post(context, asio::use_awaitable);
                    },
                    asio::detached);
                semaphore->async_acquire_permit(
                    asio::bind_executor(*c, [&acquired, started](error_code, permit) { ++acquired; }));
            }

        // For each context, one thread runs some of the handlers. The other handlers stay in the context.
        std::array<std::thread, 2> runners;
        for (std::size_t n = 0; n < 2; ++n)
            runners[n] = std::thread([&context = *contexts[n], handlers = random() % 24] {
                for (std::size_t done = 0; done < handlers && context.poll_one() > 0; ++done) {
                }
            });
        for (std::thread& t : runners)
            t.join();

        switch (random() % 3) {
        case 0:
            semaphore.reset();
            [[fallthrough]];
        case 1:
            contexts[random() % 2].reset();
            break;
        default:
            break;
        }
        for (auto& c : contexts)
            if (random() % 2 == 0)
                c.reset();
        if (semaphore && !contexts[0] && !contexts[1] && (semaphore->in_flight() != 0 || semaphore->waiting() != 0))
            ++wrong;
        if (random() % 2 == 0)
            semaphore.reset();
        for (auto& c : contexts)
            c.reset();
        if (semaphore && (semaphore->available_permits() != 2 || semaphore->waiting() != 0))
            ++wrong;
        semaphore.reset();
        if (started.use_count() != 1)
            ++wrong;
    }
    CHECK(acquired > 0);
    CHECK(wrong == 0);
}
