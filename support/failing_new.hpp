// failing_new.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Replaces the global operator new and aligned_alloc, to let allocations fail. A program must include this only once.

#ifndef FLOWGUARD_SUPPORT_FAILING_NEW_HPP
#define FLOWGUARD_SUPPORT_FAILING_NEW_HPP

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

} // namespace support

// clang's ThreadSanitizer does not let a program replace its operator new, so no allocation fails there.
#if defined(__clang__) && defined(FLOWGUARD_TEST_THREAD_SANITIZER)
#define FLOWGUARD_NO_ALLOCATION_FAILS
#endif

#if !defined(FLOWGUARD_NO_ALLOCATION_FAILS)
#include "support/replaced_new.hpp"

namespace support {

inline void* try_allocate(std::size_t size, std::size_t alignment) noexcept {
    return failing_allocation::next() ? nullptr : aligned_memory(size, alignment);
}

} // namespace support
#endif

#endif
