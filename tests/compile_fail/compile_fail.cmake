# SPDX-License-Identifier: MIT

# Each file here must not compile, with a message that matches one of its lines
# "// expected: <regular expression>": compilers word it differently.
# With FLOWGUARD_CONTROL defined it must compile, so that it can fail for no other reason.
# A line "// only: g++ before <version>" restricts it to those compilers: it is skipped with others.
file(GLOB sources CONFIGURE_DEPENDS compile_fail/*.cpp)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  file(STRINGS "${source}" expected REGEX "^// expected: ")
  list(TRANSFORM expected REPLACE "^// expected: " "")
  list(JOIN expected "|" expected)

  file(STRINGS "${source}" only REGEX "^// only: g\\+\\+ before ")
  string(REGEX REPLACE "^// only: g\\+\\+ before " "" only "${only}")
  if(only AND NOT (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS only))
    add_test(NAME compile_fail.${name} COMMAND "${CMAKE_COMMAND}" -E echo "skipped: only g++ before ${only}")
    set_tests_properties(compile_fail.${name} PROPERTIES LABELS build SKIP_REGULAR_EXPRESSION "^skipped")
    continue()
  endif()

  foreach(target compile_fail.${name} compile_fail.${name}.control)
    add_library(${target} OBJECT EXCLUDE_FROM_ALL "${source}")
    target_link_libraries(${target} PRIVATE flowguard::flowguard)
    target_compile_options(${target} PRIVATE -fsyntax-only) # also instantiates templates, and takes half the time
    add_test(NAME ${target} COMMAND "${CMAKE_COMMAND}" -D "BUILD=${PROJECT_BINARY_DIR}" -D NAME=${target} #
                                    -D "EXPECTED=${expected}" -P "${CMAKE_CURRENT_LIST_DIR}/run.cmake")
    # Two builds in one folder at a time would disturb each other.
    set_tests_properties(${target} PROPERTIES LABELS build TIMEOUT 120 RESOURCE_LOCK build_folder)
  endforeach()
  target_compile_definitions(compile_fail.${name}.control PRIVATE FLOWGUARD_CONTROL)
endforeach()
