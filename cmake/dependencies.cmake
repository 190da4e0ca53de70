# SPDX-License-Identifier: MIT

# Everything that FlowGuard takes from elsewhere. An installed package comes first; only without one is
# the pinned archive downloaded. To build from a local copy: -DFETCHCONTENT_SOURCE_DIR_<NAME>=<folder>.

include(FetchContent)

# The headers alone are wanted of some archives, not their CMake projects: they name a folder that
# does not exist as SOURCE_SUBDIR.
FetchContent_Declare(
  asio
  URL https://github.com/chriskohlhoff/asio/archive/refs/tags/asio-1-22-1.tar.gz
  URL_HASH SHA256=30cb54a5de5e465d10ec0c2026d6b5917f5e89fffabdbabeb1475846fc9a2cf0
  SOURCE_SUBDIR headers-only)
FetchContent_Declare(
  catch2
  URL https://github.com/catchorg/Catch2/archive/refs/tags/v2.13.10.tar.gz
  URL_HASH SHA256=d54a712b7b1d7708bc7a819a8e6e47b2fde9536f487b89ccbca295072a7d9943
  SOURCE_SUBDIR headers-only)
FetchContent_Declare(
  benchmark
  URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
  URL_HASH SHA256=6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Boost is never downloaded: a project that uses Boost.Asio has one.
include(cmake/flowguard-boost.cmake)

# A project that has Boost, and no standalone Asio, wants no download: it gets flowguard::flowguard_boost alone.
include(cmake/flowguard-asio.cmake)
if(NOT TARGET flowguard::asio AND (PROJECT_IS_TOP_LEVEL OR NOT TARGET flowguard::boost_asio))
  FetchContent_MakeAvailable(asio)
  set(FLOWGUARD_ASIO_INCLUDE_DIR "${asio_SOURCE_DIR}/asio/include" CACHE PATH "Where asio.hpp is" FORCE)
  include(cmake/flowguard-asio.cmake)
endif()

if(FLOWGUARD_BUILD_TESTS)
  find_package(Catch2 2.13 QUIET)
  if(Catch2_FOUND)
    set(flowguard_catch_module "${Catch2_DIR}/Catch.cmake")
  else()
    FetchContent_MakeAvailable(catch2)
    add_library(Catch2::Catch2 INTERFACE IMPORTED)
    target_include_directories(Catch2::Catch2 INTERFACE "${catch2_SOURCE_DIR}/single_include")
    set(flowguard_catch_module "${catch2_SOURCE_DIR}/contrib/Catch.cmake")
  endif()
endif()

if(FLOWGUARD_BUILD_BENCHMARKS)
  find_package(benchmark 1.7 QUIET)
  if(NOT benchmark_FOUND)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(BENCHMARK_ENABLE_WERROR OFF)
    FetchContent_MakeAvailable(benchmark)
  endif()
endif()
