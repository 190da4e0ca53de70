// litmus.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Checks the checker with small programs whose possible outcomes are known: an outcome that C++20 allows must occur,
// and an outcome that it forbids must not. An outcome is the values of some registers, or a failure such as a data
// race.
//
//   litmus [executions of each]

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "memory_model/runtime/choices.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;
constexpr auto seq_cst = std::memory_order_seq_cst;

// The objects that the threads share. They are checked, as is all memory that an execution allocates.
struct shared {
    std::atomic<int> x{0};
    std::atomic<int> y{0};
    int plain = 0;
    std::mutex mutex;
};
shared* s = nullptr;

// The registers: the values that the threads have read.
std::array<int, 4> r{};

using thread_bodies = std::vector<std::function<void()>>;

struct litmus {
    const char* name;
    thread_bodies threads;
    std::function<bool()> outcome; // called after all threads have ended; empty: the outcome is a failure
    bool possible;
};

// One thread writes x and then y, and the other reads y and then x.
litmus message_passing(const char* name, std::memory_order store, std::memory_order load, bool possible) {
    return {name,
            {[store] {
                 s->x.store(1, relaxed);
                 s->y.store(1, store);
             },
             [load] {
                 r[0] = s->y.load(load);
                 r[1] = s->x.load(relaxed);
             }},
            [] { return r[0] == 1 && r[1] == 0; },
            possible};
}

// Each of two threads writes one of x and y, and then reads the other.
litmus store_buffering(const char* name, std::memory_order order, bool fenced, bool possible) {
    const auto body = [order, fenced](std::atomic<int> shared::* mine, std::atomic<int> shared::* other, int& read) {
        (s->*mine).store(1, order);
        if (fenced)
            std::atomic_thread_fence(seq_cst);
        read = (s->*other).load(order);
    };
    return {name,
            {[body] { body(&shared::x, &shared::y, r[0]); }, [body] { body(&shared::y, &shared::x, r[1]); }},
            [] { return r[0] == 0 && r[1] == 0; },
            possible};
}

// A flag publishes a plain object.
litmus publication(const char* name, std::memory_order store, std::memory_order load, bool possible) {
    return {name,
            {[store] {
                 s->plain = 1;
                 s->y.store(1, store);
             },
             [load] {
                 if (s->y.load(load) == 1)
                     r[0] = s->plain;
             }},
            {},
            possible};
}

// Message passing, with a third thread that changes the flag in between.
litmus release_sequence(const char* name, std::function<void()> change, bool possible) {
    return {name,
            {[] {
                 s->x.store(1, relaxed);
                 s->y.store(1, release);
             },
             [change = std::move(change)] {
                 if (s->y.load(relaxed) == 1)
                     change();
             },
             [] {
                 r[0] = s->y.load(acquire);
                 r[1] = s->x.load(relaxed);
             }},
            [] { return r[0] == 2 && r[1] == 0; },
            possible};
}

litmus fences(const char* name, bool released, bool acquired, bool possible) {
    return {name,
            {[released] {
                 s->x.store(1, relaxed);
                 if (released)
                     std::atomic_thread_fence(release);
                 s->y.store(1, relaxed);
             },
             [acquired] {
                 r[0] = s->y.load(relaxed);
                 if (acquired)
                     std::atomic_thread_fence(acquire);
                 r[1] = s->x.load(relaxed);
             }},
            [] { return r[0] == 1 && r[1] == 0; },
            possible};
}

litmus exchange(const char* name, bool weak, bool possible) {
    return {name,
            {[weak] {
                int expected = 0;
                r[0] = weak ? s->x.compare_exchange_weak(expected, 1, relaxed)
                            : s->x.compare_exchange_strong(expected, 1, relaxed);
            }},
            [] { return r[0] == 0; },
            possible};
}

void increment_locked() {
    const std::lock_guard lock(s->mutex);
    ++s->plain;
}

// Two threads write x and y, and two other threads read them in different orders.
litmus independent_reads() {
    return {"independent reads",
            {[] { s->x.store(1, release); }, [] { s->y.store(1, release); },
             [] {
                 r[0] = s->x.load(acquire);
                 r[1] = s->y.load(acquire);
             },
             [] {
                 r[2] = s->y.load(acquire);
                 r[3] = s->x.load(acquire);
             }},
            [] { return r == std::array{1, 0, 1, 0}; },
            true};
}

