// waiting_allocation_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new, so it must be a program of its own.

// How many blocks Asio keeps in each thread for each purpose: coroutine frames, operations, functions. By default it
// keeps two. While several coroutines hold permits, more blocks than two are free at a time.
#define ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE 8
#define BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE 8

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/counting_new.hpp"

namespace {

// Returns how many allocations 64 coroutines make, which all repeat a call, after some calls to warm up.
template <class Call>
std::uint64_t allocations_of_callers(asio::io_context& context, Call call) {
    constexpr int callers = 64;
    constexpr int warm_up = 10 * callers;
    constexpr int calls = 100 * callers;
    int ended = 0;
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    for (int i = 0; i < callers; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                while (ended < calls) {
                    co_await call();
                    if (++ended == warm_up)
                        before = support::allocations.load();
                    if (ended == calls)
                        after = support::allocations.load();
                }
            },
            asio::detached);
    context.restart();
    context.run();
    return after - before;
}

asio::awaitable<void> posted() {
    co_await asio::post(asio::use_awaitable);
}

} // namespace

TEST_CASE("Many coroutines that share a few permits allocate nothing while they wait, if Asio keeps enough memory") {
    const auto permits = GENERATE(std::size_t{1}, std::size_t{4});
    asio::io_context context{1};
    flowguard::dynamic_semaphore semaphore{context, permits};
    CHECK(allocations_of_callers(context, [&]() -> asio::awaitable<void> {
              const flowguard::permit p = co_await semaphore.acquire();
              co_await posted();
          }) == 0);
    CHECK(allocations_of_callers(context, [&]() -> asio::awaitable<void> {
              const flowguard::permit p = co_await semaphore.async_acquire_permit(asio::use_awaitable);
              co_await posted();
          }) == 0);
    flowguard::flow_guard guard{flowguard::fixed_limit{permits}};
    CHECK(allocations_of_callers(context, [&] { return guard.run(posted); }) == 0);
}
