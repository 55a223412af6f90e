"""The compiler's options of the core, of the other libraries and of their tests.

Warnings are .bazelrc's matter. //tests/install:same_test holds CMakeLists.txt to them.
"""

C99 = [
    "-std=c99",
    "-D_GNU_SOURCE",
]

# An unoptimised heap is several times slower and helps no user to debug a program. The sanitizers
# of .bazelrc have a level of their own, which --define=optimisation=1 repeats: a target's options
# come last.
OPTIMISED = select({
    "//c:debugging": [],
    "//conditions:default": ["-O2"],
}) + select({
    "//c:level_1": ["-O1"],
    "//conditions:default": [],
})
