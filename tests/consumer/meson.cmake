# SPDX-License-Identifier: MIT

# Builds and runs the consumer with Meson, which finds the installed FlowGuard through pkg-config. Standalone ASIO has no
# .pc file, so its folder comes with the compiler's flags.
set(ENV{PKG_CONFIG_PATH} "${PREFIX}/share/pkgconfig")
set(ENV{CXX} "${COMPILER}")
set(ENV{CXXFLAGS} "-idirafter ${ASIO}")
file(REMOVE_RECURSE "${SCRATCH}")
execute_process(COMMAND "${MESON}" setup "${SCRATCH}" "${CMAKE_CURRENT_LIST_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${MESON}" test -C "${SCRATCH}" --print-errorlogs COMMAND_ERROR_IS_FATAL ANY)
