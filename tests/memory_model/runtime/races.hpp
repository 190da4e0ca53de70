// races.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_RACES_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_RACES_HPP

#include <cstddef>

#include "memory_model/runtime/memory.hpp"

// Data races: two accesses to the same byte, by two threads, at least one of them a write and at least one of them
// plain, neither of which happens before the other. Nothing of an access is forgotten until its execution ends.
namespace memory_model {

enum class access { plain_read, plain_write, atomic_read, atomic_write };

// Forgets all accesses, at the beginning of an execution.
void reset_races();

// Fails if the access races with one before. `code` is where it is made.
void check_access(observer& who, const volatile void* address, std::size_t size, access kind, const void* code);

// Freeing a block is a write to what was ever accessed of it.
void check_release(observer& who, const volatile void* block, std::size_t size, const void* code);

} // namespace memory_model

#endif
