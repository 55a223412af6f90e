"""c_test: a C99 test in one line."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//c:copts.bzl", "C99")

def c_test(name, srcs = None, copts = [], deps = ["//c:shmheap"], size = "small", **kwargs):
    """Declares the test of NAME.c.

    Args:
      name: of the test.
      srcs: its files, if not NAME.c alone.
      copts: besides those of the core.
      deps: if not the public library alone; "//c:internal" for #include "c/src/base/layout.h".
      size: small is a minute at most, medium five, large fifteen, all of them under a sanitizer too.
      **kwargs: what cc_test takes.
    """
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".c"],
        copts = C99 + copts,
        deps = deps,
        **kwargs
    )
