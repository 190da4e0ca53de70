# SPDX-License-Identifier: MIT

# The fuzz targets, which need libFuzzer, so clang. To fuzz for long: configure with clang and
# -DFLOWGUARD_BUILD_FUZZERS=ON, then tests/strategy_fuzz.fuzz -max_len=2500 -max_total_time=3600 corpus.
option(FLOWGUARD_BUILD_FUZZERS "Build FlowGuard's fuzz targets; the compiler must be clang" OFF)

set(flowguard_fuzz_options -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
set(flowguard_fuzz_arguments -runs=20000 -max_len=2500 -seed=1) # some seconds, and the same every time

file(GLOB sources CONFIGURE_DEPENDS fuzz/*_fuzz.cpp)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)

  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    if(FLOWGUARD_BUILD_FUZZERS)
      add_executable(${name}.fuzz "${source}")
      target_include_directories(${name}.fuzz PRIVATE "${PROJECT_SOURCE_DIR}")
      target_link_libraries(${name}.fuzz PRIVATE flowguard::flowguard flowguard_warnings)
      target_compile_options(${name}.fuzz PRIVATE ${flowguard_fuzz_options})
      target_link_options(${name}.fuzz PRIVATE ${flowguard_fuzz_options})
      add_test(NAME fuzz.${name} COMMAND ${name}.fuzz ${flowguard_fuzz_arguments})
      set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
    endif()
    continue()
  endif()

  # Beside another compiler, a short run is a test of its own where there is a clang: see clang.cmake.
  if(FLOWGUARD_BUILD_FUZZERS)
    message(FATAL_ERROR "FLOWGUARD_BUILD_FUZZERS needs clang, not ${CMAKE_CXX_COMPILER_ID}")
  endif()
  add_test(NAME fuzz.${name}
           COMMAND "${CMAKE_COMMAND}" -D "CLANG=${FLOWGUARD_CLANG}" -D "SOURCE=${source}" #
                   -D "PROGRAM=${CMAKE_CURRENT_BINARY_DIR}/${name}.fuzz" -D "INCLUDE=${PROJECT_SOURCE_DIR}/include"
                   -D "ROOT=${PROJECT_SOURCE_DIR}" -D "OPTIONS=${flowguard_fuzz_options}"
                   -D "ARGUMENTS=${flowguard_fuzz_arguments}" -P "${CMAKE_CURRENT_LIST_DIR}/run.cmake")
  set_tests_properties(fuzz.${name} PROPERTIES LABELS build TIMEOUT 300 SKIP_REGULAR_EXPRESSION "^skipped")
endforeach()
