# SPDX-License-Identifier: MIT

# Prints what it costs to include FlowGuard: the compiler's user time, and its ratio to a base. The base of a header is the
# Asio headers that FlowGuard needs; that of basic_usage is the same program without a guard. Each round compiles each of
# the files once, and the least of REPETITIONS rounds counts: so other programs on the machine disturb all files alike.
cmake_minimum_required(VERSION 3.23)

if(NOT REPETITIONS)
  set(REPETITIONS 5)
endif()
file(MAKE_DIRECTORY "${SCRATCH}")
set(flags -std=c++20 -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1 -I "${SOURCE}/include"
          -idirafter "${ASIO}")

# Sets `result` to the user time of a compilation, in milliseconds, if it is less than before. ARGN are the compiler's
# options.
function(measure result)
  execute_process(COMMAND sh -c "\"$@\" && times" sh "${COMPILER}" ${flags} ${ARGN} OUTPUT_VARIABLE output
                                                                                    COMMAND_ERROR_IS_FATAL ANY)
  # The second line is the user and system time of the shell's children.
  if(NOT output MATCHES "\n([0-9]+)m([0-9]+)[.,]([0-9]+)s ")
    message(FATAL_ERROR "The shell printed no times: ${output}")
  endif()
  set(minutes ${CMAKE_MATCH_1})
  set(seconds ${CMAKE_MATCH_2})
  string(SUBSTRING "${CMAKE_MATCH_3}000" 0 3 thousandths)
  math(EXPR time "(${minutes} * 60 + ${seconds}) * 1000 + 1${thousandths} - 1000")
  if(NOT DEFINED ${result} OR time LESS ${result})
    set(${result} ${time} PARENT_SCOPE)
  endif()
endfunction()

function(report what time base)
  math(EXPR percent "(${time} * 100 + ${base} / 2) / ${base}")
  math(EXPR whole "${percent} / 100")
  math(EXPR hundredths "${percent} % 100 + 100")
  string(SUBSTRING "${hundredths}" 1 2 hundredths)
  message(NOTICE "${time} ms  ${whole}.${hundredths} x  ${what}")
endfunction()

file(WRITE "${SCRATCH}/asio.cpp" "#include \"flowguard/detail/asio/asio.hpp\"\n")
file(WRITE "${SCRATCH}/semaphore.cpp" "#include \"flowguard/dynamic_semaphore.hpp\"\n")
file(WRITE "${SCRATCH}/flowguard.cpp" "#include \"flowguard.hpp\"\n")

file(READ "${SOURCE}/examples/basic_usage.cpp" program)
foreach(with IN ITEMS #
        "#include <flowguard.hpp>\n" "flowguard::flow_guard<>& guard, " "    flowguard::flow_guard guard{[^\n]*\n"
        "guard\\.run" "guard, " " << \"[^\"]*limit \" << guard\\.current_limit\\(\\)" " // waits while[^\n]*")
  string(REGEX REPLACE "${with}" "" program "${program}")
endforeach()
if(program MATCHES "guard")
  message(FATAL_ERROR "basic_usage.cpp has changed: this still has a guard:\n${program}")
endif()
file(WRITE "${SCRATCH}/without_guard.cpp" "${program}")

foreach(round RANGE 1 ${REPETITIONS})
  measure(asio -fsyntax-only "${SCRATCH}/asio.cpp")
  measure(semaphore -fsyntax-only "${SCRATCH}/semaphore.cpp")
  measure(all -fsyntax-only "${SCRATCH}/flowguard.cpp")
  measure(without -O2 -c "${SCRATCH}/without_guard.cpp" -o "${SCRATCH}/program.o")
  measure(with -O2 -c "${SOURCE}/examples/basic_usage.cpp" -o "${SCRATCH}/program.o")
endforeach()
report("the Asio headers" ${asio} ${asio})
report("flowguard/dynamic_semaphore.hpp" ${semaphore} ${asio})
report("flowguard.hpp" ${all} ${asio})
report("basic_usage without a guard, -O2" ${without} ${without})
report("basic_usage, -O2" ${with} ${without})
