// libraries.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the two shared libraries export. They hide everything else.

#ifndef FLOWGUARD_TESTS_VISIBILITY_LIBRARIES_HPP
#define FLOWGUARD_TESTS_VISIBILITY_LIBRARIES_HPP

#include <flowguard.hpp>

#define EXPORTED __attribute__((visibility("default")))

// The names are C names, so that dlsym() finds them.

// In one library: the error of a call that a guard there sheds, and the same error with the category of that library.
extern "C" EXPORTED void shed_a_call(flowguard::error_code& error);
extern "C" EXPORTED void make_an_error(flowguard::error_code& error);

// In the other library: how a guard there counts a task that ends with this error, and its category of FlowGuard's
// errors.
extern "C" EXPORTED void run_task_that_fails_with(flowguard::error_code error, flowguard::guard_stats& stats);
EXPORTED const void* category_of_the_other();
EXPORTED const void* service_of_the_other(); // the id of its service of contexts

#endif
