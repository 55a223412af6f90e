"""Macros for the fuzzers: fuzz_target declares a harness, fuzz_library what harnesses share."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//c:copts.bzl", "C99")

def fuzz_library(name, **kwargs):
    """Declares a C99 library for tests only."""
    cc_library(
        name = name,
        testonly = True,
        copts = C99,
        **kwargs
    )

def fuzz_target(name, deps, srcs = [], language = "c", mutate = False, tags = []):
    """Declares the harness fuzz_NAME.c or .cpp: a test that replays its corpus, and a fuzzer.

    The fuzzer is fuzz_NAME and links only under --config=fuzz, as does fuzz_NAME_shorten, which
    makes kept inputs short. The test is fuzz_NAME_replay and runs in every configuration.

    Args:
      name: the harness.
      deps: the libraries that it calls.
      srcs: further files.
      language: c or cpp.
      mutate: whether the input is a shape and operations (fuzz/world/op.h), which
        fuzz/driver/mutate.c can mutate and fuzz/driver/shorten_main.c can shorten.
      tags: tags of the test.
    """
    cc_library(
        name = "fuzz_%s_lib" % name,
        testonly = True,
        srcs = ["fuzz_%s.%s" % (name, language)] + srcs,
        copts = C99 if language == "c" else ["-std=c++17"],
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

    # manual: //... must not build it without --config=fuzz.
    cc_binary(
        name = "fuzz_" + name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        linkstatic = True,
        tags = ["manual"],
        deps = [":fuzz_%s_lib" % name] + (["//fuzz:mutate"] if mutate else []),
    )
    if mutate:
        cc_binary(
            name = "fuzz_%s_shorten" % name,
            testonly = True,
            linkstatic = True,
            tags = ["manual"],
            deps = [":fuzz_%s_lib" % name, "//fuzz:shorten_main"],
        )
