# SPDX-License-Identifier: MIT

option(FLOWGUARD_COVERAGE "Count what the tests run, for the target run_coverage; the compiler must be clang" OFF)
if(FLOWGUARD_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "FLOWGUARD_COVERAGE needs clang, not ${CMAKE_CXX_COMPILER_ID}")
  endif()
  # Atomic: several threads count.
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic)
  add_link_options(-fprofile-instr-generate)
endif()
