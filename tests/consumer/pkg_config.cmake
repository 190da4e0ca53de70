# SPDX-License-Identifier: MIT

# Compiles and runs the consumer with nothing but what pkg-config says of the installed LIBRARY, and with the folder of
# standalone ASIO, since that has no .pc file.
set(ENV{PKG_CONFIG_PATH} "${PREFIX}/share/pkgconfig")
execute_process(COMMAND "${PKG_CONFIG}" --modversion ${LIBRARY} OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE
                                                                                COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "The version is '${version}', not '${VERSION}'")
endif()
execute_process(COMMAND "${PKG_CONFIG}" --cflags --libs ${LIBRARY} OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")

file(MAKE_DIRECTORY "${SCRATCH}")
execute_process(
  COMMAND "${COMPILER}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/main.cpp" "${CMAKE_CURRENT_LIST_DIR}/other.cpp" ${flags}
          -idirafter "${ASIO}" -o "${SCRATCH}/consumer" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${SCRATCH}/consumer" COMMAND_ERROR_IS_FATAL ANY)
