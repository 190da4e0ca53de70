// dynamic_semaphore_deadline_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Waits that end at a given time. No test sleeps: a deadline has passed, or is far away, or is all that a context waits
// for.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::dynamic_semaphore;
using flowguard::error;
using flowguard::error_code;
using flowguard::permit;
using support::poll;
using support::start;
using steady = std::chrono::steady_clock;

} // namespace

TEST_CASE("A free permit is taken even after the deadline") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const auto late = start(context, semaphore.acquire_for(-1s));
    poll(context);
    REQUIRE(late->succeeded());
    CHECK(semaphore.in_flight() == 1);
}

TEST_CASE("A wait whose deadline has passed ends at once, but not inside the call") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const permit held = semaphore.try_acquire_permit();
    error_code ended;
    semaphore.async_acquire_for(0s, [&](error_code e) { ended = e; });
    CHECK_FALSE(ended);
    CHECK(semaphore.waiting() == 0);
    context.poll();
    CHECK(ended == error::wait_timeout);
    const auto coroutine = start(context, semaphore.acquire_until(steady::now() - 1s));
    poll(context);
    CHECK(coroutine->code() == error::wait_timeout);
    CHECK(semaphore.in_flight() == 1);
}

TEST_CASE("A wait's time counts from its start, not from the call that made it") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const permit held = semaphore.try_acquire_permit();
    auto wait = semaphore.acquire_for(2ms);
    const auto made = steady::now();
    while (steady::now() - made < 2ms) {
    }
    const auto began = steady::now();
    const auto end = start(context, std::move(wait));
    context.run();
    CHECK(steady::now() - began >= 2ms);
    CHECK(end->code() == error::wait_timeout);
}

TEST_CASE("A wait ends at its deadline, and takes no permit") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    const auto began = steady::now();
    const auto first = start(context, semaphore.acquire_for(2ms));
    const auto heavy = start(context, semaphore.acquire_until(began + 1ms, 2));
    context.run(); // until no waiter is left
    CHECK(steady::now() - began >= 2ms);
    CHECK(first->code() == error::wait_timeout);
    CHECK(heavy->code() == error::wait_timeout);
    CHECK(semaphore.waiting() == 0);
    held.release();
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("A grant ends a wait before its deadline, and cancels its timer") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    const auto coroutine = start(context, semaphore.acquire_for(24h));
    error_code callback = error::wait_timeout;
    semaphore.async_acquire_permit_for(steady::duration::max(), [&](error_code e, permit p) {
        callback = e;
        CHECK(p);
    });
    poll(context);
    CHECK(semaphore.waiting() == 2);
    held.release();
    context.restart();
    context.run(); // would take a day if the timer were still set
    CHECK(coroutine->succeeded());
    CHECK_FALSE(callback);
    CHECK(semaphore.available_permits() == 0); // the coroutine's result holds it
}

TEST_CASE("A wait with a deadline ends by its cancellation, and with its semaphore") {
    asio::io_context context;
    std::optional<dynamic_semaphore> semaphore;
    semaphore.emplace(context, 1);
    const permit held = semaphore->try_acquire_permit();
    asio::cancellation_signal signal;
    const auto cancelled = start(context, semaphore->acquire_for(24h), &signal);
    const auto closed = start(context, semaphore->acquire_for(24h));
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(cancelled->code() == asio::error::operation_aborted);
    CHECK_FALSE(closed->done);

    SECTION("cancel()") {
        semaphore->cancel();
        poll(context);
        CHECK(closed->code() == asio::error::operation_aborted);
    }
    SECTION("close()") {
        semaphore->close();
        poll(context);
        CHECK(closed->code() == error::closed);
        const auto later = start(context, semaphore->acquire_for(24h));
        const auto too_late = start(context, semaphore->acquire_for(-1s));
        poll(context);
        CHECK(later->code() == error::closed);
        CHECK(too_late->code() == error::closed);
    }
    SECTION("the end of the semaphore") {
        semaphore.reset();
        poll(context);
        CHECK(closed->code() == asio::error::operation_aborted);
    }
    CHECK(context.stopped());
}

