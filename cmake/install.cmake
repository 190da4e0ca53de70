# SPDX-License-Identifier: MIT

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(flowguard_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/flowguard")

foreach(library flowguard flowguard_boost)
  if(TARGET ${library})
    install(TARGETS ${library} EXPORT ${library}Targets FILE_SET HEADERS)
    install(EXPORT ${library}Targets NAMESPACE flowguard:: DESTINATION "${flowguard_package_dir}")
  endif()
endforeach()

# For builds without CMake, such as Meson. Where these files are tells them where the headers are.
file(RELATIVE_PATH flowguard_pc_to_include "${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
foreach(library flowguard flowguard_boost)
  if(TARGET ${library})
    configure_file(cmake/${library}.pc.in ${library}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${library}.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
  endif()
endforeach()

configure_package_config_file(cmake/flowguardConfig.cmake.in flowguardConfig.cmake
                              INSTALL_DESTINATION "${flowguard_package_dir}")
# Until 1.0, a new minor version may break users; after that, SameMajorVersion.
write_basic_package_version_file(flowguardConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/flowguardConfig.cmake" #
        "${CMAKE_CURRENT_BINARY_DIR}/flowguardConfigVersion.cmake" #
        cmake/flowguard-asio.cmake #
        cmake/flowguard-boost.cmake
  DESTINATION "${flowguard_package_dir}")

# The module is compiled by the project that imports it: see docs/using.md.
install(FILES include/flowguard.cppm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

# How debuggers show FlowGuard's objects: see docs/operating.md.
install(FILES tools/flowguard_gdb.py tools/flowguard.natvis DESTINATION "${CMAKE_INSTALL_DATADIR}/flowguard")
