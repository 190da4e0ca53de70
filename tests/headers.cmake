# SPDX-License-Identifier: MIT

# Compiles each header alone, and includes it twice. If an include or an include guard is missing, the build fails.
set(sources "")
set(headers ${flowguard_headers})
if(NOT TARGET prometheus-cpp::core)
  list(FILTER headers EXCLUDE REGEX "/prometheus_cpp\\.hpp$")
endif()
if(NOT TARGET Boost::headers)
  list(FILTER headers EXCLUDE REGEX "/beast\\.hpp$")
endif()
if(NOT TARGET flowguard_restinio)
  list(FILTER headers EXCLUDE REGEX "/restinio\\.hpp$")
endif()
if(NOT TARGET flowguard_grpc_work)
  list(FILTER headers EXCLUDE REGEX "/grpc/")
endif()
foreach(header IN LISTS headers)
  cmake_path(RELATIVE_PATH header BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/include" OUTPUT_VARIABLE name)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/header_alone/${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"@name@\"\n#include \"@name@\"\n" @ONLY)
  list(APPEND sources "${source}")
endforeach()

# Where min and max are macros, as <windows.h> makes them. The headers of the standard library do not hold there, so they
# come before.
set(source "${CMAKE_CURRENT_BINARY_DIR}/header_alone/min_and_max_are_macros.cpp")
file(
  CONFIGURE
  OUTPUT "${source}"
  CONTENT
    "#include <algorithm>
#include <charconv>
#include <random>
#include <semaphore>
#include <string>
#include \"flowguard/detail/asio/asio.hpp\"
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#include \"flowguard.hpp\"
"
  @ONLY)
list(APPEND sources "${source}")

add_library(flowguard_headers_alone OBJECT ${sources})
target_link_libraries(flowguard_headers_alone PRIVATE flowguard::flowguard flowguard_warnings
                                                      $<TARGET_NAME_IF_EXISTS:prometheus-cpp::core>
                                                      $<TARGET_NAME_IF_EXISTS:Boost::headers>
                                                      $<TARGET_NAME_IF_EXISTS:flowguard_grpc_work>
                                                      $<TARGET_NAME_IF_EXISTS:flowguard_restinio>)
