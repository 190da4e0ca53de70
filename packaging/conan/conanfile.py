# SPDX-License-Identifier: MIT

"""FlowGuard for Conan 2: the headers, on standalone Asio."""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load


class FlowGuard(ConanFile):
    name = "flowguard"
    description = "Adaptive concurrency limits for Asio"
    license = "MIT"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._checkout(), "include", "flowguard", "version.hpp"))
        numbers = [re.search(rf"#define FLOWGUARD_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
        self.version = ".".join(numbers)

    def export_sources(self):
        copy(self, "LICENSE", self._checkout(), self.export_sources_folder)
        copy(self, "*.hpp", os.path.join(self._checkout(), "include"), os.path.join(self.export_sources_folder, "include"))

    def requirements(self):
        self.requires("asio/[>=1.22.1 <2]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "flowguard")
        self.cpp_info.set_property("cmake_target_name", "flowguard::flowguard")
        self.cpp_info.set_property("pkg_config_name", "flowguard")
        self.cpp_info.defines = ["ASIO_STANDALONE"]
        if str(self.settings.compiler) in ("clang", "apple-clang"):
            self.cpp_info.defines += ["ASIO_HAS_CO_AWAIT=1", "ASIO_HAS_STD_COROUTINE=1"]
        if str(self.settings.os) in ("Linux", "FreeBSD"):
            self.cpp_info.system_libs = ["pthread"]
