# SPDX-License-Identifier: MIT

# Checks the files in packaging/ as far as this needs no package manager.
if(WHAT STREQUAL "vcpkg")
  file(READ "${SOURCE}/packaging/vcpkg/flowguard/vcpkg.json" text)
  string(JSON version GET "${text}" version) # an error if it is not JSON
  if(NOT version STREQUAL VERSION)
    message(FATAL_ERROR "vcpkg.json is for ${version}, not for ${VERSION}")
  endif()
  string(JSON name GET "${text}" name)
  if(NOT name STREQUAL "flowguard")
    message(FATAL_ERROR "vcpkg.json is for '${name}'")
  endif()
else()
  file(MAKE_DIRECTORY "${SCRATCH}")
  set(ENV{PYTHONPYCACHEPREFIX} "${SCRATCH}")
  execute_process(COMMAND "${PYTHON}" -m py_compile "${SOURCE}/packaging/conan/conanfile.py" COMMAND_ERROR_IS_FATAL ANY)
endif()
