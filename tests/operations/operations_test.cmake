# SPDX-License-Identifier: MIT

# Checks that docs/operations/grafana.json is valid JSON, and that it, alerts.yml and docs/operating.md name only metrics
# that the library exports. EXPORTED is the program that prints these. With -D PROMTOOL=..., checks instead the alerts,
# and the queries of the dashboard.
#
# With -D DOCUMENT=..., only checks the names in that file.
cmake_minimum_required(VERSION 3.23)

# Sets the names of the exported series.
function(find_exported result)
  execute_process(COMMAND "${EXPORTED}" OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "\n[a-z_]+{" names "\n${text}")
  list(TRANSFORM names REPLACE "[\n{]" "")
  list(REMOVE_DUPLICATES names)
  set(${result} "${names}" PARENT_SCOPE)
endfunction()

function(check_names document)
  find_exported(exported)
  file(READ "${document}" text)
  string(REGEX REPLACE "flowguard_[a-z0-9_]+\\.py" "" text "${text}") # a file is no metric
  string(REGEX MATCHALL "flowguard_[a-z0-9_]+" names "${text}")
  list(REMOVE_DUPLICATES names)
  cmake_path(GET document FILENAME file)
  if(NOT names)
    message(SEND_ERROR "${file} names no metric")
  endif()
  foreach(name IN LISTS names)
    if(NOT name IN_LIST exported)
      message(SEND_ERROR "${file} names ${name}, which is not exported")
    endif()
  endforeach()
  list(LENGTH names count)
  message(STATUS "${file}: ${count} metrics")
endfunction()

if(DEFINED DOCUMENT)
  check_names("${DOCUMENT}")
  return()
endif()

# Sets the queries of the dashboard, each on a line of its own. Stops if it is not valid JSON.
function(find_queries result)
  file(READ "${SOURCE}/docs/operations/grafana.json" json)
  set(queries "")
  string(JSON panels LENGTH "${json}" panels)
  math(EXPR last_panel "${panels} - 1")
  foreach(p RANGE ${last_panel})
    string(JSON targets LENGTH "${json}" panels ${p} targets)
    math(EXPR last_target "${targets} - 1")
    foreach(t RANGE ${last_target})
      string(JSON query GET "${json}" panels ${p} targets ${t} expr)
      string(APPEND queries "${query}\n")
    endforeach()
  endforeach()
  set(${result} "${queries}" PARENT_SCOPE)
endfunction()

find_queries(queries)

if(DEFINED PROMTOOL)
  # Grafana replaces the variables. A query is checked as a rule that records it.
  string(REPLACE "\$__rate_interval" "5m" queries "${queries}")
  string(REGEX REPLACE "\\$[a-z]+" "any" queries "${queries}")
  string(REGEX REPLACE "([^\n]+)\n" "      - {record: 'a:query', expr: '\\1'}\n" rules "${queries}")
  file(WRITE "${SCRATCH}/queries.yml" "groups:\n  - name: dashboard\n    rules:\n${rules}")
  execute_process(COMMAND "${PROMTOOL}" check rules --lint=none "${SCRATCH}/queries.yml"
                          "${SOURCE}/docs/operations/alerts.yml" COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()

check_names("${SOURCE}/docs/operations/grafana.json")
check_names("${SOURCE}/docs/operations/alerts.yml")
check_names("${SOURCE}/docs/operating.md")

# Make sure that the check can fail.
include("${CMAKE_CURRENT_LIST_DIR}/../expect_failure.cmake")
set(arguments_of_script -D "EXPORTED=${EXPORTED}")
expect_failure("wrong.md names no metric" "flowguard\n")
expect_failure("wrong.md names flowguard_patience, which is not exported" "flowguard_limit and flowguard_patience\n")
expect_failure("wrong.md names flowguard_wait_seconds, which is not exported" "rate(flowguard_wait_seconds[5m])\n")
