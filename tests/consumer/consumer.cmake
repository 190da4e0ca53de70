# SPDX-License-Identifier: MIT

# Installs FlowGuard into a folder of the build, then configures, builds and runs a project that uses it.
if(NOT FLOWGUARD_INSTALL)
  message(STATUS "FLOWGUARD_INSTALL is off: no consumer tests")
  return()
endif()

set(prefix "${CMAKE_CURRENT_BINARY_DIR}/consumer/prefix")
add_test(NAME consumer.install COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --prefix "${prefix}")
set_tests_properties(consumer.install PROPERTIES LABELS build TIMEOUT 60 FIXTURES_SETUP installed)

# ... is what to configure the consumer with.
function(flowguard_add_consumer name compiler)
  add_test(
    NAME consumer.${name}
    COMMAND
      "${CMAKE_CTEST_COMMAND}" --build-and-test "${CMAKE_CURRENT_SOURCE_DIR}/consumer"
      "${CMAKE_CURRENT_BINARY_DIR}/consumer/${name}" --build-generator "${CMAKE_GENERATOR}" --build-options
      "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_PREFIX_PATH=${prefix}" "-DFLOWGUARD_SOURCE=${PROJECT_SOURCE_DIR}"
      "-DFLOWGUARD_ASIO_INCLUDE_DIR=${FLOWGUARD_ASIO_INCLUDE_DIR}" ${ARGN} --test-command consumer)
  set_tests_properties(consumer.${name} PROPERTIES LABELS build TIMEOUT 120 FIXTURES_REQUIRED installed)
endfunction()

set(version "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
flowguard_add_consumer(find_package "${CMAKE_CXX_COMPILER}" -DHOW=find_package -DVERSION=${version})
flowguard_add_consumer(add_subdirectory "${CMAKE_CXX_COMPILER}" -DHOW=add_subdirectory)
flowguard_add_consumer(fetch_content "${CMAKE_CXX_COMPILER}" -DHOW=fetch_content)
if(TARGET flowguard::flowguard_boost)
  set(boost -DTARGET=flowguard::flowguard_boost -DCOMPONENTS=boost)
  flowguard_add_consumer(find_package.boost "${CMAKE_CXX_COMPILER}" -DHOW=find_package -DVERSION=${version} ${boost})
  flowguard_add_consumer(add_subdirectory.boost "${CMAKE_CXX_COMPILER}" -DHOW=add_subdirectory ${boost})
endif()

# A project with an Asio of its own, and one with Boost alone: FlowGuard takes what is there, and downloads nothing.
foreach(target asio asio::asio asio::standalone)
  string(REPLACE "::" "." name ${target})
  flowguard_add_consumer(own_target.${name} "${CMAKE_CXX_COMPILER}" -DHOW=add_subdirectory -DASIO_TARGET=${target})
endforeach()
if(TARGET flowguard::flowguard_boost)
  flowguard_add_consumer(boost_alone "${CMAKE_CXX_COMPILER}" -DHOW=add_subdirectory ${boost} -DWITHOUT_ASIO=ON)
endif()

find_program(FLOWGUARD_PKG_CONFIG NAMES pkg-config DOC "pkg-config, to test FlowGuard's .pc files with")
mark_as_advanced(FLOWGUARD_PKG_CONFIG)
foreach(library flowguard flowguard_boost)
  if(NOT TARGET ${library})
    continue()
  endif()
  if(FLOWGUARD_PKG_CONFIG)
    add_test(
      NAME consumer.pkg_config.${library}
      COMMAND
        "${CMAKE_COMMAND}" -D "PKG_CONFIG=${FLOWGUARD_PKG_CONFIG}" -D "PREFIX=${prefix}" -D LIBRARY=${library} -D
        "COMPILER=${CMAKE_CXX_COMPILER}" -D "VERSION=${PROJECT_VERSION}" -D
        "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/consumer/pkg_config.${library}" -D
        "ASIO=$<TARGET_PROPERTY:flowguard::asio,INTERFACE_INCLUDE_DIRECTORIES>" -P
        "${CMAKE_CURRENT_LIST_DIR}/pkg_config.cmake")
    set_tests_properties(consumer.pkg_config.${library} PROPERTIES LABELS build TIMEOUT 300 FIXTURES_REQUIRED installed)
  else()
    add_test(NAME consumer.pkg_config.${library} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no pkg-config")
    set_tests_properties(consumer.pkg_config.${library} PROPERTIES LABELS build SKIP_REGULAR_EXPRESSION "^skipped")
  endif()
endforeach()

if(FLOWGUARD_CLANG)
  flowguard_add_consumer(find_package.clang "${FLOWGUARD_CLANG}" -DHOW=find_package -DVERSION=${version})
  flowguard_add_consumer(add_subdirectory.clang "${FLOWGUARD_CLANG}" -DHOW=add_subdirectory)
endif()

math(EXPR next_minor "${PROJECT_VERSION_MINOR} + 1")
math(EXPR next_major "${PROJECT_VERSION_MAJOR} + 1")
foreach(wrong ${PROJECT_VERSION_MAJOR}.${next_minor} ${next_major}.0)
  flowguard_add_consumer(rejects_${wrong} "${CMAKE_CXX_COMPILER}" -DHOW=find_package -DVERSION=${wrong})
  set_tests_properties(
    consumer.rejects_${wrong} PROPERTIES PASS_REGULAR_EXPRESSION
                                         "compatible with requested version \"${wrong}\"")
endforeach()
