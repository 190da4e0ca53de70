// handler_executor_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Handlers whose executors take no posts.

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;
using support::poll;

// Calls each function at once, as Asio's inline_executor does, which older Asios lack.
struct inline_executor {
    template <class F>
    void execute(F&& f) const {
        std::forward<F>(f)();
    }

    bool operator==(const inline_executor&) const noexcept = default;
};
static_assert(!flowguard::detail::takes_posts<inline_executor>);

template <class Handler>
auto called_inline(Handler handler) {
    return asio::bind_executor(inline_executor(), std::move(handler));
}

} // namespace

TEST_CASE("A handler whose executor takes no posts is called from the semaphore's executor") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    std::vector<error_code> results;
    const auto handler = [&] { return called_inline([&](error_code error) { results.push_back(error); }); };

    semaphore.async_acquire(handler());
    CHECK(results.empty()); // never from inside the initiating call
    poll(context);
    CHECK(results == std::vector<error_code>{{}});

    semaphore.async_acquire(handler());
    semaphore.async_acquire_for(std::chrono::hours(1), handler());
    poll(context);
    CHECK(results.size() == 1);
    semaphore.release();
    CHECK(results.size() == 1); // never from inside release()
    poll(context);
    CHECK(results.size() == 2);
    semaphore.release();
    poll(context);
    CHECK(results == std::vector<error_code>(3));

    semaphore.async_acquire_for(std::chrono::seconds(0), handler());
    poll(context);
    REQUIRE(results.size() == 4);
    CHECK(results.back() == flowguard::error::wait_timeout);

    semaphore.async_acquire(handler());
    semaphore.close();
    CHECK(results.size() == 4);
    poll(context);
    REQUIRE(results.size() == 5);
    CHECK(results.back() == flowguard::error::closed);
}

TEST_CASE("A handler whose executor takes no posts keeps the semaphore's context running") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 0};
    bool called = false;
    semaphore.async_acquire(called_inline([&](error_code) { called = true; }));
    context.poll();
    CHECK_FALSE(context.stopped());
    semaphore.release();
    context.run();
    CHECK(called);
}

TEST_CASE("A handler whose executor takes no posts is cancelled through its slot") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 0};
    asio::cancellation_signal signal;
    std::optional<error_code> result;
    semaphore.async_acquire(
        asio::bind_cancellation_slot(signal.slot(), called_inline([&](error_code error) { result = error; })));
    signal.emit(asio::cancellation_type::terminal);
    CHECK_FALSE(result.has_value());
    poll(context);
    CHECK(result == asio::error::operation_aborted);
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A handler whose executor takes no posts is destroyed with the semaphore's context") {
    std::optional<asio::io_context> context{std::in_place};
    dynamic_semaphore semaphore{*context, 1};
    const auto witness = std::make_shared<int>();
    const auto wait = [&] {
        semaphore.async_acquire_permit(called_inline([witness](error_code, const permit&) { FAIL("called"); }));
    };
    wait(); // granted, but not called yet
    wait();
    CHECK(witness.use_count() == 3);
    context.reset();
    CHECK(witness.use_count() == 1);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("A handler whose executor takes no posts may throw") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    semaphore.async_acquire_permit(called_inline([](error_code, const permit&) { throw 42; }));
    CHECK_THROWS_AS(context.run(), int);
    CHECK(semaphore.available_permits() == 1);
}

TEST_CASE("A guard calls a handler whose executor takes no posts") {
    asio::io_context context;
    flowguard::flow_guard guard{context.get_executor(), flowguard::fixed_limit{1}};
    using ticket = decltype(guard)::ticket;
    int admitted = 0;
    for (int i = 0; i < 2; ++i)
        guard.async_acquire(called_inline([&](error_code error, ticket t) {
            CHECK_FALSE(error);
            ++admitted;
            t.success();
        }));
    CHECK(admitted == 0);
    poll(context);
    CHECK(admitted == 2);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A guard without an executor rejects a handler whose executor takes no posts") {
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    CHECK_THROWS_AS(guard.async_acquire(called_inline([](error_code, auto) { FAIL("called"); })),
                    std::invalid_argument);
    CHECK(guard.in_flight() == 0);
}

#if SUPPORT_ASIO_VERSION >= 102700
TEST_CASE("A semaphore takes handlers whose type was erased") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    using any_handler = asio::any_completion_handler<void(error_code)>;
    std::vector<error_code> results;
    const auto handler = [&] { return any_handler([&](error_code error) { results.push_back(error); }); };
    semaphore.async_acquire(handler());
    semaphore.async_acquire(handler());
    semaphore.async_acquire_for(std::chrono::hours(1), handler());
    CHECK(results.empty());
    poll(context);
    CHECK(results.size() == 1);
    semaphore.release();
    poll(context);
    CHECK(results.size() == 2);
    semaphore.release();
    poll(context);
    CHECK(results == std::vector<error_code>(3));
}

TEST_CASE("An erased handler is called on the executor that it is bound to") {
    asio::io_context context;
    asio::io_context other;
    dynamic_semaphore semaphore{context, 1};
    using any_handler = asio::any_completion_handler<void(error_code)>;
    int called = 0;
    for (int i = 0; i < 2; ++i)
        semaphore.async_acquire(any_handler(asio::bind_executor(other.get_executor(), [&](error_code) { ++called; })));
    poll(context);
    CHECK(called == 0);
    poll(other);
    CHECK(called == 1);
    semaphore.release();
    poll(context);
    CHECK(called == 1);
    poll(other);
    CHECK(called == 2);
}
#endif

#if SUPPORT_ASIO_VERSION >= 103800 // an older one calls such a handler on a thread of the system_executor
TEST_CASE("A waiter has memory for one operation of an executor; what does not fit is elsewhere") {
    using flowguard::detail::completion_allocator;
    flowguard::detail::completion_memory room;
    CHECK(room.take(1000, 1) == nullptr);
    CHECK(room.take(1, 2 * alignof(void*)) == nullptr);
    completion_allocator<int> in_room{&room};
    int* const fits = in_room.allocate(1);
    CHECK(room.contains(fits));
    int* const second = in_room.allocate(1);
    CHECK_FALSE(room.contains(second));
    completion_allocator<int> without_room{nullptr};
    int* const third = without_room.allocate(1);
    CHECK(third != second);
    without_room.deallocate(third, 1);
    in_room.deallocate(second, 1);
    in_room.deallocate(fits, 1);
}

TEST_CASE("A group of deferred acquires in a range completes on the semaphore's executor") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const auto acquire = [&] { return semaphore.async_acquire(asio::deferred); };
    std::vector<decltype(acquire())> acquires;
    acquires.push_back(acquire());
    acquires.push_back(acquire());
    bool done = false;
    asio::experimental::make_parallel_group(std::move(acquires))
        .async_wait(asio::experimental::wait_for_all(), [&](auto&&...) { done = true; });
    poll(context);
    CHECK_FALSE(done);
    semaphore.release();
    poll(context);
    CHECK(done);
}
#endif
