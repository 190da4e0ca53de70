// append_only_list_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/base/append_only_list.hpp"

#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <cstddef>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using flowguard::detail::append_only_list;

TEST_CASE("A list finds the newest element that matches") {
    append_only_list<int> list;
    CHECK(list.find_if([](int) { return true; }) == nullptr);
    int& one = list.add(1);
    int& two = list.add(2);
    list.add(3);
    CHECK(list.find_if([](int i) { return i < 3; }) == &two);
    CHECK(list.find_if([](int i) { return i < 2; }) == &one);
    CHECK(list.find_if([](int i) { return i > 3; }) == nullptr);
}

TEST_CASE("Elements that cannot be moved stay where they are, and are destroyed with the list") {
    struct counted {
        explicit counted(int& left) : destroyed(left) {}
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;
        ~counted() { ++destroyed; }
        int& destroyed;
    };
    int destroyed = 0;
    {
        append_only_list<counted> list;
        const counted* first = &list.add(destroyed);
        for (int i = 0; i < 9; ++i)
            list.add(destroyed);
        CHECK(list.find_if([&](const counted& c) { return &c == first; }) == first);
        CHECK(destroyed == 0);
    }
    CHECK(destroyed == 10);
}

TEST_CASE("If the constructor of an element throws, the list stays as it was") {
    struct fussy {
        explicit fussy(int value) {
            if (value < 0)
                throw std::invalid_argument("negative");
        }
    };
    append_only_list<fussy> list;
    fussy& first = list.add(1);
    CHECK_THROWS_AS(list.add(-1), std::invalid_argument);
    CHECK(list.find_if([](const fussy&) { return true; }) == &first);
}

// Each thread takes a free element, or adds one, and frees it later. Contexts use their links in the same way.
TEST_CASE("Many threads add, find and reuse elements, and each element has one user at a time") {
    constexpr int threads = 4;
    constexpr int rounds = 2000;
    struct slot {
        std::atomic<bool> taken{true};
        int users = 0; // not atomic: ThreadSanitizer reports two users at a time
    };
    append_only_list<slot> list;
    std::barrier<> ready{threads};
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&] {
            ready.arrive_and_wait();
            for (int i = 0; i < rounds; ++i) {
                slot* found = list.find_if([](slot& s) {
                    bool free = false;
                    return s.taken.compare_exchange_strong(free, true, std::memory_order_acquire,
                                                           std::memory_order_relaxed);
                });
                slot& mine = found != nullptr ? *found : list.add();
                ++mine.users;
                mine.taken.store(false, std::memory_order_release);
            }
        });
    for (std::thread& t : running)
        t.join();
    int uses = 0;
    int slots = 0;
    list.find_if([&](slot& s) {
        uses += s.users;
        ++slots;
        return false;
    });
    CHECK(uses == threads * rounds);
    CHECK(slots <= threads);
}

} // namespace
