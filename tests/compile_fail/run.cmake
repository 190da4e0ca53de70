# SPDX-License-Identifier: MIT

# Builds NAME in BUILD: a *.control must compile; any other must not, with a message that matches EXPECTED.
set(ENV{LC_ALL} C) # plain quotes
execute_process(
  COMMAND "${CMAKE_COMMAND}" --build "${BUILD}" --target ${NAME}
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)

if(NAME MATCHES "\\.control$")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "The control does not compile:\n${output}")
  endif()
elseif(status EQUAL 0)
  message(FATAL_ERROR "It compiles, but should not")
elseif(EXPECTED STREQUAL "" OR NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "It does not compile, but for another reason than '${EXPECTED}':\n${output}")
endif()
