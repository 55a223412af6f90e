"""conan create builds this project with the new package, and runs its two programs."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class TestPackage(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False  # writes nothing beside this file
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    # Each program starts its second process itself.
    def test(self):
        if can_run(self):
            for program in ("example_c", "example_cpp"):
                name = f"/conan-{program}-{os.getpid()}"
                path = os.path.join(self.cpp.build.bindir, program)
                self.run(f"{path} {name} && rm -f /dev/shm{name}", env="conanrun")
