# SPDX-License-Identifier: MIT

option(FLOWGUARD_WARNINGS_AS_ERRORS "Warnings in FlowGuard's tests, benchmarks and examples are errors" ON)

# For FlowGuard's own targets alone; nobody who links flowguard::flowguard gets these.
set(flowguard_warning_flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(FLOWGUARD_WARNINGS_AS_ERRORS)
  list(APPEND flowguard_warning_flags -Werror)
endif()

add_library(flowguard_warnings INTERFACE)
target_compile_options(
  flowguard_warnings
  INTERFACE "$<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:${flowguard_warning_flags}>"
            # g++ 12 takes "text" + std::string for a copy that overlaps (GCC bug 105651).
            "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,14>>:-Wno-restrict>")
