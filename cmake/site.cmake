# SPDX-License-Identifier: MIT

# The target `site` makes a site of the documents and the public headers: see docs/site/site.py.
find_program(FLOWGUARD_DOXYGEN NAMES doxygen DOC "doxygen, to make the site")
mark_as_advanced(FLOWGUARD_DOXYGEN)
# The test of the site needs Debian's Python, because Debian has a package of selenium for it.
find_program(FLOWGUARD_PYTHON3 python3 HINTS /usr/bin)
mark_as_advanced(FLOWGUARD_PYTHON3)
if(FLOWGUARD_DOXYGEN AND FLOWGUARD_PYTHON3)
  add_custom_target(
    site
    COMMAND "${FLOWGUARD_PYTHON3}" "${PROJECT_SOURCE_DIR}/docs/site/site.py" --doxygen "${FLOWGUARD_DOXYGEN}" --version
            "${PROJECT_VERSION}" "${PROJECT_BINARY_DIR}/site"
    VERBATIM)
else()
  add_custom_target(site COMMAND "${CMAKE_COMMAND}" -E echo "skipped: the site needs doxygen and python3" VERBATIM)
endif()
