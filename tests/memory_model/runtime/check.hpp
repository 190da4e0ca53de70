// check.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_CHECK_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_CHECK_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

// An execution, and in words what it consists of, for the report of a failure.
struct scenario {
    std::string description;
    execution steps;
};

// Counts something that an execution did, in all executions.
void count(const char* what, std::uint64_t times = 1);

// The main function of a harness: runs executions, each of a scenario that `make` chooses, until one fails. All of
// `expected` must have been counted in the end, else the harness proves nothing.
//
//   <name> [executions] [first seed]
//
// The seeds are consecutive. The exit code is 1 if an execution failed, whose seed is printed, 2 for a bad argument.
int check(int argc, char** argv, const std::vector<const char*>& expected, scenario (*make)());

} // namespace memory_model

#endif
