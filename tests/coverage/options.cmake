# SPDX-License-Identifier: MIT

option(FLOWGUARD_COVERAGE "Count which lines the tests run, for the target run_coverage; the compiler must be g++" OFF)
if(FLOWGUARD_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "FLOWGUARD_COVERAGE needs g++, not ${CMAKE_CXX_COMPILER_ID}")
  endif()
  # Atomic: several threads count.
  add_compile_options(--coverage -O0 -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
