# SPDX-License-Identifier: MIT

# Builds the fuzz target SOURCE as PROGRAM with CLANG and OPTIONS, and runs it with ARGUMENTS. What it finds it leaves
# beside the program.
if(NOT CLANG)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no clang++-19")
  return()
endif()

execute_process(
  COMMAND "${CLANG}" -std=c++20 ${OPTIONS} -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
          "-I${INCLUDE}" "-I${ROOT}" -idirafter "${ASIO}" "${SOURCE}" -o "${PROGRAM}"
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  if(output MATCHES "libclang_rt\\.fuzzer")
    execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "skipped: this clang has no libFuzzer")
    return()
  endif()
  message(FATAL_ERROR "It does not compile:\n${output}")
endif()

execute_process(
  COMMAND "${PROGRAM}" ${ARGUMENTS} "-artifact_prefix=${PROGRAM}-"
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "It found something:\n${output}")
endif()
