"""What the tests of the install routes and of the packages' recipes read, and their tags."""

# What a build without Bazel reads.
SOURCES = [
    "//:CMakeLists.txt",
    "//:LICENSE",
    "//:meson.build",
    "//c:text",
    "//cpp:text",
    "//fortran:files",
    "//mpi:files",
    "//packaging:files",
    "//tests/support:text",
    "//tests/unit/calls:text",
    "//tests/unit/objects:text",
    "//tests/unit/open:text",
    "//tools:text",
    "//tools/install:text",
]

USERS = [
    "//fortran/examples:files",
    "//mpi/examples:files",
    "//tests/install:users",
]

# Other compilers build here, and a process of theirs runs: no sanitizer, and no second machine.
TAGS = [
    "no-m32",
    "no-qemu",
    "no-sanitizer",
    "no-valgrind",
]
