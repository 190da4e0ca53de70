// quiet_buckets.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP

#include <cstddef>
#include <type_traits>

#include "memory_model/runtime/heap.hpp"

namespace memory_model {

// The windows of a guard have hundreds of counters, and the code uses all of them in the same way. So they are not
// modelled. This holds for the windows of every state of the type of `example`.
template <class State>
void keep_buckets_quiet(const State& example) {
    using block = std::remove_reference_t<decltype(*example.loop_.own_)>;
    const block b;
    const auto* begin = reinterpret_cast<const char*>(&b);
    for (const auto& window : b.windows)
        for (const auto& tally : window.successes_) {
            const auto offset = static_cast<std::size_t>(reinterpret_cast<const char*>(&tally.counts_) - begin);
            heap::be_quiet_in_blocks(sizeof(block), offset, sizeof tally.counts_);
        }
}

} // namespace memory_model

#endif
