# SPDX-License-Identifier: MIT

# The dashboard and the alerts in docs/operations/ name only metrics that the library exports. promtool, of Debian's
# package prometheus, checks their queries, and runs the tests of the alerts. Without it, these two tests are skipped.
find_program(FLOWGUARD_PROMTOOL NAMES promtool DOC "promtool, to test the alerts")
mark_as_advanced(FLOWGUARD_PROMTOOL)

add_executable(operations.exported operations/exported.cpp)
target_link_libraries(operations.exported PRIVATE flowguard::flowguard flowguard_warnings)

set(check "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "EXPORTED=$<TARGET_FILE:operations.exported>" -D
    "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/operations")
add_test(NAME operations.metrics COMMAND ${check} -P "${CMAKE_CURRENT_LIST_DIR}/operations_test.cmake")
if(FLOWGUARD_PROMTOOL)
  add_test(NAME operations.queries COMMAND ${check} -D "PROMTOOL=${FLOWGUARD_PROMTOOL}" -P
                                           "${CMAKE_CURRENT_LIST_DIR}/operations_test.cmake")
  add_test(NAME operations.alerts COMMAND "${FLOWGUARD_PROMTOOL}" test rules "${CMAKE_CURRENT_LIST_DIR}/alerts_test.yml")
else()
  foreach(test queries alerts)
    add_test(NAME operations.${test} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no promtool")
    set_property(TEST operations.${test} PROPERTY SKIP_REGULAR_EXPRESSION "^skipped")
  endforeach()
endif()
set_tests_properties(operations.metrics operations.queries operations.alerts PROPERTIES LABELS build TIMEOUT 60)
