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

// An execution, and a description of it for the report of a failure.
struct scenario {
    std::string description;
    execution steps;
};

// Counts an event, over all executions.
void count(const char* what, std::uint64_t times = 1);

// The main function of a harness. Runs executions until one fails; `make` chooses the scenario of each. In the end each
// event in `expected` must have been counted. Otherwise the harness proves nothing.
//
//   <name> [executions] [first seed]
//
// The seeds are consecutive. If an execution fails, its seed is printed, and the exit code is 1. For a bad argument the
// exit code is 2.
int check(int argc, char** argv, const std::vector<const char*>& expected, scenario (*make)());

} // namespace memory_model

#endif
