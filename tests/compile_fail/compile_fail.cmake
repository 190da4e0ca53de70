# SPDX-License-Identifier: MIT

# Each file here must not compile, with a message that matches one of its lines
# "// expected: <regular expression>": compilers word it differently.
# With FLOWGUARD_CONTROL defined it must compile, so that it can fail for no other reason.
file(GLOB sources CONFIGURE_DEPENDS compile_fail/*.cpp)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  file(STRINGS "${source}" expected REGEX "^// expected: ")
  list(TRANSFORM expected REPLACE "^// expected: " "")
  list(JOIN expected "|" expected)

  foreach(target compile_fail.${name} compile_fail.${name}.control)
    add_library(${target} OBJECT EXCLUDE_FROM_ALL "${source}")
    target_link_libraries(${target} PRIVATE flowguard::flowguard)
    add_test(NAME ${target} COMMAND "${CMAKE_COMMAND}" -D "BUILD=${PROJECT_BINARY_DIR}" -D NAME=${target} #
                                    -D "EXPECTED=${expected}" -P "${CMAKE_CURRENT_LIST_DIR}/run.cmake")
    # Two builds in one folder at a time would disturb each other.
    set_tests_properties(${target} PROPERTIES LABELS build TIMEOUT 120 RESOURCE_LOCK build_folder)
  endforeach()
  target_compile_definitions(compile_fail.${name}.control PRIVATE FLOWGUARD_CONTROL)
endforeach()
