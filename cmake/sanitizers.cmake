# SPDX-License-Identifier: MIT

set(FLOWGUARD_SANITIZE "" CACHE STRING "Sanitizers for FlowGuard's tests, benchmarks and examples")
set_property(CACHE FLOWGUARD_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")

# Builds a target with sanitizers, given as in -fsanitize=; none if empty.
function(flowguard_sanitize target sanitizers)
  if(NOT sanitizers)
    return()
  endif()
  # -g1 is enough for the lines in a report.
  target_compile_options(${target} PRIVATE -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(${target} PRIVATE -fsanitize=${sanitizers})
  if(sanitizers MATCHES thread)
    target_compile_options(${target} PRIVATE -O1)
    # ThreadSanitizer knows no fences, and g++ warns of each; Asio's are not what orders FlowGuard. Those of Boost.Asio's
    # reference counts cannot be turned off.
    set(on_boost "$<STREQUAL:$<TARGET_PROPERTY:FLOWGUARD_ASIO>,flowguard::boost_asio>")
    target_compile_options(${target} PRIVATE "$<$<AND:$<CXX_COMPILER_ID:GNU>,${on_boost}>:-Wno-tsan>")
    target_compile_definitions(${target} PRIVATE ASIO_DISABLE_FENCED_BLOCK BOOST_ASIO_DISABLE_FENCED_BLOCK)
  else()
    # g++ needs more than twice as long with -O1 and -fsanitize=undefined.
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

# ThreadSanitizer's runtime wants its memory at fixed places, which much address randomisation
# (vm.mmap_rnd_bits above 28) takes away: then its programs die before main, at random. Sets `result`
# to the command to start them with: empty, or setarch.
function(flowguard_find_thread_sanitizer_launcher result)
  set(${result} "" PARENT_SCOPE)
  set(bits_file /proc/sys/vm/mmap_rnd_bits)
  if(NOT EXISTS ${bits_file})
    return()
  endif()
  file(READ ${bits_file} bits)
  if(bits LESS_EQUAL 28)
    return()
  endif()
  find_program(FLOWGUARD_SETARCH setarch)
  mark_as_advanced(FLOWGUARD_SETARCH)
  if(FLOWGUARD_SETARCH)
    execute_process(COMMAND ${FLOWGUARD_SETARCH} -R true RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(${result} ${FLOWGUARD_SETARCH} -R PARENT_SCOPE)
      return()
    endif()
  endif()
  message(WARNING "ThreadSanitizer may fail here with 'unexpected memory mapping'; if so: sysctl vm.mmap_rnd_bits=28")
endfunction()
