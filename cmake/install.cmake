# SPDX-License-Identifier: MIT

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(flowguard_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/flowguard")

install(TARGETS flowguard EXPORT flowguardTargets FILE_SET HEADERS)
install(EXPORT flowguardTargets NAMESPACE flowguard:: DESTINATION "${flowguard_package_dir}")
if(TARGET flowguard_boost)
  install(TARGETS flowguard_boost EXPORT flowguard_boostTargets FILE_SET HEADERS)
  install(EXPORT flowguard_boostTargets NAMESPACE flowguard:: DESTINATION "${flowguard_package_dir}")
endif()

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
