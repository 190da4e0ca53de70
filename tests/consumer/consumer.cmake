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

# Runs <name>.cmake with the ARGN and with what each of these scripts needs, or says why not.
function(flowguard_add_consumer_script name why_not)
  if(why_not)
    add_test(NAME consumer.${name} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: ${why_not}")
    set_tests_properties(consumer.${name} PROPERTIES LABELS build SKIP_REGULAR_EXPRESSION "^skipped")
    return()
  endif()
  add_test(
    NAME consumer.${name}
    COMMAND
      "${CMAKE_COMMAND}" -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${CMAKE_CXX_COMPILER}" -D
      "ASIO=$<TARGET_PROPERTY:flowguard::asio,INTERFACE_INCLUDE_DIRECTORIES>" -D
      "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/consumer/${name}" ${ARGN} -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/${name}.cmake")
  set_tests_properties(consumer.${name} PROPERTIES LABELS build TIMEOUT 300)
endfunction()

flowguard_add_consumer_script(single_header "")

set(why_not "")
if(NOT FLOWGUARD_CLANG)
  set(why_not "there is no clang++-19")
endif()
flowguard_add_consumer_script(module "${why_not}" -D "CLANG=${FLOWGUARD_CLANG}")

find_program(FLOWGUARD_MESON NAMES meson DOC "Meson, to test FlowGuard in its projects")
mark_as_advanced(FLOWGUARD_MESON)
set(why_not "")
if(NOT FLOWGUARD_MESON OR NOT FLOWGUARD_PKG_CONFIG)
  set(why_not "there is no meson or no pkg-config")
endif()
flowguard_add_consumer_script(meson "${why_not}" -D "MESON=${FLOWGUARD_MESON}" -D "PREFIX=${prefix}")
set_tests_properties(consumer.meson PROPERTIES FIXTURES_REQUIRED installed)

find_program(FLOWGUARD_DPKG_DEB NAMES dpkg-deb DOC "dpkg-deb, to test FlowGuard's Debian package")
mark_as_advanced(FLOWGUARD_DPKG_DEB)
set(why_not "")
if(NOT FLOWGUARD_DPKG_DEB)
  set(why_not "there is no dpkg-deb")
endif()
flowguard_add_consumer_script(debian "${why_not}" -D "DPKG_DEB=${FLOWGUARD_DPKG_DEB}" -D "CPACK=${CMAKE_CPACK_COMMAND}" #
                              -D "GENERATOR=${CMAKE_GENERATOR}" -D "VERSION=${PROJECT_VERSION}")

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

# The files in packaging/.
find_program(FLOWGUARD_PYTHON NAMES python3 DOC "Python, to compile the Conan recipe")
mark_as_advanced(FLOWGUARD_PYTHON)
add_test(NAME packages.vcpkg
         COMMAND "${CMAKE_COMMAND}" -D WHAT=vcpkg -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "VERSION=${PROJECT_VERSION}" -P
                 "${CMAKE_CURRENT_LIST_DIR}/packages.cmake")
set_tests_properties(packages.vcpkg PROPERTIES LABELS build TIMEOUT 60)
if(FLOWGUARD_PYTHON)
  add_test(NAME packages.conan
           COMMAND "${CMAKE_COMMAND}" -D WHAT=conan -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "PYTHON=${FLOWGUARD_PYTHON}" -D
                   "SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/consumer/conan" -P "${CMAKE_CURRENT_LIST_DIR}/packages.cmake")
  set_tests_properties(packages.conan PROPERTIES LABELS build TIMEOUT 60)
else()
  add_test(NAME packages.conan COMMAND "${CMAKE_COMMAND}" -E echo "skipped: there is no python3")
  set_tests_properties(packages.conan PROPERTIES LABELS build SKIP_REGULAR_EXPRESSION "^skipped")
endif()
