"""What the BUILD files of tests share: a test, a program or a helper library in one line."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("@rules_shell//shell:sh_test.bzl", "sh_test")
load("//c:copts.bzl", "C99")

# The library that calls functions of the test before its loads and stores.
HOOKED = "//c:shmheap_hooked"

# Where the checkers need more of a resource than the test leaves.
NO_CHECKERS = [
    "no-qemu",
    "no-sanitizer",
    "no-valgrind",
]

# Tests that run nothing that a sanitizer's build compiles: they read text, look at symbols, or test
# a script. The plain build alone runs them.
NOTHING_COMPILED = ["no-sanitizer"]

# ThreadSanitizer's runtime has threads and instructions of its own, which a debugger would step
# through; qemu-user has no ptrace.
STEPPED = [
    "no-qemu",
    "no-tsan",
]

def c_test(
        name,
        srcs = None,
        copts = [],
        library = "//c:shmheap",
        support = "//tests/support",
        deps = [],
        wrap = [],
        linkopts = [],
        size = "small",
        **kwargs):
    """Declares the test of NAME.c.

    Args:
      name: of the test.
      srcs: its files, if not NAME.c alone.
      copts: besides those of the core.
      library: the core. One with a hook comes first among the dependencies, so that the linker
        takes it instead of the one that tests/support depends on. None: deps have it.
      support: the test program's frame, or None.
      deps: besides these; "//c:internal" for #include "c/src/base/layout.h".
      wrap: functions of the C library that the test replaces by __wrap_NAME.
      linkopts: besides those of wrap.
      size: small is a minute at most, medium five, large fifteen, also under a sanitizer.
      **kwargs: what cc_test takes.
    """
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".c"],
        copts = C99 + copts,
        linkopts = ["-Wl,--wrap=" + function for function in wrap] + linkopts,
        deps = [label for label in [library, support] if label] + deps,
        **kwargs
    )

def c_tests(names, **kwargs):
    """Declares several tests that differ in nothing but the name: each of c_test(NAME, ...)."""
    for name in names:
        c_test(name = name, **kwargs)

def c_helper(
        name,
        srcs = None,
        hdrs = None,
        library = "//c:shmheap",
        support = "//tests/support",
        deps = [],
        **kwargs):
    """Declares the library of NAME.c and NAME.h, for tests alone; arguments as of c_test."""
    cc_library(
        name = name,
        testonly = True,
        srcs = srcs or [name + ".c"],
        hdrs = hdrs or [name + ".h"],
        copts = C99,
        deps = [label for label in [library, support] if label] + deps,
        **kwargs
    )

def c_program(name, copts = [], **kwargs):
    """Declares the program of NAME.c, for tests alone."""
    cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".c"],
        copts = C99 + copts,
        **kwargs
    )

def shell_test(name, srcs = None, programs = [], data = [], args = [], size = "small", **kwargs):
    """Declares the test of NAME.sh.

    Args:
      name: of the test.
      srcs: its file, if not NAME.sh.
      programs: files that the test finds, and whose paths are its first arguments.
      data: files that the test finds.
      args: its arguments behind the programs.
      size: as for c_test.
      **kwargs: what sh_test takes.
    """
    sh_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".sh"],
        args = ["$(location %s)" % program for program in programs] + args,
        data = programs + data,
        **kwargs
    )

def mpi_test(
        name,
        mpi,
        host,
        ranks,
        program,
        arguments = [],
        expected = "good",
        **kwargs):
    """Declares the test that starts a program as an MPI's ranks.

    Args:
      name: of the test.
      mpi: openmpi or mpich.
      host: what @host_mpi or @host_fortran says of it.
      ranks: how many.
      program: its label.
      arguments: of the program; NEW_NAME stands for a heap's name of the test's own.
      expected: how it has to end; tests/ioserver/mpi.sh lists the words.
      **kwargs: what sh_test takes.
    """
    shell_test(
        name = name,
        srcs = ["//tests/ioserver:mpi.sh"],
        args = [
            mpi,
            host["starter"] or "none",
            str(ranks),
            expected,
            "$(location %s)" % program,
        ] + arguments,
        data = [program],
        **kwargs
    )
