// retirable_test.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/base/retirable.hpp"

#include <array>
#include <barrier>
#include <catch2/catch.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

using flowguard::detail::retirable;

// Counts how often it is destroyed.
class counted {
public:
    explicit counted(int& destroyed, int value = 0) noexcept : value_(value), destroyed_(&destroyed) {}
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { ++*destroyed_; }

    int value() const noexcept { return value_; }

private:
    int value_;
    int* destroyed_;
};

TEST_CASE("An object that was not retired can be entered, and is destroyed with its holder") {
    int destroyed = 0;
    {
        retirable<counted> held(std::in_place, destroyed, 7);
        for (int i = 0; i < 3; ++i) {
            const auto in = held.enter();
            REQUIRE(in);
            CHECK(in->value() == 7);
            CHECK((*in).value() == 7);
        }
        CHECK(destroyed == 0);
    }
    CHECK(destroyed == 1);
}

TEST_CASE("An object without users is destroyed when it is retired, once") {
    int destroyed = 0;
    {
        retirable<counted> held(std::in_place, destroyed);
        held.retire();
        CHECK(destroyed == 1);
        CHECK_FALSE(held.enter());
        CHECK_FALSE(held.enter());
        held.retire();
        CHECK_FALSE(held.enter());
    }
    CHECK(destroyed == 1);
}

TEST_CASE("An object that is retired while it is used is destroyed when the last user leaves") {
    int destroyed = 0;
    retirable<counted> held(std::in_place, destroyed, 7);
    {
        const auto first = held.enter();
        {
            const auto second = held.enter();
            held.retire();
            CHECK(destroyed == 0);
            CHECK_FALSE(held.enter()); // comes too late, and does not count as a user
            CHECK(second->value() == 7);
        }
        CHECK(destroyed == 0);
        CHECK(first->value() == 7);
    }
    CHECK(destroyed == 1);
    CHECK_FALSE(held.enter());
    CHECK(destroyed == 1);
}

TEST_CASE("A function may retire itself while it is called") {
    int destroyed = 0;
    retirable<std::function<void()>>* self = nullptr;
    bool destroyed_inside = false;
    retirable<std::function<void()>> held(std::in_place, [&, owned = std::make_shared<counted>(destroyed)] {
        self->retire();
        destroyed_inside = destroyed != 0;
    });
    self = &held;
    (*held.enter())();
    CHECK_FALSE(destroyed_inside);
    CHECK(destroyed == 1);
}

TEST_CASE("An object that several threads use is destroyed once, after the last use") {
    constexpr int rounds = 200;
    constexpr std::size_t users = 3;
    int destroyed = 0; // not atomic: ThreadSanitizer reports a race
    std::array<int, users> used{}; // each thread writes its own element
    int last_seen = 0;
    struct watcher {
        watcher(int& d, std::array<int, users>& u, int& l) noexcept : destroyed(d), used(u), last_seen(l) {}
        watcher(const watcher&) = delete;
        watcher& operator=(const watcher&) = delete;
        ~watcher() {
            ++destroyed;
            for (const int n : used)
                last_seen += n; // reads what every user wrote
        }
        int& destroyed;
        std::array<int, users>& used;
        int& last_seen;
    };
    std::optional<retirable<watcher>> held;
    std::barrier sync{static_cast<std::ptrdiff_t>(users + 1)};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < users; ++i)
        threads.emplace_back([&, i] {
            for (int round = 0; round < rounds; ++round) {
                sync.arrive_and_wait();
                while (const auto in = held->enter())
                    ++in->used[i];
                sync.arrive_and_wait();
            }
        });
    bool once_each = true;
    bool saw_all = true;
    for (int round = 0; round < rounds; ++round) {
        last_seen = 0;
        used = {};
        held.emplace(std::in_place, destroyed, used, last_seen);
        sync.arrive_and_wait();
        held->retire();
        sync.arrive_and_wait();
        once_each = once_each && destroyed == round + 1;
        saw_all = saw_all && last_seen == used[0] + used[1] + used[2];
    }
    for (std::thread& t : threads)
        t.join();
    CHECK(once_each);
    CHECK(saw_all);
}

} // namespace
