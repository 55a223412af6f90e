"""The Conan 2 recipe; packaging/README.md has the command."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, rmdir


class Shmheap(ConanFile):
    name = "shmheap"
    version = "0.1.0"
    license = "Apache-2.0"
    description = "A heap in memory that several Linux processes share"
    topics = ("shared-memory", "allocator", "ipc")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("shmheap needs Linux")

    def configure(self):
        if self.options.shared:
            self.options.rm_safe("fPIC")
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def layout(self):
        cmake_layout(self)

    # The recipe lies in the repository that it packs.
    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "c/*", "cpp/*", "packaging/*"):
            copy(self, pattern, root, self.export_sources_folder)

    def generate(self):
        toolchain = CMakeToolchain(self)
        shared = bool(self.options.shared)
        toolchain.cache_variables["SHMHEAP_SHARED"] = shared
        toolchain.cache_variables["SHMHEAP_STATIC"] = not shared
        for part in ("FORTRAN", "MPI", "TOOL", "TESTS"):
            toolchain.cache_variables["SHMHEAP_" + part] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    # Conan's generators write files for CMake and pkg-config of their own.
    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))

    # The targets of find_package(shmheap CONFIG) and the .pc files have the names that an
    # installation has.
    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "shmheap")
        self.cpp_info.set_property("cmake_target_name", "shmheap::all")
        self.cpp_info.set_property("pkg_config_name", "shmheap-all")
        core = self.cpp_info.components["core"]
        core.set_property("cmake_target_name", "shmheap::shmheap")
        core.set_property("pkg_config_name", "shmheap")
        core.libs = ["shmheap"]
        core.system_libs = ["pthread", "rt"]
        cpp = self.cpp_info.components["cpp"]
        cpp.set_property("cmake_target_name", "shmheap::cpp")
        cpp.set_property("pkg_config_name", "shmheap-cpp")
        cpp.requires = ["core"]