TEST_CASE("The end of a context destroys a wait with a deadline, whatever the wait's state") {
    auto context = std::make_unique<asio::io_context>();
    auto semaphore = std::make_unique<dynamic_semaphore>(*context, 1);
    permit held = semaphore->try_acquire_permit();
    auto watched = std::make_shared<int>(1);
    semaphore->async_acquire_permit_for(24h, [watched](error_code, permit) { ++*watched; });
    CHECK(watched.use_count() == 2);
    SECTION("in line") {
        context.reset();
        CHECK(watched.use_count() == 1);
        CHECK(semaphore->waiting() == 0);
    }
    SECTION("granted, and its handler not called yet") {
        held.release();
        context.reset();
        CHECK(watched.use_count() == 1);
        CHECK(semaphore->available_permits() == 1);
    }
    SECTION("timed out, and its handler not called yet") {
        semaphore->async_acquire_permit_for(1ns, [watched](error_code, permit) { ++*watched; });
        context.reset();
        CHECK(watched.use_count() == 1);
    }
    SECTION("after its semaphore") {
        semaphore.reset();
        context.reset();
        CHECK(watched.use_count() == 1);
    }
    CHECK(*watched == 1);
}

TEST_CASE("The end of a context breaks the promise of a future that waits there with a deadline") {
    auto context = std::make_unique<asio::io_context>();
    dynamic_semaphore semaphore{*context, 1};
    const permit held = semaphore.try_acquire_permit();
    std::future<void> waits = semaphore.async_acquire_for(24h, asio::use_future);
    CHECK(semaphore.waiting() == 1);
    context.reset();
// In newer Asios, the executor of a promise belongs to the context of the system, which stays.
#if defined(FLOWGUARD_USE_BOOST_ASIO) || ASIO_VERSION >= 102600
    CHECK(semaphore.waiting() == 1);
    semaphore.close();
    CHECK_THROWS_AS(waits.get(), asio::system_error);
#else
    CHECK(semaphore.waiting() == 0);
    CHECK_THROWS_AS(waits.get(), std::future_error); // a broken promise
    semaphore.close();
#endif
}

namespace {

// Emits a signal when it is destroyed.
struct emitter {
    asio::cancellation_signal* signal;
    ~emitter() { signal->emit(asio::cancellation_type::all); }
};

} // namespace

TEST_CASE("A waiter that is cancelled while its context is destroyed is ended once") {
    const bool timed = GENERATE(false, true);
    asio::cancellation_signal signal;
    auto context = std::make_unique<asio::io_context>();
    dynamic_semaphore semaphore{*context, 1};
    const permit held = semaphore.try_acquire_permit();
    int calls = 0;
    semaphore.async_acquire_permit([&calls, e = std::make_shared<emitter>(&signal)](error_code, permit) { ++calls; });
    const auto count = [&calls](error_code, permit) { ++calls; };
    if (timed)
        semaphore.async_acquire_permit_for(24h, asio::bind_cancellation_slot(signal.slot(), count));
    else
        semaphore.async_acquire_permit(asio::bind_cancellation_slot(signal.slot(), count));
    CHECK(semaphore.waiting() == 2);
    context.reset();
    CHECK(calls == 0);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.in_flight() == 1);
}

TEST_CASE("Deadlines work with every kind of executor and token") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();

    SECTION("a strand of any executor") {
        error_code ended;
        const auto strand = asio::make_strand(asio::any_io_executor(context.get_executor()));
        semaphore.async_acquire_for(1ns, asio::bind_executor(strand, [&](error_code e) { ended = e; }));
        context.run();
        CHECK(ended == error::wait_timeout);
    }
    SECTION("a strand of the Networking TS") {
        asio::io_context::strand strand{context};
        bool inside = false;
        semaphore.async_acquire_for(
            1ns, asio::bind_executor(strand, [&](error_code) { inside = strand.running_in_this_thread(); }));
        semaphore.async_acquire_permit(asio::bind_executor(
            strand, [&](error_code, permit p) { inside = inside && p && strand.running_in_this_thread(); }));
        held.release();
        context.run();
        CHECK(inside);
    }
    SECTION("the system's executor") {
        std::promise<error_code> timed_out;
        semaphore.async_acquire_for(
            1ms, asio::bind_executor(asio::system_executor(), [&](error_code e) { timed_out.set_value(e); }));
        CHECK(timed_out.get_future().get() == error::wait_timeout);
        std::promise<permit> granted;
        semaphore.async_acquire_permit_until(
            steady::now() + 24h, asio::bind_executor(asio::system_executor(),
                                                     [&](error_code, permit p) { granted.set_value(std::move(p)); }));
        held.release();
        CHECK(granted.get_future().get());
    }
    SECTION("a future") {
        auto timed_out = semaphore.async_acquire_for(0s, asio::use_future);
        context.run();
        CHECK_THROWS_AS(timed_out.get(), asio::system_error);
    }
    SECTION("another context than the semaphore's") {
        asio::io_context other;
        error_code ended;
        semaphore.async_acquire_until(steady::now(), asio::bind_executor(other, [&](error_code e) { ended = e; }));
        context.run();
        CHECK_FALSE(ended);
        other.run();
        CHECK(ended == error::wait_timeout);
    }
}

