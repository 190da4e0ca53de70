# SPDX-License-Identifier: MIT

# Checks the order of the rooms: a header may include headers of its own room and of the rooms above it in this list,
# but not of the rooms below. A header belongs to the first room with a pattern that matches it. Each header must have a
# room.
#
# Checks also that no header includes a part of the standard library that takes a compiler long: see
# benchmarks/include_cost.cmake.
#
# With -D INCLUDE=..., checks the headers of another directory.
cmake_minimum_required(VERSION 3.23)

set(rooms
    # Room: patterns of paths in include/
    "base:flowguard/detail/base/.*,flowguard/version.hpp"
    "values:flowguard/limits.hpp,flowguard/outcome.hpp,flowguard/priority.hpp,flowguard/rejection.hpp"
    "values:flowguard/wait_order.hpp,flowguard/rtt_histogram.hpp,flowguard/time_histogram.hpp,flowguard/window.hpp,flowguard/limit_strategy.hpp"
    "values:flowguard/cycle_clock.hpp,flowguard/limit_decision.hpp,flowguard/guard_options.hpp,flowguard/drain_options.hpp,flowguard/guard_stats.hpp"
    "asio:flowguard/detail/asio/.*"
    "error:flowguard/error.hpp"
    "queue:flowguard/detail/queue/.*"
    "semaphore core:flowguard/detail/semaphore/.*"
    "semaphore:flowguard/permit.hpp,flowguard/dynamic_semaphore.hpp"
    "control:flowguard/detail/control/.*"
    "control:flowguard/ticket.hpp"
    "strategies:flowguard/strategies/.*"
    "classifiers:flowguard/classify.hpp,flowguard/sqlstate.hpp,flowguard/run_options.hpp"
    "guard:flowguard/flow_guard.hpp"
    "several guards:flowguard/detail/registry/.*,flowguard/guard_registry.hpp,flowguard/split_guard.hpp"
    "testing:flowguard/testing.hpp,flowguard/testing/.*"
    "http core:flowguard/detail/http/.*"
    "http:flowguard/http/.*"
    "grpc core:flowguard/detail/grpc/.*"
    "grpc:flowguard/grpc/.*"
    "metrics:flowguard/metrics/.*"
    "dashboard:flowguard/detail/dashboard/.*,flowguard/dashboard.hpp,flowguard/dashboard/.*"
    "umbrella:flowguard.hpp")

# Sets the number and the name of a header's room. Reports an error if the header has no room.
function(find_room header number name)
  set(n 0)
  set(last "")
  foreach(line IN LISTS rooms)
    string(REGEX MATCH "^([^:]+):(.*)$" found "${line}")
    set(room "${CMAKE_MATCH_1}")
    string(REPLACE "," ";" patterns "${CMAKE_MATCH_2}")
    if(NOT room STREQUAL last)
      math(EXPR n "${n} + 1")
    endif()
    set(last "${room}")
    foreach(pattern IN LISTS patterns)
      if(header MATCHES "^${pattern}$")
        set(${number} ${n} PARENT_SCOPE)
        set(${name} "${room}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
  message(SEND_ERROR "${header} is in no room: add it to rooms_test.cmake")
  set(${number} 0 PARENT_SCOPE)
  set(${name} "none" PARENT_SCOPE)
endfunction()

function(check_rooms include)
  file(GLOB_RECURSE headers RELATIVE "${include}" "${include}/*.hpp")
  set(arrows 0)
  foreach(header IN LISTS headers)
    find_room("${header}" from from_name)
    file(STRINGS "${include}/${header}" lines REGEX "^ *# *include +[<\"]flowguard")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "[<\"](flowguard[^>\"]*)[>\"]" found "${line}")
      set(included "${CMAKE_MATCH_1}")
      find_room("${included}" to to_name)
      if(to GREATER from)
        message(SEND_ERROR "${header} (${from_name}) includes ${included} (${to_name}), which is a higher room")
      endif()
      math(EXPR arrows "${arrows} + 1")
    endforeach()
  endforeach()
  if(arrows EQUAL 0)
    message(SEND_ERROR "no #include was found in ${include}")
  endif()
  message(STATUS "${arrows} includes go down")
endfunction()

# detail/base/math.hpp includes <cmath> for some compilers alone.
function(check_heavy_includes include)
  file(GLOB_RECURSE headers RELATIVE "${include}" "${include}/*.hpp")
  list(REMOVE_ITEM headers flowguard/detail/base/math.hpp)
  foreach(header IN LISTS headers)
    file(STRINGS "${include}/${header}" heavy
         REGEX "^ *# *include +<(cmath|filesystem|format|fstream|future|iostream|map|random|ranges|regex|sstream)>")
    if(heavy)
      message(SEND_ERROR "${header} has ${heavy}, which costs each file that includes FlowGuard much")
    endif()
  endforeach()
endfunction()

if(DEFINED INCLUDE)
  check_rooms("${INCLUDE}")
  check_heavy_includes("${INCLUDE}")
  return()
endif()

check_rooms("${SOURCE}/include")
check_heavy_includes("${SOURCE}/include")

# Makes sure that the check can fail: for a directory with this one header, it must report this error.
function(expect_failure expected path text)
  file(REMOVE_RECURSE "${SCRATCH}")
  file(WRITE "${SCRATCH}/${path}" "${text}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -D "INCLUDE=${SCRATCH}" -P "${CMAKE_CURRENT_LIST_FILE}"
                  RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
  string(REGEX REPLACE "[ \n]+" " " error "${error}")
  string(FIND "${error}" "${expected}" found)
  if(result EQUAL 0 OR found EQUAL -1)
    message(SEND_ERROR "expected '${expected}' of ${path}:\n\n${text}\n\ngot ${result}:\n${error}")
  endif()
endfunction()

expect_failure("flowguard/limits.hpp (values) includes flowguard/flow_guard.hpp (guard), which is a higher room"
               flowguard/limits.hpp "#include \"flowguard/flow_guard.hpp\"\n")
expect_failure("flowguard/new.hpp is in no room" flowguard/new.hpp "#include \"flowguard/limits.hpp\"\n")
expect_failure("no #include was found" flowguard/limits.hpp "int a;\n")
expect_failure("flowguard/limits.hpp has #include <random>, which costs" flowguard/limits.hpp "#include <random>\n")
