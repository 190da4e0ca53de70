# SPDX-License-Identifier: MIT

# Valgrind counts the instructions of a guarded call. The count is the same on every machine. The bounds are for one
# compiler and one Asio. The tests are skipped with other compilers, and without Valgrind.
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
  # Without these options, a change anywhere may change what the compiler inlines: up to 40 instructions more or less.
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
set(in_turn "flowguard::guard_options::for_batch()")
set(all_options "flowguard::guard_options{.order = flowguard::wait_order::adaptive, .partitions = {0.5, 0.5}}")
set(of_a_priority "{.priority = flowguard::priority::sheddable}")
set(of_a_priority_and_partition "{.priority = flowguard::priority::sheddable, .partition = 1}")

# The task is ready and a permit is free. A call took 823 instructions at first, and 838 with bounds on waiting,
# priorities and partitions. It takes 940 since a call notices that its guard was destroyed (6 of them), times of any
# clock cannot overflow, stragglers are known by their generation, and each call looks whether a probe has lasted too
# long. Options add 76. The bound is 2 % above. Since a call with options may be long-lived, they add 98: most of the
# difference is that the compiler no longer inlines Asio's allocation of the call's frame. Since a call may have a kind,
# run takes 945, and options add 110. Since limits may be below one, run takes 952, of which an admission takes 2: the
# compiler no longer inlines the deallocation of the call's frame. Since a guard can be drained, run takes 956: the same
# happens to the frame of the task in calls.cpp, and no function of FlowGuard takes more. Since the sums of a window are in
# parts, run takes 921, 15 of them for these.
flowguard_bound_instructions(run 959 1 "guard.run(ready())" "${no_options}")
flowguard_bound_instructions(run_with_options 1077 1 "guard.run(ready(), ${of_a_priority_and_partition})" "${all_options}")

# There are 40 callers and 10 permits, so each call waits. The counts so far, where three are those of the three tests:
#
#   3298                      at first
#   3722                      with bounds, priorities and partitions
#   4066, 4173 and 4941       since the queue's owner works in rounds, and waiters may be set aside
#   4130, 4246 and 5006       since a wait makes the timers of its guard before its context is linked
#   4077, 4325 and 5088       since limits may be below one; just before, 4032, 4314 and 5062
#   4136, 4197 and 5005       since a wait can be drained, and before the next line
#   4287, 4409 and 5236       since a call with a time-out takes nine allocations, not 23, which costs other calls 87: the
#                             program has more uses of Asio's executors, and the compiler inlines less of them; since
#                             handlers may be dispatched (49), and since waiters may have a flow (11)
#   3840, 3989 and 5160       since a waiter asks its handler for the executor once, and the owner's first round is short
#                             if the order does not adapt
#
# The bounds are 1 % above the last line. By default the order adapts, which costs 854 more: each look reads the clock,
# and no round is short.
flowguard_bound_instructions(wait 3878 40 "guard.run(posted())" "${in_turn}")
flowguard_bound_instructions(wait_by_default 4741 40 "guard.run(posted())" "${no_options}")
flowguard_bound_instructions(wait_with_priority 4029 40 "guard.run(posted(), ${of_a_priority})" "${in_turn}")
flowguard_bound_instructions(wait_with_options 5212 40 "guard.run(posted(), ${of_a_priority_and_partition})"
                             "${all_options}")
