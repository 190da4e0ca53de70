# SPDX-License-Identifier: MIT

# Generates the single header, then compiles and runs the consumer with it and with the folder of standalone ASIO, and
# with none of FlowGuard's own folders.
file(REMOVE_RECURSE "${SCRATCH}")
execute_process(COMMAND "${CMAKE_COMMAND}" -D "OUTPUT=${SCRATCH}/include/flowguard.hpp" -P
                        "${SOURCE}/cmake/single_header.cmake" COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${SCRATCH}/include/flowguard.hpp" own REGEX "^ *# *include +[\"<]flowguard")
if(own)
  message(FATAL_ERROR "The single header includes another header of FlowGuard: ${own}")
endif()

execute_process(
  COMMAND
    "${COMPILER}" -std=c++20 -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1 -Wall -Wextra -Wpedantic
    -Werror "${CMAKE_CURRENT_LIST_DIR}/main.cpp" "${CMAKE_CURRENT_LIST_DIR}/other.cpp" -I "${SCRATCH}/include"
    -idirafter "${ASIO}" -pthread -o "${SCRATCH}/consumer" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${SCRATCH}/consumer" COMMAND_ERROR_IS_FATAL ANY)
