"""fuzz_target: a harness, replayed as a test in every configuration, a fuzzer under --config=fuzz."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//c:copts.bzl", "C99")

def fuzz_target(name, deps, srcs = [], mutate = False, tags = []):
    """Declares the harness fuzz_NAME.c.

    Args:
      name: of the harness; the fuzzer is fuzz_NAME (--config=fuzz), the test fuzz_NAME_replay.
      deps: what it calls.
      srcs: further files.
      mutate: whether the input is a shape and operations (fuzz/op.h), which fuzz/mutate.c knows how to change.
      tags: of the test.
    """
    cc_library(
        name = "fuzz_%s_lib" % name,
        testonly = True,
        srcs = ["fuzz_%s.c" % name] + srcs,
        copts = C99,
        alwayslink = True,
        deps = deps + ["//fuzz:input"],
    )
    cc_test(
        name = "fuzz_%s_replay" % name,
        size = "medium",
        args = ["fuzz/corpus/" + name],
        tags = tags,
        data = native.glob(["corpus/%s/**" % name]),
        deps = [
            ":fuzz_%s_lib" % name,
            "//fuzz:replay_main",
        ],
    )

    # manual: only by name, and only --config=fuzz can link it.
    cc_binary(
        name = "fuzz_" + name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        linkstatic = True,
        tags = ["manual"],
        deps = [":fuzz_%s_lib" % name] + (["//fuzz:mutate"] if mutate else []),
    )
