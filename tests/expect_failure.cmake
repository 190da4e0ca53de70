# SPDX-License-Identifier: MIT

# For scripts that check documents. Checks that the calling script fails with this message for a document with this text.
# The script is called with -D DOCUMENT=..., and with the list `arguments_of_script`.
function(expect_failure expected text)
  set(document "${SCRATCH}/wrong.md")
  file(WRITE "${document}" "${text}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -D "DOCUMENT=${document}" ${arguments_of_script} -P "${CMAKE_CURRENT_LIST_FILE}"
                  RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error)
  string(FIND "${error}" "${expected}" found)
  if(result EQUAL 0 OR found EQUAL -1)
    message(SEND_ERROR "expected '${expected}' of this document:\n\n${text}\n\ngot ${result}:\n${error}")
  endif()
endfunction()
