# SPDX-License-Identifier: MIT

# Builds everything a second time, with clang and with warnings as errors, and runs the unit and stress tests with UBSan.
# This finds code that only g++ accepts, or that depends on g++'s order of evaluation. Skipped if there is no clang, and
# if the build itself uses clang.
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  return()
endif()

if(NOT FLOWGUARD_CLANG)
  add_test(NAME clang COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no clang++-19")
  set_tests_properties(clang PROPERTIES LABELS build SKIP_REGULAR_EXPRESSION "^skipped")
  return()
endif()

set(build "${PROJECT_BINARY_DIR}/clang")
add_test(NAME clang.configure
         COMMAND "${CMAKE_COMMAND}" -S "${PROJECT_SOURCE_DIR}" -B "${build}" -G "${CMAKE_GENERATOR}" #
                 "-DCMAKE_CXX_COMPILER=${FLOWGUARD_CLANG}" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=
                 -DFLOWGUARD_JOIN_TESTS=ON -DFLOWGUARD_TEST_VARIANTS=ubsan
                 "-DFETCHCONTENT_BASE_DIR=${FETCHCONTENT_BASE_DIR}")
add_test(NAME clang.build COMMAND "${CMAKE_COMMAND}" --build "${build}" --parallel 2)
add_test(NAME clang.unit_tests COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --output-on-failure #
                                       --parallel 2 --no-tests=error -L "unit|stress|benchmark")
set_tests_properties(clang.configure PROPERTIES FIXTURES_SETUP clang_configured)
set_tests_properties(clang.build PROPERTIES FIXTURES_REQUIRED clang_configured FIXTURES_SETUP clang_built)
set_tests_properties(clang.unit_tests PROPERTIES FIXTURES_REQUIRED clang_built)
set_tests_properties(clang.configure clang.build clang.unit_tests PROPERTIES LABELS build PROCESSORS 2 TIMEOUT 1800)
