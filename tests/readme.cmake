# SPDX-License-Identifier: MIT

if(PROJECT_IS_TOP_LEVEL)
  add_test(NAME readme COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D
                               "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/readme" -P
                               "${CMAKE_CURRENT_LIST_DIR}/readme_test.cmake")
  add_test(NAME site.links COMMAND "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D
                                   "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/links" -P
                                   "${CMAKE_CURRENT_LIST_DIR}/links_test.cmake")
  set_tests_properties(readme site.links PROPERTIES LABELS build TIMEOUT 60)

  if(FLOWGUARD_DOXYGEN AND FLOWGUARD_PYTHON3)
    add_test(NAME site.pages COMMAND "${FLOWGUARD_PYTHON3}" "${PROJECT_SOURCE_DIR}/docs/site/site_test.py" --doxygen
                                     "${FLOWGUARD_DOXYGEN}" --version "${PROJECT_VERSION}"
                                     "${CMAKE_CURRENT_BINARY_DIR}/site")
  else()
    add_test(NAME site.pages COMMAND "${CMAKE_COMMAND}" -E echo "skipped: the site needs doxygen and python3")
  endif()
  set_tests_properties(site.pages PROPERTIES LABELS build TIMEOUT 600 SKIP_RETURN_CODE 77 SKIP_REGULAR_EXPRESSION
                                             "skipped: the site needs")
endif()
