// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "support/sanitizers.hpp"

// Compiled in, so that a test run by hand has the options too.
extern "C" const char* __ubsan_default_options() {
    return "print_stacktrace=1";
}
#if defined(FLOWGUARD_TEST_ADDRESS_SANITIZER)
extern "C" const char* __asan_default_options() {
    return "detect_stack_use_after_return=1:strict_init_order=1:check_initialization_order=1";
}
#elif defined(FLOWGUARD_TEST_THREAD_SANITIZER)
extern "C" const char* __tsan_default_options() {
    return "halt_on_error=1:second_deadlock_stack=1:history_size=4";
}
// Asio counts the references of an executor with a release decrement and an acquire fence. ThreadSanitizer does not
// know of fences (g++ says so: -Wtsan), and takes the last owner's delete for a race with the other owners' decrements.
extern "C" const char* __tsan_default_suppressions() {
    return "race:execution::detail::shared_target_executor::~shared_target_executor\n";
}
#endif
