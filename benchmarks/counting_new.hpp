// counting_new.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new in the program that includes this, once, to count allocations.

#ifndef FLOWGUARD_BENCHMARKS_COUNTING_NEW_HPP
#define FLOWGUARD_BENCHMARKS_COUNTING_NEW_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

inline std::atomic<std::uint64_t> allocation_count{0};

namespace counting_new {

inline void* allocate(std::size_t size, std::size_t alignment) {
    allocation_count.fetch_add(1, std::memory_order_relaxed);
    const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
    if (void* memory = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment))
        return memory;
    throw std::bad_alloc();
}

} // namespace counting_new

// Not inline: replacement functions must not be. GCC takes free() for a mismatch with operator new,
// though both are ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t size) {
    return counting_new::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return counting_new::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

#endif
