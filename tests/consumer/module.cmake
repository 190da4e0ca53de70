# SPDX-License-Identifier: MIT

# Compiles the module with clang, and a program that imports it. Checks also that the module exports each type and
# concept that flowguard.hpp declares.
cmake_minimum_required(VERSION 3.23)

file(STRINGS "${SOURCE}/include/flowguard.cppm" exported REGEX "^using flowguard::")
list(TRANSFORM exported REPLACE "^using flowguard::(.*)" "\\1")
file(STRINGS "${SOURCE}/include/flowguard.hpp" includes REGEX "^#include \"")
set(found 0)
foreach(include IN LISTS includes)
  string(REGEX REPLACE ".*\"(.*)\"" "\\1" header "${include}")
  set(in_detail FALSE)
  file(STRINGS "${SOURCE}/include/${header}" lines
       REGEX "^(namespace detail|} // namespace detail|class |struct |enum class |concept |using )")
  foreach(line IN LISTS lines)
    if(line MATCHES "namespace detail")
      string(REGEX MATCH "^namespace" in_detail "${line}") # else its end
    elseif(NOT in_detail AND line MATCHES "^(class|struct|enum class|concept|using) ([a-z0-9_]+) ")
      math(EXPR found "${found} + 1")
      if(NOT CMAKE_MATCH_2 IN_LIST exported)
        message(SEND_ERROR "flowguard.cppm does not export ${CMAKE_MATCH_2}, which is in ${header}")
      endif()
    endif()
  endforeach()
endforeach()
if(found LESS 40)
  message(SEND_ERROR "This finds only ${found} types and concepts in the headers")
endif()

file(MAKE_DIRECTORY "${SCRATCH}")
set(compile "${CLANG}" -std=c++20 -pthread "-I${SOURCE}/include" "-I${ASIO}" -DASIO_STANDALONE -DASIO_HAS_CO_AWAIT=1
            -DASIO_HAS_STD_COROUTINE=1)
set(module -fmodule-file=flowguard=flowguard.pcm)
foreach(
  step
  "${compile};--precompile;${SOURCE}/include/flowguard.cppm;-o;flowguard.pcm"
  "${CLANG};-c;flowguard.pcm;-o;flowguard.o"
  "${compile};${module};-c;${CMAKE_CURRENT_LIST_DIR}/module.cpp;-o;module.o"
  "${CLANG};-pthread;module.o;flowguard.o;-o;module")
  execute_process(COMMAND ${step} WORKING_DIRECTORY "${SCRATCH}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND "${SCRATCH}/module" COMMAND_ERROR_IS_FATAL ANY)
