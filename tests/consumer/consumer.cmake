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
