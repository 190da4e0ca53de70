# SPDX-License-Identifier: MIT

# FlowGuard in shared libraries that hide their symbols: one library sheds a call, and the guard of another one has to
# know the error. Only where symbols are shared as ELF does.
if(NOT UNIX OR APPLE)
  return()
endif()

foreach(name shedding judging)
  add_library(visibility.${name} SHARED visibility/${name}.cpp)
  set_target_properties(visibility.${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endforeach()
foreach(name linked loaded)
  add_executable(visibility.${name} visibility/${name}.cpp)
endforeach()
target_link_libraries(visibility.linked PRIVATE visibility.shedding visibility.judging)
add_dependencies(visibility.loaded visibility.shedding visibility.judging)
target_link_libraries(visibility.loaded PRIVATE ${CMAKE_DL_LIBS})
foreach(name shedding judging linked loaded)
  target_link_libraries(visibility.${name} PRIVATE flowguard::flowguard flowguard_warnings)
  # g++ has the dynamic linker share such objects even where symbols are not shared. Other compilers do not.
  target_compile_options(visibility.${name} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>")
endforeach()

add_test(NAME visibility.linked COMMAND visibility.linked)
add_test(NAME visibility.loaded COMMAND visibility.loaded "$<TARGET_FILE:visibility.shedding>"
                                                        "$<TARGET_FILE:visibility.judging>")
set_tests_properties(visibility.linked visibility.loaded PROPERTIES LABELS unit TIMEOUT 60)
