# SPDX-License-Identifier: MIT

# How many instructions a guarded call takes, counted by Valgrind, so the same on every machine. The bounds are for one
# compiler and one Asio, so it is skipped with others, and without Valgrind.
find_program(FLOWGUARD_VALGRIND NAMES valgrind DOC "Valgrind, to count instructions")
mark_as_advanced(FLOWGUARD_VALGRIND)

set(why_not "")
if(NOT FLOWGUARD_VALGRIND)
  set(why_not "there is no valgrind")
elseif(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR NOT CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
  set(why_not "the bounds are for g++ 12")
elseif(FLOWGUARD_SANITIZE)
  set(why_not "sanitizers have instructions of their own")
endif()

function(flowguard_bound_instructions name most callers call options)
  if(why_not)
    add_test(NAME instructions.${name} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: ${why_not}")
    set_tests_properties(instructions.${name} PROPERTIES LABELS instructions SKIP_REGULAR_EXPRESSION "^skipped")
    return()
  endif()
  add_executable(instructions.${name} instructions/calls.cpp)
  target_link_libraries(instructions.${name} PRIVATE flowguard::flowguard)
  # What the compiler chooses to inline changes with every line: it makes a difference of 40 instructions.
  target_compile_options(instructions.${name} PRIVATE -O2 -fno-inline-functions -fno-inline-small-functions -DNDEBUG)
  target_compile_definitions(instructions.${name} PRIVATE FLOWGUARD_CALLERS=${callers} "FLOWGUARD_CALL=${call}"
                                                          "FLOWGUARD_OPTIONS=${options}")
  add_test(NAME instructions.${name}
           COMMAND "${CMAKE_COMMAND}" -D "VALGRIND=${FLOWGUARD_VALGRIND}"
                   -D "PROGRAM=$<TARGET_FILE:instructions.${name}>" -D MOST=${most} -P
                   "${CMAKE_CURRENT_SOURCE_DIR}/instructions/count.cmake")
  set_tests_properties(instructions.${name} PROPERTIES LABELS instructions TIMEOUT 120)
endfunction()

set(no_options "flowguard::guard_options{}")
set(all_options "flowguard::guard_options{.order = flowguard::wait_order::adaptive, .partitions = {0.5, 0.5}}")
set(of_a_priority "{.priority = flowguard::priority::sheddable}")
set(of_a_priority_and_partition "{.priority = flowguard::priority::sheddable, .partition = 1}")

# A ready task, a permit free. It was 823 before there were bounds on waiting, priorities and partitions, 838 with them, and
# is 940 now that a call knows whether its guard has gone (6), times of any clock cannot overflow, a straggler is known by
# its generation, and each call looks whether a probe has lasted too long. Bounded 2 % above; options add 76.
flowguard_bound_instructions(run 959 1 "guard.run(ready())" "${no_options}")
flowguard_bound_instructions(run_with_options 1036 1 "guard.run(ready(), ${of_a_priority_and_partition})" "${all_options}")

# 40 callers, 10 permits, so that each waits. It was 3298 at first and 3722 with bounds, priorities and partitions. The
# rounds of the queue's owner, and waiters aside, made it 4066, 4173 and 4941. It is 4130, 4246 and 5006 now that a wait
# has the timers of its guard made before its context is linked. Bounded 2 % above.
flowguard_bound_instructions(wait 4214 40 "guard.run(posted())" "${no_options}")
flowguard_bound_instructions(wait_with_priority 4329 40 "guard.run(posted(), ${of_a_priority})" "${no_options}")
flowguard_bound_instructions(wait_with_options 5117 40 "guard.run(posted(), ${of_a_priority_and_partition})"
                             "${all_options}")
