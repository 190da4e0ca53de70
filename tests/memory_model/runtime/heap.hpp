// heap.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_HEAP_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_HEAP_HPP

#include <cstddef>

// The memory that the code under test gets from operator new. All of it is checked. Other memory is not: stacks and
// global variables belong to the harness. No byte is used twice in an execution, so that an access after free is
// noticed.
namespace memory_model::heap {

inline constexpr std::size_t capacity = std::size_t{1} << 22; // bytes

// Empties the heap, at the beginning of an execution.
void reset();

void* allocate(std::size_t size, std::size_t alignment);

// Frees a block. Fails if no block begins there.
void release(void* block, const void* code);

bool contains(const volatile void* address) noexcept;
std::size_t offset_of(const volatile void* address) noexcept;

// How many bytes of the heap this execution has used.
std::size_t used() noexcept;

std::size_t live_blocks() noexcept;

// The size of the block that begins at the address.
std::size_t size_of(const void* block) noexcept;

// Fails if the byte does not belong to a live block. `code` is the address of the code that accesses it.
void check_live(const volatile void* address, const void* code);

// In each block of `block_size` bytes, atomic operations on `length` bytes from `offset` on are carried out without the
// model, and are no steps. This is for objects with many counters: modelling them would make every execution long, and
// would prove little.
void be_quiet_in_blocks(std::size_t block_size, std::size_t offset, std::size_t length);
bool is_quiet(const volatile void* address) noexcept;

} // namespace memory_model::heap

#endif
