# SPDX-License-Identifier: MIT

# Makes the Debian package, unpacks it, and compiles a file of the consumer with what is in it.
file(REMOVE_RECURSE "${SCRATCH}")
execute_process(
  COMMAND
    "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${SCRATCH}/build" -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    -DFLOWGUARD_BUILD_TESTS=OFF -DFLOWGUARD_BUILD_BENCHMARKS=OFF -DFLOWGUARD_BUILD_EXAMPLES=OFF
    "-DFLOWGUARD_ASIO_INCLUDE_DIR=${ASIO}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CPACK}" -G DEB -B "${SCRATCH}" WORKING_DIRECTORY "${SCRATCH}/build" COMMAND_ERROR_IS_FATAL ANY)

set(package "${SCRATCH}/libflowguard-dev_${VERSION}_all.deb")
execute_process(COMMAND "${DPKG_DEB}" --field "${package}" Depends OUTPUT_VARIABLE depends COMMAND_ERROR_IS_FATAL ANY)
if(NOT depends MATCHES "libasio-dev")
  message(FATAL_ERROR "The package does not depend on an Asio, but on '${depends}'")
endif()
execute_process(COMMAND "${DPKG_DEB}" -x "${package}" "${SCRATCH}/root" COMMAND_ERROR_IS_FATAL ANY)
foreach(file include/flowguard.hpp share/cmake/flowguard/flowguardConfig.cmake share/pkgconfig/flowguard.pc
             share/doc/libflowguard-dev/copyright)
  if(NOT EXISTS "${SCRATCH}/root/usr/${file}")
    message(FATAL_ERROR "The package lacks /usr/${file}")
  endif()
endforeach()

execute_process(
  COMMAND
    "${COMPILER}" -std=c++20 -fsyntax-only -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
    "${CMAKE_CURRENT_LIST_DIR}/other.cpp" -I "${SCRATCH}/root/usr/include" -idirafter "${ASIO}"
    COMMAND_ERROR_IS_FATAL ANY)
