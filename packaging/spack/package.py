"""The Spack recipe, for Spack 1 and newer: put this folder's package.py into a repository of
packages as packages/shmheap/package.py, then spack develop or spack install."""

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Shmheap(CMakePackage):
    """A heap in memory that several Linux processes share, for C, C++, Fortran and MPI."""

    # There is no public address yet: spack develop, or spack install with this set to a clone.
    homepage = "file:///home/me/shmheap"
    git = "file:///home/me/shmheap"

    license("Apache-2.0")

    version("0.1.0", branch="main")

    variant("fortran", default=True, description="Build the Fortran modules")
    variant("mpi", default=True, description="Build the library for MPI")
    variant("tool", default=True, description="Build the tool")

    depends_on("c", type="build")
    depends_on("fortran", type="build", when="+fortran")
    depends_on("cmake@3.16:", type="build")
    depends_on("py-fypp", type="build", when="+fortran")
    depends_on("mpi", when="+mpi")
    depends_on("jansson", when="+tool")
    depends_on("libmicrohttpd", when="+tool")
    depends_on("ncurses", when="+tool")
    depends_on("zstd", when="+tool")

    conflicts("platform=darwin", msg="shmheap needs Linux")
    conflicts("platform=windows", msg="shmheap needs Linux")

    def cmake_args(self):
        return [
            self.define_from_variant("SHMHEAP_FORTRAN", "fortran"),
            self.define_from_variant("SHMHEAP_MPI", "mpi"),
            self.define_from_variant("SHMHEAP_TOOL", "tool"),
            self.define_from_variant("SHMHEAP_SERVE", "tool"),
            self.define("SHMHEAP_TESTS", self.run_tests),
        ]
