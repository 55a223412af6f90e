#!/usr/bin/env python3
"""spack_test.py PACKAGE CMAKELISTS: the Spack recipe, loaded with stand-ins for Spack's modules.

Each combination of variants gives options that CMakeLists.txt has, and needs what the options need.
"""

import importlib.util
import itertools
import re
import sys
import types

SAID = []  # (directive, arguments, keywords)


class CMakePackage:
    """Spack 1's CMakePackage, as far as recipes use it."""

    def __init__(self, on, run_tests):
        self.on, self.run_tests = on, run_tests

    def define(self, name, value):
        return f"-D{name}:BOOL={'ON' if value else 'OFF'}"

    def define_from_variant(self, name, variant):
        assert variant in VARIANTS, variant
        return self.define(name, variant in self.on)


def load(path):
    """Runs the recipe; Spack 1 has CMakePackage in spack_repo.builtin, not in spack.package."""
    package = types.ModuleType("spack.package")
    for name in ("license", "version", "variant", "depends_on", "conflicts", "maintainers"):
        setattr(package, name, lambda *a, _name=name, **k: SAID.append((_name, a, k)))
    cmake = types.ModuleType("spack_repo.builtin.build_systems.cmake")
    cmake.CMakePackage = CMakePackage
    for name in ("spack", "spack_repo", "spack_repo.builtin", "spack_repo.builtin.build_systems"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["spack.package"] = package
    sys.modules[cmake.__name__] = cmake
    spec = importlib.util.spec_from_file_location("package", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Shmheap


recipe = load(sys.argv[1])
VARIANTS = {arguments[0] for name, arguments, _ in SAID if name == "variant"}
assert VARIANTS == {"fortran", "mpi", "tool"}, VARIANTS
with open(sys.argv[2], encoding="utf-8") as file:
    options = set(re.findall(r"^(?:option|set)\((SHMHEAP_[A-Z]+)", file.read(), re.MULTILINE))
assert {"SHMHEAP_STATIC", "SHMHEAP_SERVE"} <= options, options


def needs(on):
    """The packages that a combination of variants depends on."""
    whens = {None} | {"+" + variant for variant in on}
    return {arguments[0].split("@")[0] for name, arguments, keywords in SAID
            if name == "depends_on" and keywords.get("when") in whens}


tried = 0
for size in range(len(VARIANTS) + 1):
    for on in itertools.combinations(sorted(VARIANTS), size):
        for run_tests in (False, True):
            given = dict(word[2:].split(":BOOL=") for word in recipe(on, run_tests).cmake_args())
            assert set(given) <= options, set(given) - options
            for variant in VARIANTS:
                assert given["SHMHEAP_" + variant.upper()] == ("ON" if variant in on else "OFF")
            assert given["SHMHEAP_TESTS"] == ("ON" if run_tests else "OFF")
        found = needs(on)
        assert {"c", "cmake"} <= found, found
        assert ("mpi" in found) == ("mpi" in on), found
        assert ("py-fypp" in found and "fortran" in found) == ("fortran" in on), found
        tool = {"jansson", "libmicrohttpd", "ncurses", "zstd"}
        assert found & tool == (tool if "tool" in on else set()), found
        tried += 1
assert tried == 8, tried
print("8 combinations of variants, with stand-ins for Spack")
