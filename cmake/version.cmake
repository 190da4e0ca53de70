# SPDX-License-Identifier: MIT

# Reads the version from version.hpp, so that it stands in one place.
function(flowguard_read_version result)
  set(header "${CMAKE_CURRENT_SOURCE_DIR}/include/flowguard/version.hpp")
  file(READ "${header}" text)
  set(numbers "")
  foreach(part MAJOR MINOR PATCH)
    if(NOT text MATCHES "#define FLOWGUARD_VERSION_${part} ([0-9]+)")
      message(FATAL_ERROR "${header} does not define FLOWGUARD_VERSION_${part}")
    endif()
    list(APPEND numbers "${CMAKE_MATCH_1}")
  endforeach()
  list(JOIN numbers "." version)
  set(${result} "${version}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
endfunction()
