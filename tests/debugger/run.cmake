# SPDX-License-Identifier: MIT

# Compiles debugger.cpp with COMPILER as PROGRAM, runs it in GDB, and compares what that prints of its variables.
cmake_minimum_required(VERSION 3.23)

if(NOT GDB)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no gdb")
  return()
endif()

execute_process(
  COMMAND "${COMPILER}" -std=c++20 -g -O0 -pthread -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1 -DASIO_HAS_STD_COROUTINE=1
          "-I${SOURCE}/include" "-I${SOURCE}" -idirafter "${ASIO}" "${SOURCE}/tests/debugger/debugger.cpp" -o
          "${PROGRAM}" COMMAND_ERROR_IS_FATAL ANY)

set(commands "")
set(expected "")
# Adds a variable to look at, and what gdb must print of it, a regular expression.
function(expect variable text)
  list(APPEND commands -ex "print ${variable}")
  list(APPEND expected "${text}")
  set(commands "${commands}" PARENT_SCOPE)
  set(expected "${expected}" PARENT_SCOPE)
endfunction()

list(APPEND commands -ex run -ex up)
expect(semaphore "limit 10, 3 permits free, 7 held, 0 waiting")
expect(none "no permit")
expect(some "7 permits of the semaphore state at 0x[0-9a-f]+")
expect(all "1 permit of the semaphore state at 0x[0-9a-f]+")
expect(full "limit 1, 0 permits free, 1 held, 2 waiting")
expect(unused "limit 5, 5 permits free, 0 in flight, 0 waiting, no window yet")
expect(guard "limit 20, 19 permits free, 1 in flight, 0 waiting, window of [0-9]+: 2 admitted, 1 running")
expect(no_ticket "no ticket")
expect(running
       "ticket of the guard state at 0x[0-9a-f]+, in a window of [0-9]+: 2 admitted, 1 running")
list(APPEND commands -ex continue -ex up)
expect(semaphore "limit 3, 0 permits free, 7 held, 0 waiting")
expect(guard "limit 20, 0 permits free, 1 in flight, 0 waiting, closed, window of [0-9]+: 2 admitted, 1 running")

execute_process(
  COMMAND "${GDB}" -batch -nx -ex "set debuginfod enabled off" -ex "source ${SOURCE}/tools/flowguard_gdb.py" #
          -ex "break stop_here" ${commands} -ex kill "${PROGRAM}"
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(output MATCHES "ptrace: Operation not permitted|Python scripting is not supported")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "skipped: this gdb may not run a program, or has no Python")
  return()
endif()

set(number 0)
foreach(text IN LISTS expected)
  math(EXPR number "${number} + 1")
  if(NOT output MATCHES "(^|\n)\\$${number} = ${text}\n")
    message(SEND_ERROR "$${number} is not '${text}'")
    set(failed TRUE)
  endif()
endforeach()
if(failed)
  message(FATAL_ERROR "gdb printed:\n${output}")
endif()
