// choices.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/choices.hpp"

#include <array>

namespace memory_model {

habits habit{};

namespace {

std::uint64_t state = 0;

// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
std::uint64_t next_random() {
    state += 0x9E3779B97F4A7C15;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

} // namespace

void begin_choices(std::uint64_t seed) {
    constexpr std::array<unsigned, 4> switches{30, 120, 300, 600};
    constexpr std::array<unsigned, 4> disorder{0, 100, 300, 700};
    state = seed;
    next_random(); // the seeds are consecutive; after this, the states are not
    state = next_random();
    habit = {switches[choose(4)], disorder[choose(4)], choose(2) == 0 ? 0U : 50U};
}

std::size_t choose(std::size_t n) {
    return n <= 1 ? 0 : static_cast<std::size_t>(next_random() % n);
}

} // namespace memory_model
