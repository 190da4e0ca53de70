// choices.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_CHOICES_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_CHOICES_HPP

#include <cstddef>
#include <cstdint>

// All that is random in an execution. It depends only on the seed.
namespace memory_model {

// How often unusual events happen in one execution, per mille. Some executions are calm and others wild, because some
// faults need a long time without a switch, and others need many switches.
struct habits {
    unsigned switches;          // of the steps: another thread continues
    unsigned disorder;          // of the steps: a load reads an older value, a store is ordered before others
    unsigned spurious_failures; // of the weak exchanges that could succeed
};

extern habits habit;

// Seeds the choices, and draws the habits.
void begin_choices(std::uint64_t seed);

// A number below n.
std::size_t choose(std::size_t n);

inline bool happens(unsigned per_mille) {
    return per_mille != 0 && choose(1000) < per_mille;
}

} // namespace memory_model

#endif
