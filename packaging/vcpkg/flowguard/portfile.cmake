# SPDX-License-Identifier: MIT

# An overlay port: it installs the checkout of FlowGuard that holds it.
set(VCPKG_BUILD_TYPE release) # headers alone
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DFLOWGUARD_INSTALL=ON
    -DFLOWGUARD_BUILD_TESTS=OFF
    -DFLOWGUARD_BUILD_BENCHMARKS=OFF
    -DFLOWGUARD_BUILD_EXAMPLES=OFF
    -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/flowguard)
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
