# SPDX-License-Identifier: MIT

# Removes the counts of earlier runs from FOLDER.
file(GLOB_RECURSE counts "${FOLDER}/*.gcda")
if(counts)
  file(REMOVE ${counts})
endif()
