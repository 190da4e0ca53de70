// cancellation_slot_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the owner of a cancellation signal may do with it, and when. Most tests also run with Asio's timer, because a
// wait for a permit must allow all that a wait for a timer allows. AddressSanitizer and ThreadSanitizer find most
// faults.

#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "support/asio.hpp"

namespace {

using flowguard::error_code;
using namespace std::chrono_literals;

// The kinds of waits. `end()` ends a wait without a signal.

class timer_wait {
public:
    explicit timer_wait(asio::execution_context& context, const asio::any_io_executor& executor)
        : timer_(executor, 24h) {
        static_cast<void>(context);
    }

    template <class Token>
    auto start(Token&& token) {
        return timer_.async_wait(std::forward<Token>(token));
    }
    void end() { timer_.cancel(); }

private:
    asio::steady_timer timer_;
};

class permit_wait {
public:
    explicit permit_wait(asio::execution_context&, const asio::any_io_executor& executor) : semaphore_(executor, 0) {}

    template <class Token>
    auto start(Token&& token) {
        return semaphore_.async_acquire(std::forward<Token>(token));
    }
    void end() { semaphore_.release(); }
    flowguard::dynamic_semaphore& semaphore() { return semaphore_; }

private:
    flowguard::dynamic_semaphore semaphore_;
};

class permit_wait_with_deadline : public permit_wait {
public:
    using permit_wait::permit_wait;

    template <class Token>
    auto start(Token&& token) {
        return semaphore().async_acquire_for(24h, std::forward<Token>(token));
    }
};

template <class Wait>
class fixture {
public:
    asio::io_context context{1};
    std::optional<Wait> wait{std::in_place, context, context.get_executor()};
    int called = 0;
    error_code error;

    void start(asio::cancellation_signal& signal) {
        wait->start(asio::bind_cancellation_slot(signal.slot(), [this](error_code e) {
            ++called;
            error = e;
        }));
    }

    void run() {
        context.restart();
        context.poll();
    }
};

} // namespace

TEMPLATE_TEST_CASE("A signal may be destroyed after it was emitted, before the handler runs", "", timer_wait,
                   permit_wait, permit_wait_with_deadline) {
    fixture<TestType> f;
    auto signal = std::make_unique<asio::cancellation_signal>();
    f.start(*signal);
    signal->emit(asio::cancellation_type::all);
    signal.reset();
    f.run();
    CHECK(f.called == 1);
    CHECK(f.error == asio::error::operation_aborted);
}

TEMPLATE_TEST_CASE("A signal may be destroyed after the wait has ended, before the handler runs", "", timer_wait,
                   permit_wait, permit_wait_with_deadline) {
    fixture<TestType> f;
    auto signal = std::make_unique<asio::cancellation_signal>();
    f.start(*signal);
    f.wait->end();
    signal.reset();
    f.run();
    CHECK(f.called == 1);
}

TEMPLATE_TEST_CASE("A signal may be destroyed while its wait continues", "", timer_wait, permit_wait,
                   permit_wait_with_deadline) {
    fixture<TestType> f;
    auto signal = std::make_unique<asio::cancellation_signal>();
    f.start(*signal);
    signal.reset();
    f.run();
    CHECK(f.called == 0);
    f.wait->end();
    f.run();
    CHECK(f.called == 1);
}

TEMPLATE_TEST_CASE("A session may cancel its wait from its own destructor", "", timer_wait, permit_wait,
                   permit_wait_with_deadline) {
    struct session {
        asio::cancellation_signal signal;
        ~session() { signal.emit(asio::cancellation_type::terminal); }
    };
    fixture<TestType> f;
    {
        session s;
        f.start(s.signal);
    }
    f.run();
    CHECK(f.called == 1);
    CHECK(f.error == asio::error::operation_aborted);
}

TEMPLATE_TEST_CASE("A handler may own the signal of its wait", "", timer_wait, permit_wait, permit_wait_with_deadline) {
    fixture<TestType> f;
    auto signal = std::make_shared<asio::cancellation_signal>();
    f.wait->start(asio::bind_cancellation_slot(signal->slot(), [&f, signal](error_code) { ++f.called; }));
    std::weak_ptr<asio::cancellation_signal> seen = signal;
    signal.reset();

    seen.lock()->emit(asio::cancellation_type::all);
    f.run();
    CHECK(f.called == 1);
    CHECK(seen.expired());
}

TEMPLATE_TEST_CASE("A signal that was emitted can cancel the next wait that uses it", "", timer_wait, permit_wait,
                   permit_wait_with_deadline) {
    fixture<TestType> f;
    asio::cancellation_signal signal;
    f.start(signal);
    signal.emit(asio::cancellation_type::all);
    f.start(signal); // before the first handler has run
    f.run();
    CHECK(f.called == 1);
    signal.emit(asio::cancellation_type::all);
    f.run();
    CHECK(f.called == 2);
    CHECK(f.error == asio::error::operation_aborted);
}

TEMPLATE_TEST_CASE("An emission after the handler has run does nothing", "", timer_wait, permit_wait,
                   permit_wait_with_deadline) {
    fixture<TestType> f;
    asio::cancellation_signal signal;
    f.start(signal);
    f.wait->end();
    f.run();
    CHECK(f.called == 1);
    signal.emit(asio::cancellation_type::all);
    f.wait.reset();
    signal.emit(asio::cancellation_type::all);
    f.run();
    CHECK(f.called == 1);
}

