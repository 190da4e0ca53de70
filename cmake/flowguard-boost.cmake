# SPDX-License-Identifier: MIT

# Defines flowguard::boost_asio: Boost.Asio, of an installed Boost. Used by FlowGuard's own build and, installed beside
# flowguardConfig.cmake, by those who use an installed FlowGuard. Leaves flowguard::boost_asio undefined when there is
# no Boost that is new enough.

if(TARGET flowguard::boost_asio)
  return()
endif()

if(NOT TARGET Boost::headers)
  find_package(Boost 1.81 CONFIG QUIET)
endif()
if(NOT TARGET Boost::headers)
  return()
endif()

# Global, for those who use FlowGuard by add_subdirectory.
add_library(flowguard::boost_asio INTERFACE IMPORTED GLOBAL)
target_link_libraries(flowguard::boost_asio INTERFACE Boost::headers)
target_compile_definitions(flowguard::boost_asio INTERFACE FLOWGUARD_USE_BOOST_ASIO)
