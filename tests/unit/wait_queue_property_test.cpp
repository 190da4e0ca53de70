// wait_queue_property_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Random steps on a semaphore with one thread, and the rules that hold after each of them.

#include "support/queue_property.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>

#include "support/byte_source.hpp"

TEST_CASE("The queue of a semaphore keeps its rules, whatever its callers do") {
    using flowguard::detail::wait_result;
    constexpr std::array results{wait_result::granted,  wait_result::aborted, wait_result::timed_out,
                                 wait_result::closed,   wait_result::shed,    wait_result::overdue,
                                 wait_result::abandoned};
    std::array<std::size_t, results.size()> ends{};
    std::size_t drains_through = 0;
    std::size_t served_beside = 0;
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        const auto bytes = support::random_bytes(seed, 2000); // some 500 steps
        INFO("seed " << seed);
        support::queue_world world(bytes);
        world.run();
        REQUIRE(world.wrong() == "");
        for (std::size_t i = 0; i < results.size(); ++i)
            ends[i] += world.ends(results[i]);
        drains_through += world.drains_through();
        served_beside += world.served_beside();
    }

    // Rules for what never happens prove nothing.
    for (const std::size_t count : ends)
        CHECK(count >= 100);
    CHECK(drains_through >= 100);
    CHECK(served_beside >= 100);
}