namespace {

// Fails at the n-th allocation from now on.
template <class T>
struct failing_allocator {
    using value_type = T;
    int* left;
    int* live;

    failing_allocator(int& until_failure, int& live_count) : left(&until_failure), live(&live_count) {}
    template <class U>
    failing_allocator(const failing_allocator<U>& other) : left(other.left), live(other.live) {}

    T* allocate(std::size_t n) {
        if (--*left == 0)
            throw std::bad_alloc();
        ++*live;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) {
        --*live;
        std::allocator<T>().deallocate(p, n);
    }
    template <class U>
    bool operator==(const failing_allocator<U>& other) const {
        return left == other.left;
    }
};

} // namespace

TEST_CASE("If the handler's allocator fails, the initiating call fails, and nothing else changes") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    int calls = 0;
    int live = 0;
    const int fails_at = GENERATE(1, 2); // the operation, its timer
    int left = fails_at;
    struct handler {
        using allocator_type = failing_allocator<char>;
        allocator_type allocator;
        int* calls;
        allocator_type get_allocator() const noexcept { return allocator; }
        void operator()(error_code) const { ++*calls; }
    };
    asio::cancellation_signal signal;
    CHECK_THROWS_AS(
        semaphore.async_acquire_for(24h, asio::bind_cancellation_slot(signal.slot(), handler{{left, live}, &calls})),
        std::bad_alloc);
    CHECK(live == 0);
    CHECK(semaphore.waiting() == 0);
    signal.emit(asio::cancellation_type::all); // finds no waiter
    context.poll();
    CHECK(calls == 0);
    held.release();
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("The completion of a wait allocates nothing with the handler's allocator") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    int calls = 0;
    int live = 0;
    int left = 2; // one for the operation; the next would fail
    struct handler {
        using allocator_type = failing_allocator<char>;
        allocator_type allocator;
        int* calls;
        allocator_type get_allocator() const noexcept { return allocator; }
        void operator()(error_code e) const { *calls += e ? 100 : 1; }
    };
    semaphore.async_acquire(handler{{left, live}, &calls});
    held.release();
    context.run();
    CHECK(calls == 1);
    CHECK(live == 0);
    semaphore.release();
}

namespace {

// Its move throws when told so.
struct fragile_handler {
    bool* fails;
    int* calls;

    fragile_handler(bool& moves_fail, int& called) : fails(&moves_fail), calls(&called) {}
    fragile_handler(fragile_handler&& other) : fails(other.fails), calls(other.calls) {
        if (*fails)
            throw std::string("does not move");
    }
    void operator()(error_code, permit) const { ++*calls; }
};

} // namespace

TEST_CASE("A handler whose move throws is not called, but no permit is lost") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    permit held = semaphore.try_acquire_permit();
    bool fails = false;
    int calls = 0;
    const bool timed = GENERATE(false, true);

    SECTION("while it waits") {
        if (timed)
            semaphore.async_acquire_permit_for(24h, fragile_handler(fails, calls));
        else
            semaphore.async_acquire_permit(fragile_handler(fails, calls));
        fails = true;
        held.release();
        CHECK(semaphore.in_flight() == 1); // the permit is on its way to the handler
        CHECK_THROWS_AS(context.run(), std::string);
    }
    SECTION("before it waits") {
        fails = true;
        CHECK_THROWS_AS(semaphore.async_acquire_permit(fragile_handler(fails, calls)), std::string);
        held.release();
    }
    fails = false;
    CHECK(calls == 0);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.available_permits() == 1);
    context.restart();
    context.run();
}
