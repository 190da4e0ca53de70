# SPDX-License-Identifier: MIT

# Checks the protocol of the semaphore exhaustively, and that faults in it are noticed. Skipped if SPIN is not
# installed.
find_program(FLOWGUARD_SPIN NAMES spin DOC "The model checker SPIN")
find_program(FLOWGUARD_BASH NAMES bash)
mark_as_advanced(FLOWGUARD_SPIN FLOWGUARD_BASH)

if(FLOWGUARD_SPIN AND FLOWGUARD_BASH)
  add_test(NAME model.semaphore COMMAND "${FLOWGUARD_BASH}" "${CMAKE_CURRENT_LIST_DIR}/check.sh")
  set_tests_properties(model.semaphore PROPERTIES LABELS model TIMEOUT 1800 COST 1000) # first: it takes longest
else()
  add_test(NAME model.semaphore COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no spin")
  set_tests_properties(model.semaphore PROPERTIES LABELS model SKIP_REGULAR_EXPRESSION "^skipped")
endif()
