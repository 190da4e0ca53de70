# SPDX-License-Identifier: MIT

# Defines flowguard::asio: standalone Asio, which is headers only and comes without a CMake package.
# Used by FlowGuard's own build and, installed beside flowguardConfig.cmake, by those who use an
# installed FlowGuard. Leaves flowguard::asio undefined when there is no Asio.

if(TARGET flowguard::asio)
  return()
endif()

# The surrounding project's own Asio comes first: with a second one, the program would violate the one-definition rule.
set(flowguard_asio_target "")
foreach(target asio::asio asio::standalone asio)
  if(TARGET ${target})
    set(flowguard_asio_target ${target})
    break()
  endif()
endforeach()

if(NOT flowguard_asio_target)
  find_path(FLOWGUARD_ASIO_INCLUDE_DIR asio.hpp DOC "Where asio.hpp is")
  mark_as_advanced(FLOWGUARD_ASIO_INCLUDE_DIR)
  if(NOT FLOWGUARD_ASIO_INCLUDE_DIR)
    return()
  endif()
endif()

# Global, for those who use FlowGuard by add_subdirectory.
add_library(flowguard::asio INTERFACE IMPORTED GLOBAL)
if(flowguard_asio_target)
  message(STATUS "FlowGuard uses the Asio of the target ${flowguard_asio_target}")
  target_link_libraries(flowguard::asio INTERFACE ${flowguard_asio_target})
else()
  message(STATUS "FlowGuard uses the Asio in ${FLOWGUARD_ASIO_INCLUDE_DIR}")
  target_include_directories(flowguard::asio INTERFACE "${FLOWGUARD_ASIO_INCLUDE_DIR}")
endif()

# Asio up to 1.22 looks for clang's coroutines in <experimental/coroutine>, which is gone. Newer ones
# define both macros themselves, to the same value.
set(flowguard_asio_clang_definitions ASIO_HAS_CO_AWAIT=1 ASIO_HAS_STD_COROUTINE=1)
target_compile_definitions(
  flowguard::asio INTERFACE ASIO_STANDALONE
                            "$<$<CXX_COMPILER_ID:Clang,AppleClang>:${flowguard_asio_clang_definitions}>")
