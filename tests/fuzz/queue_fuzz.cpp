// queue_fuzz.cpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A libFuzzer target. It looks for bytes whose steps make the queue of a semaphore break one of its rules.

#include <cstddef>
#include <cstdint>

#include "support/queue_property.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    support::queue_world world({data, size});
    world.run();
    fuzz::require(world.wrong().empty(), world.wrong());
    return 0;
}
