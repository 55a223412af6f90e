"""The language that the core and its tests are written in. Warnings are .bazelrc's matter."""

C99 = [
    "-std=c99",
    "-D_GNU_SOURCE",
]
