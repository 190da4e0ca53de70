// failing_new.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new and aligned_alloc, to let allocations fail. A program must include this only once.

#ifndef FLOWGUARD_SUPPORT_FAILING_NEW_HPP
#define FLOWGUARD_SUPPORT_FAILING_NEW_HPP

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "support/sanitizers.hpp"

namespace support {

/// While it exists, the `which`-th allocation of its thread fails, counted from 1. Only one may exist in a thread at a
/// time.
class failing_allocation {
public:
    explicit failing_allocation(int which) noexcept { left_ = which; }
    failing_allocation(const failing_allocation&) = delete;
    failing_allocation& operator=(const failing_allocation&) = delete;
    ~failing_allocation() { left_ = 0; }

    bool has_failed() const noexcept { return left_ <= 0; }

    /// Counts an allocation, and returns whether it fails.
    static bool next() noexcept { return left_ > 0 && --left_ == 0; }

private:
    static inline constinit thread_local int left_ = 0;
};

inline void* try_allocate(std::size_t size, std::size_t alignment) noexcept {
    void* memory = nullptr;
    if (failing_allocation::next() || posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) != 0)
        return nullptr;
    return memory;
}

inline void* allocate(std::size_t size, std::size_t alignment) {
    if (void* memory = try_allocate(size, alignment))
        return memory;
    throw std::bad_alloc();
}

} // namespace support

// clang's ThreadSanitizer does not let a program replace its operator new, so no allocation fails there.
#if defined(__clang__) && defined(FLOWGUARD_TEST_THREAD_SANITIZER)
#define FLOWGUARD_NO_ALLOCATION_FAILS
#endif

#if !defined(FLOWGUARD_NO_ALLOCATION_FAILS)
// Asio's own memory, coroutine frames included, comes from aligned_alloc, not from operator new.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return support::try_allocate(size, alignment);
}

// Replacement functions must not be inline. GCC takes free() for a mismatch with operator new, although both are ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t size) {
    return support::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return support::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return support::try_allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return support::try_allocate(size, static_cast<std::size_t>(alignment));
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

#endif
