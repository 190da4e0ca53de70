# SPDX-License-Identifier: MIT

# Checks how gdb shows FlowGuard's objects with tools/flowguard_gdb.py. Skipped if there is no gdb.
find_program(FLOWGUARD_GDB NAMES gdb DOC "A gdb to test tools/flowguard_gdb.py with")
mark_as_advanced(FLOWGUARD_GDB)

add_test(NAME debugger
         COMMAND "${CMAKE_COMMAND}" -D "GDB=${FLOWGUARD_GDB}" -D "COMPILER=${CMAKE_CXX_COMPILER}" -D
                 "SOURCE=${PROJECT_SOURCE_DIR}" -D "PROGRAM=${CMAKE_CURRENT_BINARY_DIR}/debugger" #
                 -D "ASIO=$<TARGET_PROPERTY:flowguard::asio,INTERFACE_INCLUDE_DIRECTORIES>" -P
                 "${CMAKE_CURRENT_LIST_DIR}/run.cmake")
set_tests_properties(debugger PROPERTIES LABELS build TIMEOUT 300 SKIP_REGULAR_EXPRESSION "^skipped")
