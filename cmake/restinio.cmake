# SPDX-License-Identifier: MIT

# flowguard_restinio: RESTinio, for its example and the test of its dashboard. There is no such target without it
# (Debian: librestinio-dev). RESTinio is headers, on standalone Asio. The target of Debian's restinio-config.cmake names
# a folder that does not exist, so this looks for what that target stands for.
find_path(FLOWGUARD_RESTINIO_INCLUDE_DIR restinio/all.hpp)
find_library(FLOWGUARD_HTTP_PARSER_LIBRARY http_parser)
find_package(fmt QUIET)
mark_as_advanced(FLOWGUARD_RESTINIO_INCLUDE_DIR FLOWGUARD_HTTP_PARSER_LIBRARY)
if(NOT FLOWGUARD_RESTINIO_INCLUDE_DIR OR NOT FLOWGUARD_HTTP_PARSER_LIBRARY OR NOT fmt_FOUND)
  return()
endif()
add_library(flowguard_restinio INTERFACE)
target_include_directories(flowguard_restinio SYSTEM INTERFACE "${FLOWGUARD_RESTINIO_INCLUDE_DIR}")
target_link_libraries(flowguard_restinio INTERFACE "${FLOWGUARD_HTTP_PARSER_LIBRARY}" fmt::fmt)
