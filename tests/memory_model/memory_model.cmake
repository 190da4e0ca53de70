# SPDX-License-Identifier: MIT

# Runs FlowGuard's own headers under the C++20 memory model, in random executions. There, a load may read an old value,
# a store may be ordered before other stores, a weak exchange may fail, and threads may switch before any atomic
# operation. The harnesses notice data races and uses after free. As a test, each harness takes some seconds. This runs
# one by hand, for hours, from a seed that no test uses:
#
#   memory_model.queue 100000000 1000000
#
# It stops at the first failure, and prints its seed. `memory_model.queue 1 SEED` repeats the failure, and
# `addr2line -Cfie memory_model.queue ADDRESS` says where it is. The tests are skipped if the compiler is not g++.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_test(NAME memory_model COMMAND "${CMAKE_COMMAND}" -E echo "skipped: the compiler is not g++")
  set_tests_properties(memory_model PROPERTIES LABELS model SKIP_REGULAR_EXPRESSION "^skipped")
  return()
endif()

# The code under test calls the runtime in place of libtsan. So the runtime is compiled without -fsanitize=thread, and
# the program is linked without it. Without PIE, the addresses in reports are the addresses in the file.
file(GLOB flowguard_runtime_sources CONFIGURE_DEPENDS memory_model/runtime/*.cpp)
add_library(memory_model.runtime STATIC ${flowguard_runtime_sources})
target_include_directories(memory_model.runtime PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_compile_features(memory_model.runtime PUBLIC cxx_std_20)
target_compile_options(memory_model.runtime PRIVATE -O2 -g1 -fno-pie)
target_link_libraries(memory_model.runtime PRIVATE flowguard_warnings)

# With these options, Asio gets all of its memory from operator new, and returns all of it; and the harnesses can read
# private members. mutations.sh has the same options.
function(flowguard_add_memory_model_harness name executions)
  set(target memory_model.${name})
  string(REPLACE "_small_rounds" "" source ${name})
  add_executable(${target} memory_model/${source}.cpp)
  if(NOT source STREQUAL name)
    target_include_directories(${target} BEFORE PRIVATE memory_model/small_rounds)
  endif()
  target_link_libraries(${target} PRIVATE memory_model.runtime flowguard::flowguard flowguard_warnings)
  target_compile_options(${target} PRIVATE -O1 -g1 -fno-pie -fsanitize=thread -fno-access-control -Wno-tsan)
  target_compile_definitions(${target} PRIVATE ASIO_DISABLE_STD_ALIGNED_ALLOC ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=0)
  target_link_options(${target} PRIVATE -no-pie)
  add_test(NAME ${target} COMMAND ${target} ${executions})
  set_tests_properties(${target} PROPERTIES LABELS model TIMEOUT 300)
endfunction()

flowguard_add_memory_model_harness(litmus 5000)
flowguard_add_memory_model_harness(queue 150000)
flowguard_add_memory_model_harness(queue_small_rounds 150000)
flowguard_add_memory_model_harness(lanes 120000)
flowguard_add_memory_model_harness(windows 40000)
flowguard_add_memory_model_harness(deadlines 10000)
flowguard_add_memory_model_harness(retirement 60000)
flowguard_add_memory_model_harness(trace 60000)
flowguard_add_memory_model_harness(long_lived 60000)

# The harnesses must notice weaker memory orders and missing steps.
if(NOT FLOWGUARD_BASH)
  add_test(NAME memory_model.mutations COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no bash")
  set_tests_properties(memory_model.mutations PROPERTIES LABELS model SKIP_REGULAR_EXPRESSION "^skipped")
  return()
endif()
set(include "$<TARGET_PROPERTY:memory_model.queue,INCLUDE_DIRECTORIES>")
set(define "$<TARGET_PROPERTY:memory_model.queue,COMPILE_DEFINITIONS>")
set(environment "CXX=${CMAKE_CXX_COMPILER}" "RUNTIME=$<TARGET_FILE:memory_model.runtime>"
                "CPPFLAGS=-I$<JOIN:${include}, -I> -D$<JOIN:${define}, -D>")
add_test(NAME memory_model.mutations COMMAND "${FLOWGUARD_BASH}" "${CMAKE_CURRENT_LIST_DIR}/mutations.sh")
set_tests_properties(memory_model.mutations PROPERTIES LABELS model TIMEOUT 1800 COST 900 ENVIRONMENT "${environment}")
