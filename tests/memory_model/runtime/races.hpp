// races.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_RACES_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_RACES_HPP

#include <cstddef>

#include "memory_model/runtime/memory.hpp"

// Finds data races. Two accesses to the same byte by two threads are a data race if at least one is a write, at least
// one is plain, and neither happens before the other. All accesses are remembered until the execution ends.
namespace memory_model {

enum class access { plain_read, plain_write, atomic_read, atomic_write };

// Forgets all accesses, at the beginning of an execution.
void reset_races();

// Fails if the access races with an earlier one. `code` is the address of the code that makes it.
void check_access(observer& who, const volatile void* address, std::size_t size, access kind, const void* code);

// Freeing a block counts as a write to all bytes of it that were ever accessed.
void check_release(observer& who, const volatile void* block, std::size_t size, const void* code);

} // namespace memory_model

#endif
