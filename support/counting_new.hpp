// counting_new.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new and aligned_alloc, to count allocations. A program must include this only once.

#ifndef FLOWGUARD_SUPPORT_COUNTING_NEW_HPP
#define FLOWGUARD_SUPPORT_COUNTING_NEW_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "support/sanitizers.hpp"

namespace support {

/// How many allocations the program has made, and of how many bytes in all.
inline std::atomic<std::uint64_t> allocations{0};
inline std::atomic<std::uint64_t> allocated_bytes{0};

} // namespace support

// clang's ThreadSanitizer does not let a program replace its operator new, but calls a hook.
#if defined(__clang__) && defined(FLOWGUARD_TEST_THREAD_SANITIZER)
#define FLOWGUARD_COUNT_BY_HOOK
#endif

#if defined(FLOWGUARD_COUNT_BY_HOOK)
extern "C" void __sanitizer_malloc_hook(const volatile void*, std::size_t size) {
    support::allocations.fetch_add(1, std::memory_order_relaxed);
    support::allocated_bytes.fetch_add(size, std::memory_order_relaxed);
}
extern "C" void __sanitizer_free_hook(const volatile void*) {}
#else
#include "support/replaced_new.hpp"

namespace support {

inline void* try_allocate(std::size_t size, std::size_t alignment) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    allocated_bytes.fetch_add(size, std::memory_order_relaxed);
    return aligned_memory(size, alignment);
}

} // namespace support
#endif

#endif
