"""The external repositories that Debian's Bazel 4.2.3 asks for, made on the spot, without network.

BUILD files load rules from @rules_cc and @rules_shell, as Bazel 8 and newer demand. Bazel 4 has the
same rules built in, so here those repositories only pass them on. @rules_java and
@remote_coverage_tools are in nobody's BUILD file: Bazel 4 itself wants them for any test.
"""

_PUBLIC = "package(default_visibility = [\"//visibility:public\"])\n"

def _pass_on(rctx, package, rules):
    """Writes PACKAGE/RULE.bzl for each built-in rule."""
    for rule in rules:
        rctx.file("%s/%s.bzl" % (package, rule), "{0} = native.{0}\n".format(rule))
    rctx.file(package + "/BUILD", _PUBLIC)

def _rules_cc_impl(rctx):
    rules = ["cc_binary", "cc_import", "cc_library", "cc_test", "cc_toolchain"]
    _pass_on(rctx, "cc", rules)

    # Bazel's own BUILD files load these by their old path.
    old = rules + ["cc_toolchain_suite", "objc_import", "objc_library"]
    rctx.file("cc/defs.bzl", "".join(["{0} = native.{0}\n".format(rule) for rule in old]))

    # What a rule of our own needs. A file may not give a built-in name a new meaning after it has
    # read the built-in, so each takes two.
    rctx.file("cc/common/BUILD", _PUBLIC)
    rctx.file("cc/common/built_in.bzl", "info = CcInfo\ncommon = cc_common\n")
    rctx.file("cc/common/cc_info.bzl", "load(\":built_in.bzl\", \"info\")\n\nCcInfo = info\n")
    rctx.file("cc/common/cc_common.bzl", "load(\":built_in.bzl\", \"common\")\n\ncc_common = common\n")
    rctx.file("cc/find_cc_toolchain.bzl", """\
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

CC_TOOLCHAIN_TYPE = "@bazel_tools//tools/cpp:toolchain_type"
find_cc_toolchain = find_cpp_toolchain

def use_cc_toolchain(mandatory = True):
    return [CC_TOOLCHAIN_TYPE]
""")
    rctx.file("WORKSPACE", "workspace(name = \"rules_cc\")\n")

def _rules_shell_impl(rctx):
    _pass_on(rctx, "shell", ["sh_binary", "sh_library", "sh_test"])
    rctx.file("WORKSPACE", "workspace(name = \"rules_shell\")\n")

def _rules_java_impl(rctx):
    rules = ["java_binary", "java_import", "java_library", "java_plugin", "java_runtime", "java_test", "java_toolchain"]
    rctx.file("java/BUILD", _PUBLIC)
    rctx.file("java/defs.bzl", "".join(["{0} = native.{0}\n".format(rule) for rule in rules]))
    rctx.file("WORKSPACE", "workspace(name = \"rules_java\")\n")

def _remote_coverage_tools_impl(rctx):
    # Tests depend on these two by label, also where nobody asks for coverage.
    rctx.file("no_coverage.sh", "#!/bin/sh\necho 'no coverage with this Bazel' >&2\nexit 1\n", executable = True)
    rctx.file("BUILD", _PUBLIC + """
[filegroup(
    name = name,
    srcs = ["no_coverage.sh"],
) for name in ["coverage_report_generator", "lcov_merger"]]
""")
    rctx.file("WORKSPACE", "workspace(name = \"remote_coverage_tools\")\n")

_rules_cc = repository_rule(implementation = _rules_cc_impl)
_rules_shell = repository_rule(implementation = _rules_shell_impl)
_rules_java = repository_rule(implementation = _rules_java_impl)
_remote_coverage_tools = repository_rule(implementation = _remote_coverage_tools_impl)

def bazel4_repositories():
    """Declares them all; called by WORKSPACE."""
    _rules_cc(name = "rules_cc")
    _rules_shell(name = "rules_shell")
    _rules_java(name = "rules_java")
    _remote_coverage_tools(name = "remote_coverage_tools")
