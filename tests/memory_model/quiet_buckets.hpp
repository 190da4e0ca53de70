// quiet_buckets.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_QUIET_BUCKETS_HPP

#include <cstddef>

#include "memory_model/runtime/heap.hpp"

namespace memory_model {

// The windows of a guard's state have hundreds of counters, and the code uses all of them in the same way. So they are
// not modelled. This holds for every state of the type of `example`.
template <class State>
void keep_buckets_quiet(const State& example) {
    const auto* begin = reinterpret_cast<const char*>(&example);
    for (const auto& window : example.loop_.windows_)
        for (const auto& tally : window.successes_) {
            const auto offset = static_cast<std::size_t>(reinterpret_cast<const char*>(&tally.counts_) - begin);
            heap::be_quiet_in_blocks(sizeof(State), offset, sizeof tally.counts_);
        }
}

} // namespace memory_model

#endif
