// quiet_buckets.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP

#include <cstddef>
#include <memory>

#include "flowguard/detail/sample_window.hpp"
#include "memory_model/runtime/heap.hpp"

namespace memory_model {

// A window has hundreds of counters, all of which are set, added to, and read in one way. They are not modelled.
inline void keep_buckets_quiet() {
    using flowguard::detail::sample_window;
    const auto window = std::make_unique<sample_window>();
    const auto* begin = reinterpret_cast<const char*>(window.get());
    constexpr std::size_t link = sizeof(void*); // of the list of windows, before each
    for (const auto& tally : window->successes_) {
        const auto offset = static_cast<std::size_t>(reinterpret_cast<const char*>(&tally.counts_) - begin);
        heap::be_quiet_in_blocks(link + sizeof(sample_window), link + offset, sizeof tally.counts_);
    }
}

} // namespace memory_model

#endif
