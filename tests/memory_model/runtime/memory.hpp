// memory.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_MEMORY_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_MEMORY_HPP

#include <cstddef>
#include <cstdint>

#include "memory_model/runtime/knowledge.hpp"

// Atomic operations under the C++20 memory model.
//
// Each atomic object is a *location* with the list of all values it was ever given, its modification order; an
// entry is a *message*. A thread has a *view*: for each location, the oldest message that it may still read. It may
// read any from there on, and not just the newest. What it reads or writes moves its view forward: that is coherence.
// A release puts the writer's knowledge into the message, and an acquire takes it over: that is happens-before.
// (J. Kang, C.-K. Hur, O. Lahav, V. Vafeiadis, D. Dreyer: A Promising Semantics for Relaxed-Memory Concurrency, POPL
// 2017, without the promises.)
//
// A store may be ordered before messages that its thread has not seen; only a read-modify-write follows at once the
// message that it read. It keeps up that message's release, as a release sequence.
//
// What C++20 allows and this never does: a load that reads a store which its own thread makes possible later (load
// buffering). What this does and C++20 does not: a sequentially consistent operation acts as if it had a
// sequentially consistent fence before and behind it.
namespace memory_model {

// One value of a location.
struct message {
    std::uint64_t value = 0;
    std::size_t position = 0;        // in the modification order
    bool followed = false;           // by a read-modify-write: nothing may come between
    bool hands_on_knowledge = false; // there is a release to synchronize with
    knowledge released;
};

// What one thread knows.
struct observer {
    std::size_t thread = 0;
    knowledge now;
    knowledge unacquired; // of messages that were read relaxed: an acquire fence takes it over
    knowledge fenced;     // as of the last release fence: relaxed stores hand it on
    bool has_fenced = false;

    // Begins with what another thread knows, which begins a new moment itself.
    void begin(std::size_t number, observer& creator);
    void next_moment() noexcept { ++now.clock[thread]; }
};

struct memory_counters {
    std::uint64_t stale_reads = 0;
    std::uint64_t spurious_failures = 0;
};

extern memory_counters memory_counts;

// Forgets all locations, at the beginning of an execution.
void reset_memory();

// The operations. `order` is one of __ATOMIC_RELAXED … __ATOMIC_SEQ_CST, `size` in bytes at most 8.
std::uint64_t load(observer& who, const volatile void* address, std::size_t size, int order);
void store(observer& who, volatile void* address, std::size_t size, std::uint64_t value, int order);

// Replaces the value v by update(v, operand), and returns v.
using update_function = std::uint64_t (*)(std::uint64_t value, std::uint64_t operand);
std::uint64_t modify(observer& who, volatile void* address, std::size_t size, update_function update,
                     std::uint64_t operand, int order);

struct exchange_orders {
    int success;
    int failure;
};

// A compare-exchange. On failure `expected` becomes what was read.
bool exchange(observer& who, volatile void* address, std::size_t size, std::uint64_t& expected, std::uint64_t desired,
              bool weak, exchange_orders orders);

void fence(observer& who, int order);

// A plain write made new objects of those in this range, as constructors do.
void forget_locations(const volatile void* address, std::size_t size);

// The bytes as they are, without any model.
std::uint64_t read_bytes(const volatile void* address, std::size_t size) noexcept;
void write_bytes(volatile void* address, std::size_t size, std::uint64_t value) noexcept;

} // namespace memory_model

#endif
