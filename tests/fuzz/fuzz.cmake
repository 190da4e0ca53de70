# SPDX-License-Identifier: MIT

# The fuzz targets, which need libFuzzer, so clang. `cmake --workflow --preset fuzz` runs each of them for a minute, and
# goes on from the inputs that it found the last time. To fuzz for long: -D FLOWGUARD_FUZZ_SECONDS=3600.
option(FLOWGUARD_BUILD_FUZZERS "Build FlowGuard's fuzz targets; the compiler must be clang" OFF)
set(FLOWGUARD_FUZZ_SECONDS 60 CACHE STRING "How long run_fuzzers runs each fuzz target")
mark_as_advanced(FLOWGUARD_FUZZ_SECONDS)

set(flowguard_fuzz_options -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)

# Adds the fuzz target <name>_fuzz.cpp. In a test, it makes that many runs: some seconds, and the same every time.
function(flowguard_add_fuzz_target name runs)
  set(program ${name}_fuzz)
  set(source "${CMAKE_CURRENT_LIST_DIR}/${program}.cpp")
  set(arguments -runs=${runs} -max_len=2500 -seed=1)

  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    if(FLOWGUARD_BUILD_FUZZERS)
      add_executable(${program}.fuzz "${source}")
      target_include_directories(${program}.fuzz PRIVATE "${PROJECT_SOURCE_DIR}")
      target_link_libraries(${program}.fuzz PRIVATE flowguard::flowguard flowguard_warnings)
      target_compile_options(${program}.fuzz PRIVATE ${flowguard_fuzz_options})
      target_link_options(${program}.fuzz PRIVATE ${flowguard_fuzz_options})
      add_test(NAME fuzz.${program} COMMAND ${program}.fuzz ${arguments})
      set_tests_properties(fuzz.${program} PROPERTIES LABELS fuzz TIMEOUT 300)

      set(corpus "${CMAKE_CURRENT_BINARY_DIR}/corpus/${name}")
      file(MAKE_DIRECTORY "${corpus}")
      add_custom_target(
        run_${program}
        COMMAND "${CMAKE_COMMAND}" -E echo "${program} runs for ${FLOWGUARD_FUZZ_SECONDS} s"
        COMMAND ${program}.fuzz -max_len=2500 -max_total_time=${FLOWGUARD_FUZZ_SECONDS} -print_final_stats=1 -print_funcs=0 -verbosity=0
                "-artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${program}-" "${corpus}"
        USES_TERMINAL VERBATIM)
      add_dependencies(run_fuzzers run_${program})
    endif()
    return()
  endif()

  # Beside another compiler, a short run is a test of its own where there is a clang: see clang.cmake.
  add_test(NAME fuzz.${program}
           COMMAND "${CMAKE_COMMAND}" -D "CLANG=${FLOWGUARD_CLANG}" -D "SOURCE=${source}" #
                   -D "PROGRAM=${CMAKE_CURRENT_BINARY_DIR}/${program}.fuzz" -D "INCLUDE=${PROJECT_SOURCE_DIR}/include"
                   -D "ROOT=${PROJECT_SOURCE_DIR}" -D "OPTIONS=${flowguard_fuzz_options}"
                   -D "ASIO=$<TARGET_PROPERTY:flowguard::asio,INTERFACE_INCLUDE_DIRECTORIES>"
                   -D "ARGUMENTS=${arguments}" -P "${CMAKE_CURRENT_LIST_DIR}/run.cmake")
  set_tests_properties(fuzz.${program} PROPERTIES LABELS build TIMEOUT 300 SKIP_REGULAR_EXPRESSION "^skipped")
endfunction()

if(FLOWGUARD_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "FLOWGUARD_BUILD_FUZZERS needs clang, not ${CMAKE_CXX_COMPILER_ID}")
  endif()
  add_custom_target(run_fuzzers) # one after the other, since each has the terminal
endif()

flowguard_add_fuzz_target(command_line 2000)
flowguard_add_fuzz_target(header_value 20000)
flowguard_add_fuzz_target(prometheus 1000)
flowguard_add_fuzz_target(queue 100000)
flowguard_add_fuzz_target(strategy 20000)
