"""Macros for the benchmark's tests."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")

CXX17 = ["-std=c++17"]

def bench_test(name, size = "small", **kwargs):
    """Declares the test test/NAME.cpp of the suite."""
    cc_test(
        name = name,
        size = size,
        srcs = ["test/%s.cpp" % name],
        copts = CXX17,
        deps = [":suite"],
        **kwargs
    )