// Asio's timer does not allow this.
TEMPLATE_TEST_CASE("A signal may be emitted after the context was destroyed", "", permit_wait,
                   permit_wait_with_deadline) {
    asio::cancellation_signal waiting;
    asio::cancellation_signal ended;
    auto called = std::make_shared<int>(0);
    {
        asio::io_context context{1};
        TestType wait{context, context.get_executor()};
        const auto count = [called](error_code) { ++*called; };
        wait.start(asio::bind_cancellation_slot(ended.slot(), count));
        wait.end();
        wait.start(asio::bind_cancellation_slot(waiting.slot(), count));
        CHECK(called.use_count() > 2);
    }
    CHECK(called.use_count() == 1); // the handlers are destroyed
    waiting.emit(asio::cancellation_type::all);
    ended.emit(asio::cancellation_type::all);
    CHECK(*called == 0);
}

TEST_CASE("A signal may be emitted after the context and its waiters were destroyed, if the semaphore still exists") {
    asio::io_context own{1};
    flowguard::dynamic_semaphore semaphore{own, 0};
    asio::cancellation_signal signal;
    {
        asio::io_context context{1};
        semaphore.async_acquire(
            asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(context, [](error_code) {})));
        CHECK(semaphore.waiting() == 1);
    }
    CHECK(semaphore.waiting() == 0);
    signal.emit(asio::cancellation_type::all);
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A signal whose wait was rejected may be emitted and used again") {
    fixture<permit_wait> f;
    f.wait->semaphore().close();
    asio::cancellation_signal signal;
    f.start(signal);
    signal.emit(asio::cancellation_type::all);
    f.run();
    CHECK(f.called == 1);
    CHECK(f.error == flowguard::error::closed);
    signal.emit(asio::cancellation_type::all);
    f.start(signal);
    f.wait.reset();
    signal.emit(asio::cancellation_type::all);
    f.run();
    CHECK(f.called == 2);
}

TEST_CASE("Emitting cancellation_type::none cancels nothing") {
    fixture<permit_wait> f;
    asio::cancellation_signal signal;
    f.start(signal);
    signal.emit(asio::cancellation_type::none);
    f.run();
    CHECK(f.called == 0);
    CHECK(f.wait->semaphore().waiting() == 1);
    signal.emit(asio::cancellation_type::partial);
    f.run();
    CHECK(f.called == 1);
}

// Only the initiating thread uses the signal. The handler runs on a pool, at the same time.
TEMPLATE_TEST_CASE("A signal may be emitted while the wait ends on another thread", "", timer_wait, permit_wait,
                   permit_wait_with_deadline) {
    constexpr int rounds = 4000;
    asio::thread_pool pool{2};
    TestType wait{pool, pool.get_executor()};
    asio::cancellation_signal signal;
    std::atomic<int> called{0};
    int granted = 0;
    std::barrier<> both{2};
    for (int i = 0; i < rounds; ++i) {
        if constexpr (std::is_same_v<TestType, timer_wait>) {
            wait.start(asio::bind_cancellation_slot(signal.slot(), [&](error_code) {
                ++called;
                called.notify_one();
            }));
            asio::post(pool, [&] { both.arrive_and_wait(); }); // two threads must not use a timer at once
        } else {
            wait.start(asio::bind_cancellation_slot(signal.slot(), [&](error_code e) {
                granted += e ? 0 : 1;
                ++called;
                called.notify_one();
            }));
            asio::post(pool, [&] {
                both.arrive_and_wait();
                wait.end();
            });
        }
        both.arrive_and_wait();
        signal.emit(asio::cancellation_type::all);
        called.wait(i);
    }
    pool.join();
    CHECK(called == rounds);
    if constexpr (!std::is_same_v<TestType, timer_wait>) {
        std::size_t left = 0; // permits of rounds whose wait was cancelled, unless a later round took them
        while (wait.semaphore().try_acquire())
            ++left;
        CHECK(left + static_cast<std::size_t>(granted) == rounds);
    }
}

// The operation that ends first emits the group's signals, on its own thread.
TEST_CASE("A parallel_group on a pool may wait for permits") {
    constexpr int rounds = 2000;
#if defined(FLOWGUARD_HAS_IMMEDIATE_EXECUTOR)
    using asio::deferred;
#else
    using asio::deferred;
#endif
    asio::thread_pool pool{2};
    flowguard::dynamic_semaphore first{pool, 0};
    flowguard::dynamic_semaphore second{pool, 0};
    std::atomic<int> done{0};
    for (int i = 0; i < rounds; ++i) {
        asio::experimental::make_parallel_group(
            first.async_acquire_permit(asio::bind_executor(pool, deferred)),
            second.async_acquire_permit_for(24h, asio::bind_executor(pool, deferred)))
            .async_wait(asio::experimental::wait_for_one{}, asio::bind_executor(pool, [&done](auto&&...) {
                            ++done;
                            done.notify_one();
                        }));
        asio::post(pool, [&first] { first.release(); });
        second.release();
        done.wait(i);
        // If the operation that lost was granted a permit, the permit has come back.
        while (first.try_acquire())
            continue;
        while (second.try_acquire())
            continue;
    }
    pool.join();
    CHECK(done == rounds);
    CHECK(first.waiting() == 0);
    CHECK(second.waiting() == 0);
}
