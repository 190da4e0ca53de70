// split_guard_local_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <catch2/catch.hpp>
#include <cstddef>
#include <set>
#include <thread>

#include "flowguard/split_guard.hpp"
#include "flowguard/strategies/fixed_limit.hpp"

namespace {

using flowguard::fixed_limit;
using flowguard::split_guard;

// The parts that `threads` threads get, one thread after the other.
std::set<const void*> parts_of(split_guard<fixed_limit>& guard, std::size_t threads) {
    std::set<const void*> parts;
    for (std::size_t t = 0; t < threads; ++t)
        std::thread([&] { parts.insert(&guard.local()); }).join();
    return parts;
}

} // namespace

TEST_CASE("As many threads as there are parts have a part each, and more threads share them") {
    split_guard guard{5, fixed_limit{10}};
    CHECK(parts_of(guard, 5).size() == 5);
    CHECK(parts_of(guard, 1).size() == 1);
    CHECK(parts_of(guard, 5).size() == 5);
    CHECK(parts_of(guard, 12).size() == 5);
}

TEST_CASE("A thread keeps its part, and may end a call of another thread's part") {
    split_guard guard{2, fixed_limit{2}};
    flowguard::ticket ticket;
    std::thread([&] {
        auto& mine = guard.local();
        CHECK(&mine == &guard.local());
        ticket = mine.try_acquire();
    }).join();
    CHECK(guard.in_flight() == 1);
    ticket.success();
    CHECK(guard.is_idle());
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.available_permits() == 2);
}
