// partition_turns_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/queue/partition_turns.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "flowguard/detail/queue/partitions.hpp"

namespace {

using flowguard::detail::partition_turns;
using flowguard::detail::partitions;

// The next partition to have a turn: of those that wait, the one with the fewest turns for its share; the first among
// equals.
std::size_t next_of(const partition_turns& turns, const std::vector<std::size_t>& waiting) {
    std::size_t found = waiting.front();
    for (const std::size_t p : waiting)
        if (turns.of(p) < turns.of(found))
            found = p;
    return found;
}

// Takes so many turns, and returns which partitions had them.
std::string serve(partition_turns& turns, const std::vector<std::size_t>& waiting, int times) {
    std::string order;
    while (times-- > 0) {
        const std::size_t p = next_of(turns, waiting);
        turns.take(p);
        order += static_cast<char>('0' + p);
    }
    return order;
}

TEST_CASE("Partitions that always wait have turns in proportion to their shares") {
    for (const std::vector<double>& shares :
         {std::vector<double>{1}, {0.5, 0.5}, {0.75, 0.25}, {0.25, 0.25, 0.5}, {0.1, 0.2, 0.3, 0.4}}) {
        partition_turns turns{partitions(shares)};
        std::vector<std::size_t> all(shares.size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        const std::string order = serve(turns, all, 100);
        CAPTURE(order);
        for (const std::size_t p : all) {
            const auto had = static_cast<double>(std::count(order.begin(), order.end(), static_cast<char>('0' + p)));
            CHECK(had == Approx(100 * shares[p]).margin(1));
        }
    }
}

TEST_CASE("A partition that did not wait keeps a credit of one turn at most") {
    partition_turns turns{partitions({0.5, 0.5})};
    CHECK(serve(turns, {0}, 100) == std::string(100, '0')); // alone
    turns.join(1);
    CHECK(serve(turns, {0, 1}, 6) == "101010");
}

TEST_CASE("A partition that waits while the other has turns for other reasons is owed one turn at most") {
    partition_turns turns{partitions({0.5, 0.5})};
    turns.join(0);
    turns.join(1);
    for (int i = 0; i < 100; ++i)
        turns.take(0); // although partition 1 waits, because it had the most in flight
    CHECK(serve(turns, {0, 1}, 6) == "110101"); // the second turn of partition 1 is the one that it was owed
}

TEST_CASE("A partition that begins to wait after a heavy turn of the other one has as much, and no more") {
    partition_turns turns{partitions({0.5, 0.5})};
    CHECK(serve(turns, {0}, 100) == std::string(100, '0')); // alone
    turns.take(0, 4);
    turns.join(1);
    CHECK(serve(turns, {0, 1}, 8) == "11110101"); // as many permits as the heavy turn had
}

TEST_CASE("A caller that takes several permits has had as many turns") {
    partition_turns turns{partitions({0.5, 0.5})};
    turns.join(0);
    turns.join(1);
    turns.take(0, 4);
    CHECK(serve(turns, {0, 1}, 6) == "111101");
}

TEST_CASE("A partition without a share has turns as if it had the whole share") {
    partition_turns turns{partitions({1, 0})};
    CHECK(serve(turns, {0, 1}, 6) == "010101");
}

} // namespace
