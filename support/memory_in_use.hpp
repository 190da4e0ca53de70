// memory_in_use.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_MEMORY_IN_USE_HPP
#define FLOWGUARD_SUPPORT_MEMORY_IN_USE_HPP

#include <algorithm>
#include <cstddef>
#include <fstream>

#include "support/sanitizers.hpp"

#if defined(FLOWGUARD_TEST_ADDRESS_SANITIZER) || defined(FLOWGUARD_TEST_THREAD_SANITIZER)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace support {

/// The bytes that this program has allocated and not freed, which a sanitizer counts. Without a sanitizer, the bytes
/// that are resident.
inline std::size_t memory_in_use() {
#if defined(FLOWGUARD_TEST_ADDRESS_SANITIZER) || defined(FLOWGUARD_TEST_THREAD_SANITIZER)
    return __sanitizer_get_current_allocated_bytes();
#else
    std::ifstream statm("/proc/self/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    statm >> size >> resident;
    return resident * 4096;
#endif
}

/// The most memory that is in use at any look(), beyond what was in use at the construction. For one thread at a time.
class memory_peak {
public:
    void look() { most_ = std::max(most_, memory_in_use()); }

    std::size_t growth() const noexcept { return most_ - start_; }

private:
    const std::size_t start_ = memory_in_use();
    std::size_t most_ = start_;
};

} // namespace support

#endif
