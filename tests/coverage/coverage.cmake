# SPDX-License-Identifier: MIT

# Runs the tests, but for stress tests and simulations, and prints how much of include/ they run: see CONTRIBUTING.md.
#
# clang counts the branches that stand in the source. gcov would count those of each instantiation of a template, and those
# that the compiler makes for exceptions and coroutines.
if(NOT FLOWGUARD_COVERAGE)
  return()
endif()
string(REGEX MATCH "^[0-9]+" version "${CMAKE_CXX_COMPILER_VERSION}")
find_program(FLOWGUARD_LLVM_COV NAMES llvm-cov-${version} llvm-cov REQUIRED)
find_program(FLOWGUARD_LLVM_PROFDATA NAMES llvm-profdata-${version} llvm-profdata REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
mark_as_advanced(FLOWGUARD_LLVM_COV FLOWGUARD_LLVM_PROFDATA)

set(folder "${CMAKE_CURRENT_BINARY_DIR}/coverage")
get_property(targets DIRECTORY PROPERTY flowguard_covering_tests)
set(programs "")
set(runs "")
foreach(target IN LISTS targets)
  list(APPEND programs $<TARGET_FILE:${target}>)
  list(APPEND runs COMMAND "${CMAKE_COMMAND}" -E env "LLVM_PROFILE_FILE=${folder}/%p.profraw" $<TARGET_FILE:${target}>)
endforeach()
add_custom_target(
  run_coverage
  COMMAND "${CMAKE_COMMAND}" -E rm -rf "${folder}" # the counts of earlier runs
  ${runs}
  COMMAND "${FLOWGUARD_LLVM_PROFDATA}" merge -o "${folder}/all.profdata" "${folder}"
  COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/report.py" "${FLOWGUARD_LLVM_COV}" "${folder}/all.profdata"
          "${PROJECT_SOURCE_DIR}/include" ${programs}
  DEPENDS ${targets}
  USES_TERMINAL VERBATIM)
