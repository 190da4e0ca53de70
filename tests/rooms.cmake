# SPDX-License-Identifier: MIT

# Checks that no header includes a header of a room further down in the list.
add_test(NAME rooms COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D
                            "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/rooms" -P "${CMAKE_CURRENT_LIST_DIR}/rooms_test.cmake")
set_tests_properties(rooms PROPERTIES LABELS build TIMEOUT 60)
