# SPDX-License-Identifier: MIT

# A Debian package of what is installed: `cpack -G DEB` in the folder of the build.
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/libflowguard-dev" RENAME copyright COMPONENT documents)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libflowguard-dev)
set(CPACK_PACKAGE_CONTACT "FlowGuard contributors <flowguard@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION} (headers)")
set(CPACK_PACKAGE_DESCRIPTION "FlowGuard is a header-only library for C++20 coroutines. It adapts the number of calls in
 flight to what a server or a database can take, and sheds what is beyond.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libasio-dev (>= 1:1.22.1) | libboost-dev (>= 1.81)")
include(CPack)
