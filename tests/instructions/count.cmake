# SPDX-License-Identifier: MIT

# Counts the instructions of one call of PROGRAM, from the difference between 1,000 and 3,000 calls. Fails if one call
# takes more than MOST.
function(count calls result)
  execute_process(
    COMMAND "${VALGRIND}" --tool=callgrind --callgrind-out-file=/dev/null "${PROGRAM}" ${calls}
    RESULT_VARIABLE failed
    ERROR_VARIABLE report
    OUTPUT_QUIET)
  if(failed OR NOT report MATCHES "Collected : ([0-9]+)")
    message(FATAL_ERROR "${PROGRAM} ${calls} under valgrind: ${failed}\n${report}")
  endif()
  set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

count(1000 few)
count(3000 many)
math(EXPR each "(${many} - ${few}) / 2000")
message(STATUS "${each} instructions a call, at most ${MOST}")
if(each GREATER MOST)
  message(FATAL_ERROR "too many")
endif()
