# SPDX-License-Identifier: MIT

if(PROJECT_IS_TOP_LEVEL)
  add_test(NAME readme COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D
                               "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/readme" -P
                               "${CMAKE_CURRENT_LIST_DIR}/readme_test.cmake")
  add_test(NAME site.links COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D
                                   "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/links" -P
                                   "${CMAKE_CURRENT_LIST_DIR}/links_test.cmake")
  set_tests_properties(readme site.links PROPERTIES LABELS build TIMEOUT 60)
endif()