// In the end, each location has the value of the store that comes first in its thread.
litmus stores_reordered() {
    return {"stores in other orders",
            {[] {
                 s->x.store(1, relaxed);
                 s->y.store(2, relaxed);
             },
             [] {
                 s->y.store(1, relaxed);
                 s->x.store(2, relaxed);
             }},
            [] { return s->x.load(relaxed) == 1 && s->y.load(relaxed) == 1; },
            true};
}

litmus coherence() {
    return {"coherence: a newer value, then an older",
            {[] {
                 s->x.store(1, relaxed);
                 s->x.store(2, relaxed);
             },
             [] {
                 r[0] = s->x.load(relaxed);
                 r[1] = s->x.load(relaxed);
             }},
            [] { return r[1] < r[0]; },
            false};
}

litmus additions() {
    const auto add = [] { s->x.fetch_add(1, relaxed); };
    return {"an addition is lost", {add, add, add}, [] { return s->x.load(relaxed) != 3; }, false};
}

litmus late_access(const char* name, std::memory_order order, bool possible) {
    const auto leave = [order] {
        r[0] = s->plain;
        if (s->x.fetch_add(1, order) == 1) {
            delete s;
            s = new shared;
        }
    };
    return {name, {leave, leave}, {}, possible};
}

std::vector<litmus> all_litmus_tests() {
    return {
        message_passing("message passing, relaxed", relaxed, relaxed, true),
        message_passing("message passing, release alone", release, relaxed, true),
        message_passing("message passing, acquire alone", relaxed, acquire, true),
        message_passing("message passing", release, acquire, false),
        fences("message passing, release fence alone", true, false, true),
        fences("message passing, acquire fence alone", false, true, true),
        fences("message passing, fences", true, true, false),
        release_sequence(
            "a release sequence", [] { s->y.fetch_add(1, relaxed); }, false),
        release_sequence(
            "no release sequence", [] { s->y.store(2, relaxed); }, true),
        store_buffering("store buffering, relaxed", relaxed, false, true),
        store_buffering("store buffering, sequentially consistent", seq_cst, false, false),
        store_buffering("store buffering, fences", relaxed, true, false),
        independent_reads(),
        stores_reordered(),
        coherence(),
        additions(),
        exchange("a weak exchange fails", true, true),
        exchange("a strong exchange fails", false, false),
        publication("a plain object, published relaxed", relaxed, acquire, true),
        publication("a plain object, read relaxed", release, relaxed, true),
        publication("a plain object, published", release, acquire, false),
        {"two plain writes", {[] { ++s->plain; }, [] { ++s->plain; }}, {}, true},
        {"two plain writes, locked", {increment_locked, increment_locked}, {}, false},
        late_access("the last destroys, relaxed", relaxed, true),
        late_access("the last destroys", acq_rel, false),
    };
}

// The number of executions in which the outcome occurs.
std::size_t occurrences(const litmus& test, std::size_t executions) {
    std::size_t n = 0;
    for (std::size_t seed = 1; seed <= executions; ++seed) {
        memory_model::begin_choices(seed);
        bool occurred = false;
        const std::string failure =
            memory_model::run({[] {
                                   s = new shared;
                                   r = {};
                               },
                               test.threads, [&] { occurred = test.outcome && test.outcome(); }});
        if (!failure.empty() && test.outcome) {
            std::printf("%s: %s\n", test.name, failure.c_str());
            std::exit(1);
        }
        n += occurred || !failure.empty() ? 1 : 0;
    }
    return n;
}

} // namespace

int main(int argc, char** argv) {
    const int executions = argc > 1 ? std::atoi(argv[1]) : 5'000;
    if (executions < 1) {
        std::fprintf(stderr, "executions: '%s' is not a number from 1 on\n", argv[1]);
        return 2;
    }
    int wrong = 0;
    for (const litmus& test : all_litmus_tests()) {
        const std::size_t n = occurrences(test, static_cast<std::size_t>(executions));
        const bool right = (n > 0) == test.possible;
        wrong += right ? 0 : 1;
        std::printf("%-45s %7zu of %d%s\n", test.name, n, executions,
                    right ? "" : (test.possible ? ": must occur" : ": must not occur"));
    }
    return wrong == 0 ? 0 : 1;
}
