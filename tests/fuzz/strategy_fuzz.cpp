// strategy_fuzz.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A libFuzzer target. It looks for bytes whose windows make a strategy leave its bounds, move too far, or not recover.
//
//     cmake --workflow --preset fuzz

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <tuple>

#include "support/strategy_property.hpp"

namespace {

template <class Strategy>
void check(std::span<const std::uint8_t> bytes) {
    const std::string wrong = support::violation<Strategy>(bytes, 100);
    if (wrong.empty())
        return;
    std::fprintf(stderr, "%s\n", wrong.c_str());
    std::abort();
}

template <class... Strategies>
void check_each(std::span<const std::uint8_t> bytes, std::tuple<Strategies...>*) {
    (check<Strategies>(bytes), ...);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check_each({data, size}, static_cast<support::all_strategies*>(nullptr));
    return 0;
}
