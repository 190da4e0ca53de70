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
// Each atomic object is a *location*. It has the list of all values that it ever had: its modification order. An entry
// of that list is a *message*. A thread has a *view*: for each location, the oldest message that the thread may still
// read. It may read that message and all later ones, not only the newest. Each read or write moves the view forward:
// that is coherence. A release puts the writer's knowledge into the message, and an acquire takes it over: that is
// happens-before. (J. Kang, C.-K. Hur, O. Lahav, V. Vafeiadis, D. Dreyer: A Promising Semantics for Relaxed-Memory
// Concurrency, POPL 2017, without the promises.)
//
// A store may be ordered before messages that its thread has not seen. A read-modify-write directly follows the message
// that it read, and continues the release sequence of that message.
//
// C++20 allows one behaviour that never occurs here: a load that reads a store which the same thread makes possible
// later (load buffering). And one rule is stronger here than in C++20: a sequentially consistent operation acts as if
// it had a sequentially consistent fence before and after it.
namespace memory_model {

// One value of a location.
struct message {
    std::uint64_t value = 0;
    std::size_t position = 0; // in the modification order
    bool followed = false; // by a read-modify-write, so that nothing may come in between
    bool hands_on_knowledge = false; // there is a release that an acquire can synchronize with
    knowledge released;
};

// The knowledge of one thread.
struct observer {
    std::size_t thread = 0;
    knowledge now;
    knowledge unacquired; // of messages that were read with relaxed order; an acquire fence takes it over
    knowledge fenced; // as of the last release fence: relaxed stores hand it on
    bool has_fenced = false;

    // Begins with the knowledge of the creator. The creator begins a new moment, too.
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

// A compare-exchange. On failure, `expected` is set to the value that was read.
bool exchange(observer& who, volatile void* address, std::size_t size, std::uint64_t& expected, std::uint64_t desired,
              bool weak, exchange_orders orders);

void fence(observer& who, int order);

// Called for a plain write, such as a constructor makes: the objects in this range are new ones.
void forget_locations(const volatile void* address, std::size_t size);

// Reads the bytes, without the model.
std::uint64_t read_bytes(const volatile void* address, std::size_t size) noexcept;
void write_bytes(volatile void* address, std::size_t size, std::uint64_t value) noexcept;

} // namespace memory_model

#endif
