# SPDX-License-Identifier: MIT

# Checks that each ```cpp block of README.md, docs/using.md and docs/admission.md is, word for word, in a file of
# examples/, which is compiled and run. The blocks of the other documents must be in the files that are named
# below. The command that README gives for the tests must be the command that CI runs.
#
# With -D DOCUMENT=... -D COMPILED=..., only checks that document against that file.
cmake_minimum_required(VERSION 3.23)

# Each ```cpp block of `document` must be in one of the files that follow. The document must have a block.
function(check_blocks document)
  set(compiled "")
  foreach(file IN LISTS ARGN)
    file(READ "${file}" text)
    string(APPEND compiled "\n${text}\n")
  endforeach()

  cmake_path(GET document FILENAME name)
  file(READ "${document}" text)
  set(blocks 0)
  set(rest "\n${text}")
  while(TRUE)
    string(FIND "${rest}" "\n```cpp\n" begin)
    if(begin EQUAL -1)
      break()
    endif()
    math(EXPR begin "${begin} + 8")
    string(SUBSTRING "${rest}" ${begin} -1 rest)
    string(FIND "${rest}" "\n```" end)
    if(end EQUAL -1)
      message(FATAL_ERROR "${name}: a block is not closed")
    endif()
    string(SUBSTRING "${rest}" 0 ${end} block)
    string(SUBSTRING "${rest}" ${end} -1 rest)
    string(FIND "${compiled}" "\n${block}\n" found)
    if(found EQUAL -1)
      message(SEND_ERROR "${name}: this block is compiled nowhere:\n\n${block}\n")
    endif()
    math(EXPR blocks "${blocks} + 1")
  endwhile()
  if(blocks EQUAL 0)
    message(SEND_ERROR "${name} has no ```cpp block")
  endif()
  message(STATUS "${name}: ${blocks} blocks")
endfunction()

if(DEFINED DOCUMENT)
  check_blocks("${DOCUMENT}" "${COMPILED}")
  return()
endif()

file(GLOB_RECURSE examples "${SOURCE}/examples/*.cpp" "${SOURCE}/examples/*.hpp")
check_blocks("${SOURCE}/README.md" ${examples})
check_blocks("${SOURCE}/docs/using.md" ${examples})
check_blocks("${SOURCE}/docs/admission.md" ${examples})
check_blocks("${SOURCE}/docs/cancellation.md" "${SOURCE}/tests/unit/cancellation_idioms_test.cpp")
check_blocks("${SOURCE}/docs/migration.md" "${SOURCE}/tests/unit/migration_test.cpp")
check_blocks("${SOURCE}/docs/scaling.md" "${SOURCE}/tests/unit/split_guard_test.cpp")
check_blocks("${SOURCE}/docs/timeouts.md" "${SOURCE}/tests/unit/timeout_idioms_test.cpp")
check_blocks("${SOURCE}/docs/testing.md" "${SOURCE}/tests/unit/service_test.cpp")
check_blocks("${SOURCE}/docs/shutdown.md" "${SOURCE}/tests/integration/shutdown_test.cpp")
check_blocks("${SOURCE}/docs/dashboard.md" "${SOURCE}/tests/unit/dashboard_test.cpp" "${SOURCE}/examples/restinio_server/main.cpp"
             "${SOURCE}/tests/integration/dashboard_beast_test.cpp")
check_blocks("${SOURCE}/docs/http.md" "${SOURCE}/tests/integration/beast_test.cpp" "${SOURCE}/tests/unit/callback_test.cpp"
             "${SOURCE}/examples/httplib_server/main.cpp" "${SOURCE}/examples/restinio_server/main.cpp")
check_blocks("${SOURCE}/docs/grpc.md" "${SOURCE}/examples/grpc_guard/main.cpp" "${SOURCE}/tests/integration/grpc_stream_test.cpp"
             "${SOURCE}/tests/integration/grpc_client_test.cpp")

# Make sure that the check can fail.
include("${CMAKE_CURRENT_LIST_DIR}/expect_failure.cmake")
set(arguments_of_script -D "COMPILED=${SCRATCH}/compiled.cpp")
file(WRITE "${SCRATCH}/compiled.cpp" "int a;\n    int b;\n")
expect_failure("wrong.md has no" "No code.\n\n```sh\nint a;\n```\n")
expect_failure("compiled nowhere" "```cpp\nint a;\n```\n\n```cpp\nint b;\n```\n")
expect_failure("not closed" "```cpp\nint a;\n")

# The command is the text below the line "# README:" of .ci/run.
file(READ "${SOURCE}/README.md" readme)
file(READ "${SOURCE}/.ci/run" script)
string(FIND "${script}" "\n# README:\n" begin)
if(begin EQUAL -1)
  message(FATAL_ERROR ".ci/run has no line '# README:'")
endif()
math(EXPR begin "${begin} + 11")
string(SUBSTRING "${script}" ${begin} -1 command)
string(STRIP "${command}" command)
string(FIND "${readme}" "\n${command}\n" found)
if(command STREQUAL "" OR found EQUAL -1)
  message(SEND_ERROR "README.md does not give the command of .ci/run:\n\n${command}\n")
endif()
