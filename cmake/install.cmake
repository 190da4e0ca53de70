# SPDX-License-Identifier: MIT

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(flowguard_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/flowguard")

install(TARGETS flowguard EXPORT flowguardTargets FILE_SET HEADERS)
install(EXPORT flowguardTargets NAMESPACE flowguard:: DESTINATION "${flowguard_package_dir}")

configure_package_config_file(cmake/flowguardConfig.cmake.in flowguardConfig.cmake
                              INSTALL_DESTINATION "${flowguard_package_dir}")
# Until 1.0, a new minor version may break users; after that, SameMajorVersion.
write_basic_package_version_file(flowguardConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/flowguardConfig.cmake" #
        "${CMAKE_CURRENT_BINARY_DIR}/flowguardConfigVersion.cmake" #
        cmake/flowguard-asio.cmake
  DESTINATION "${flowguard_package_dir}")
