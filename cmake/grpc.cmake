# SPDX-License-Identifier: MIT

# flowguard_grpc_work: the service of the example and the tests of gRPC, with gRPC. There is no such target without gRPC
# (Debian: libgrpc++-dev, protobuf-compiler-grpc, pkg-config; its packages have no configuration for CMake).
find_package(PkgConfig QUIET)
if(NOT PkgConfig_FOUND)
  return()
endif()
pkg_check_modules(flowguard_grpc QUIET IMPORTED_TARGET grpc++)
find_package(Protobuf QUIET)
find_program(FLOWGUARD_GRPC_CPP_PLUGIN grpc_cpp_plugin DOC "protoc's plugin for gRPC")
mark_as_advanced(FLOWGUARD_GRPC_CPP_PLUGIN)
if(NOT flowguard_grpc_FOUND OR NOT Protobuf_FOUND OR NOT Protobuf_PROTOC_EXECUTABLE OR NOT FLOWGUARD_GRPC_CPP_PLUGIN)
  return()
endif()

set(generated "${PROJECT_BINARY_DIR}/grpc")
file(MAKE_DIRECTORY "${generated}")
set(sources "${generated}/grpc_work.pb.cc" "${generated}/grpc_work.grpc.pb.cc")
add_custom_command(
  OUTPUT ${sources} "${generated}/grpc_work.pb.h" "${generated}/grpc_work.grpc.pb.h"
  COMMAND "${Protobuf_PROTOC_EXECUTABLE}" "--proto_path=${PROJECT_SOURCE_DIR}/support" "--cpp_out=${generated}"
          "--grpc_out=${generated}" "--plugin=protoc-gen-grpc=${FLOWGUARD_GRPC_CPP_PLUGIN}" grpc_work.proto
  DEPENDS "${PROJECT_SOURCE_DIR}/support/grpc_work.proto"
  VERBATIM)
add_library(flowguard_grpc_work STATIC ${sources})
target_compile_features(flowguard_grpc_work PUBLIC cxx_std_20)
target_include_directories(flowguard_grpc_work SYSTEM PUBLIC "${generated}")
target_link_libraries(flowguard_grpc_work PUBLIC PkgConfig::flowguard_grpc protobuf::libprotobuf)
