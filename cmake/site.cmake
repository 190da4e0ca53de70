# SPDX-License-Identifier: MIT

# The target `site` makes a site of the documents and the public headers: see docs/site/site.py.
find_program(FLOWGUARD_DOXYGEN NAMES doxygen DOC "doxygen, to make the site")
mark_as_advanced(FLOWGUARD_DOXYGEN)
find_package(Python3 QUIET COMPONENTS Interpreter)
if(FLOWGUARD_DOXYGEN AND Python3_FOUND)
  add_custom_target(
    site
    COMMAND "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/docs/site/site.py" --doxygen "${FLOWGUARD_DOXYGEN}" --version
            "${PROJECT_VERSION}" "${PROJECT_BINARY_DIR}/site"
    VERBATIM)
else()
  add_custom_target(site COMMAND "${CMAKE_COMMAND}" -E echo "skipped: the site needs doxygen and python3" VERBATIM)
endif()
