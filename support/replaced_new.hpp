// replaced_new.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new and aligned_alloc by support::try_allocate(), which the header that includes this
// defines. A program must include this only once.

#ifndef FLOWGUARD_SUPPORT_REPLACED_NEW_HPP
#define FLOWGUARD_SUPPORT_REPLACED_NEW_HPP

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

// Returns null for a failure.
inline void* try_allocate(std::size_t size, std::size_t alignment) noexcept;

// Memory that is not counted, and does not fail on purpose. Returns null if there is none.
inline void* aligned_memory(std::size_t size, std::size_t alignment) noexcept {
    void* memory = nullptr;
    return posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) == 0 ? memory : nullptr;
}

inline void* allocate(std::size_t size, std::size_t alignment) {
    if (void* memory = try_allocate(size, alignment))
        return memory;
    throw std::bad_alloc();
}

} // namespace support

// Asio's own memory, coroutine frames included, comes from aligned_alloc, not from operator new.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return support::try_allocate(size, alignment);
}

// Replacement functions must not be inline. The array forms are replaced as well: a sanitizer has its own, which do not
// call these functions. GCC takes free() for a mismatch with operator new, although both are ours.
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
void* operator new[](std::size_t size) {
    return ::operator new(size);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return ::operator new(size, alignment);
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
    return ::operator new(size, tag);
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
    return ::operator new(size, alignment, tag);
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

void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

#endif
