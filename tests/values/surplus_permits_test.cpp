// surplus_permits_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The permits of calls beyond one each: of a guard, and of a window.

#include "flowguard/detail/control/surplus_permits.hpp"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/control/window_surplus.hpp"

namespace {

using flowguard::detail::surplus_permits;
using flowguard::detail::window_surplus;

TEST_CASE("The calls in flight are the permits in flight without the surplus") {
    surplus_permits surplus;
    std::uint64_t held = 3;
    const auto calls = [&] { return surplus.calls([&] { return held; }); };
    CHECK(calls() == 3);
    surplus.count(50);
    CHECK(calls() == 0); // before its permits are taken, it makes the result too small, and never negative
    held += 50;
    CHECK(calls() == 4);
    surplus.count(2);
    held += 2;
    CHECK(calls() == 5);
    held -= 50;
    surplus.discount(50);
    CHECK(calls() == 4);
    // Calls that begin or end while the permits are read make the result too small, at most.
    CHECK(surplus.calls([&] {
        const std::uint64_t before = held;
        held -= 2;
        surplus.discount(2);
        surplus.count(20);
        held += 20;
        return before;
    }) == 0);
    CHECK(calls() == 4);
}

TEST_CASE("A window has the surplus of its members that have not left") {
    window_surplus surplus;
    CHECK(surplus.end_before(1) == 0);
    CHECK(surplus.hold(1, 49));
    CHECK(surplus.hold(1, 2));
    CHECK(surplus.release(1, 49));
    CHECK(surplus.end_before(2) == 2);
    CHECK(surplus.end_before(2) == 0);
}

TEST_CASE("The surplus of a member is in its window, or with the party that ended it") {
    window_surplus surplus;
    std::size_t elsewhere = 0;
    static_cast<void>(surplus.end_before(1));
    REQUIRE(surplus.hold(1, 9));
    elsewhere += surplus.end_before(2);
    CHECK(elsewhere == 9);
    REQUIRE(surplus.hold(2, 5));
    CHECK_FALSE(surplus.release(1, 9)); // a straggler
    elsewhere -= 9;
    CHECK_FALSE(surplus.hold(1, 3)); // a member that was slow to enter
    elsewhere += 3;
    CHECK_FALSE(surplus.release(1, 3));
    elsewhere -= 3;
    CHECK(surplus.release(2, 5));
    CHECK(surplus.end_before(3) + elsewhere == 0);
}

TEST_CASE("All permits that there can be fit into a window's surplus") {
    window_surplus surplus;
    constexpr std::uint32_t last = (std::uint32_t{1} << 30) - 1; // generations
    static_cast<void>(surplus.end_before(last));
    constexpr std::uint32_t most = (std::uint32_t{1} << 28) - 2;
    for (int i = 0; i < 8; ++i)
        CHECK(surplus.hold(last, most));
    CHECK(surplus.end_before(0) == 8 * std::size_t{most});
}

} // namespace
